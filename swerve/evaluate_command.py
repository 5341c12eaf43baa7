"""Run `swerve evaluate`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data.storage.mirror import shown
from swerve.eval.benchmark.evaluate.evaluation_summary import REPORT
from swerve.eval.benchmark.evaluate.planner_differences import FEW_GROUPS
from swerve.evaluate_wod_e2e import print_rater_feedback
from swerve.evaluation import evaluate_planners
from swerve.job_report import counted, execution_of, show_planner_failures, stoppable
from swerve.options.evaluate import Evaluate
from swerve.planners.load_planner import with_options
from swerve.short_names import SHORT


def run(args: Evaluate) -> int:
    """Evaluate planners, print and write the results, and return the exit code."""
    console = results_console()
    planners = [with_options(spec, args.planner_option) for spec in args.planners]
    with stoppable():
        evaluation = evaluate_planners(
            args.benchmark, planners, args.out, args.options, execution_of(args), progress_console()
        )
    if evaluation.summary.get("metric") == "rfs":
        print_rater_feedback(evaluation.summary, console)
    else:
        _print_epdms(evaluation.summary, console)
    show_planner_failures(console, evaluation.failures, args.out)
    plans, seconds = evaluation.timing["plans"], evaluation.timing["seconds"]
    where = shown(args.out)
    console.print(f"{plans} plans in {seconds:.1f} s; wrote {where}", highlight=False, markup=False, soft_wrap=True)
    if (args.out / REPORT).is_file():
        console.print(f"The report is at {args.out / REPORT}", highlight=False, markup=False, soft_wrap=True)
    return 1 if evaluation.failures else 0


def _print_epdms(summary: Mapping[str, Any], console: Console) -> None:
    """Print the ranking, sub-scores that never fail, and differences between kinds of views."""
    print_table(console, leaderboard(summary))
    for line in summary["inactive_sub_scores"]:
        console.print(f"never triggered: {line}", style="yellow", markup=False, soft_wrap=True)
    if (groups := summary.get("scene_groups", FEW_GROUPS)) < FEW_GROUPS:
        count = counted(groups, "scene group")
        text = f"{count}: too few to compare planners: use {FEW_GROUPS} or more, of several logs"
        console.print(text, style="yellow", highlight=False, soft_wrap=True)
    if summary["differences"]:
        print_table(console, differences_table(summary["differences"]))


def differences_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of the differences in score between kinds of views."""
    title = "differences between views on the same scene groups; 95 % interval, logs drawn whole"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("planner", no_wrap=True, min_width=12)
    for name in ("EPDMS", *SHORT.values()):
        table.add_column(name, justify="right", no_wrap=True)
    for one in differences:
        low, high = one["interval"]
        interval = "interval unknown" if low is None else f"[{low:+.3f}, {high:+.3f}]"
        table.add_row(cell(one["planner"], "bold"), f"[bold]{one['score']:+.3f}")
        table.add_row(escape(f"  {one['after']} - {one['before']}"))
        table.add_row(escape(f"  {interval}"))
        for name, stage in (("one", one["stage_one"]), ("two", one["stage_two"])):
            cells = [f"{stage[metric]:+.2f}" for metric in SHORT]
            table.add_row(f"  stage {name}", f"{stage['score']:+.3f}", *cells)
    return table


def leaderboard(summary: Mapping[str, Any]) -> Table:
    """Return a table of the planners, best first, and their stages; with short labels it fits 80 columns."""
    groups = f"{summary['scene_groups']} scene groups, " if "scene_groups" in summary else "one stage, "
    title = f"{groups}{summary['scenes']} scenes; scores from 0 to 1"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("planner", no_wrap=True, min_width=12)
    for name in ("EPDMS", *SHORT.values(), "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in sorted(summary["planners"].items(), key=lambda item: -item[1]["score"]):
        failed = str(row["failures"]) if row["failures"] else "-"
        table.add_row(cell(label, "bold"), f"[bold]{row['score']:.4f}", *[""] * len(SHORT), failed)
        for name in ("one", "two"):
            if stage := row.get(f"stage_{name}"):
                table.add_row(f"  stage {name}", f"{stage['score']:.4f}", *_cells(stage), "")
    return table


def _cells(stage: Mapping[str, float]) -> list[str]:
    return ["-" if np.isnan(stage[name]) else f"{stage[name]:.2f}" for name in SHORT]
