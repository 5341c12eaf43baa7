"""Run `swerve compare`."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, results_console
from swerve.data.storage.files import make_folder, to_json, write_atomically
from swerve.eval.benchmark.benchmark_store import BENCHMARK, Benchmark, open_benchmark
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.report.compared import Comparison, Evaluated, compare, few_warning, read_evaluations, reason, verdict
from swerve.eval.report.comparison_page import ComparisonOptions, GroupFinder, comparison_page
from swerve.eval.scoring.score_tables import write_rows
from swerve.options.compare import Compare
from swerve.output import write_output
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.short_names import SHORT
from swerve.views.of_source import benchmark_of

PAGE = "index.html"
# Pairs printed; the page has all.
_PRINTED = 10


def run(args: Compare) -> int:
    """Compare evaluations, print and write the result, and return the exit code."""
    if not args.evaluations:
        raise SwerveError("no EVALUATION is given: EVALUATION... and then OUT are needed")
    evaluations, console = read_evaluations(args.evaluations), results_console()
    comparison = compare(evaluations)
    find, why_not = _group_finder(args, evaluations[0])
    _print(comparison, console)
    options = ComparisonOptions(scenes=args.scenes, without_images=why_not)
    page = comparison_page(comparison, find, options).encode()
    write_output(args.out, lambda folder: _write(folder, comparison, evaluations, page))
    _say(console, f"wrote {args.out / PAGE}")
    return 0


def _print(comparison: Comparison, console: Console) -> None:
    print_table(console, scores_table(comparison))
    print_table(console, pairs_table(comparison))
    if warning := few_warning(comparison):
        console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    for note in comparison.notes:
        console.print(printable(note), style="yellow", markup=False, highlight=False, soft_wrap=True)
    _say(console, verdict(comparison))
    _say(console, f"Why: {reason(comparison)}")


def _say(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def scores_table(comparison: Comparison) -> Table:
    """Return a table of the planners, best first."""
    table = _table(f"{len(comparison.tokens)} {comparison.unit} of {len(set(comparison.logs))} logs", "planner")
    for name in ("EPDMS", *SHORT.values(), "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in comparison.planners:
        score, failed = f"[bold]{one.score:.4f}", str(one.failures or "-")
        if len(one.means) == 1:
            table.add_row(cell(one.label, "bold"), score, *_cells(one.means[0]), failed)
            continue
        table.add_row(cell(one.label, "bold"), score, *[""] * len(SHORT), failed)
        for name, means in zip(("one", "two"), one.means, strict=True):
            table.add_row(f"  stage {name}", f"{means[len(SHORT)]:.4f}", *_cells(means), "")
    return table


def _cells(means: Float[np.ndarray, "10"]) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.2f}" for value in means[: len(SHORT)]]


def pairs_table(comparison: Comparison) -> Table:
    """Return a table of the differences of pairs."""
    more = len(comparison.differences) - _PRINTED
    rest = f"; {more} more pairs in the page" if more > 0 else ""
    table = _table(f"differences, paired by scene; 95 % intervals{rest}", "planner")
    table.add_column("minus", no_wrap=True)
    for name in ("difference", "interval", "won", "lost", "verdict"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in comparison.differences[:_PRINTED]:
        known = bool(np.isfinite(one.low))
        interval = f"{one.low:+.3f} {one.high:+.3f}" if known else "unknown"
        judged = "higher" if one.is_certain else "may be chance" if known else "unknown"
        counts = (str(one.better), str(one.worse))
        table.add_row(cell(one.first, "bold"), cell(one.second), f"{one.score:+.3f}", interval, *counts, judged)
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column(first, no_wrap=True, min_width=12)
    return table


def _write(folder: Path, comparison: Comparison, evaluations: tuple[Evaluated, ...], page: bytes) -> None:
    make_folder(folder)
    stamp = {"evaluations": {one.name: dict(one.stamp) for one in evaluations}}
    write_rows(folder / "scenes.csv", _rows(comparison), stamp)
    write_atomically(folder / "comparison.json", to_json(_summary(comparison)))
    write_atomically(folder / PAGE, page)


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"log": log, "token": token, **{one.label: float(one.scene_group_scores[row]) for one in comparison.planners}}
        for row, (log, token) in enumerate(zip(comparison.logs, comparison.tokens, strict=True))
    ]


def _summary(comparison: Comparison) -> dict[str, Any]:
    return {
        "verdict": verdict(comparison),
        "reason": reason(comparison),
        "warning": few_warning(comparison),
        "notes": list(comparison.notes),
        comparison.unit.replace(" ", "_"): len(comparison.tokens),
        "logs": len(set(comparison.logs)),
        "planners": {
            one.label: {"score": one.score, "evaluation": str(one.evaluated.folder), "failures": one.failures}
            for one in comparison.planners
        },
        "differences": [one.as_json() for one in comparison.differences],
    }


def _group_finder(args: Compare, first: Evaluated) -> tuple[GroupFinder | None, str]:
    """Return how scene groups are found for the images; or None, and why not.

    Raises:
        SwerveError: `--benchmark` names another benchmark than that of the evaluations.
    """
    if not args.scenes:
        return None, "No scenes are shown, as --scenes 0 asks."
    folder = args.benchmark or benchmark_of(first.folder)
    if folder is None or not (folder / BENCHMARK).is_file():
        if args.benchmark:
            raise SwerveError(
                f"{args.benchmark}: no {BENCHMARK}: not a finished benchmark. Give that of {first.folder}"
            )
        return None, "The benchmark of the evaluations is not where they say: --benchmark FOLDER shows its scenes."
    opened = open_benchmark(folder)
    if opened.identity()["digest"] != first.stamp.get("benchmark", {}).get("digest"):
        raise SwerveError(f"{folder}: is not the benchmark of {first.folder}, or was built again. Give the one it was")
    return _finder(opened), ""


def _finder(opened: Benchmark) -> GroupFinder:
    scenes = opened.scenes()
    names = dict(zip(scenes["token"].to_pylist(), scenes["scene_group"].to_pylist(), strict=True))

    def find(token: str) -> SceneGroup:
        return opened.scene_group(names[token])

    return find
