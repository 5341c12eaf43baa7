"""Run `swerve augment`."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from swerve.consoles import print_table, progress_console, results_console
from swerve.data.dataset.acceptance import acceptance_tables
from swerve.data.dataset.augment_job import AugmentReport, augment
from swerve.data.jobs import read_failures
from swerve.data.storage.mirror import shown
from swerve.eval.training_viewpoints import maker_of
from swerve.job_report import counted, execution_of, open_sources, show_failures, stoppable, timing_line
from swerve.options.augment import Augment
from swerve.rasterizer.backends import Backend, Chosen, resolve_backend, unavailable_reason


def run(args: Augment) -> int:
    """Augment logs, print the report, and return the exit code."""
    console = results_console()
    progress = progress_console()
    options = replace(args.options, backend=_chosen_backend(progress, args.options.backend))
    maker = maker_of(options, args.training)
    with stoppable():
        sources = open_sources(args.sources, args.navsim_split)
        report = augment(sources, args.out, options, execution_of(args), progress, maker)
    show_report(console, args.out, report)
    return 1 if report.summary["failures"] else 0


def _chosen_backend(console: Console, backend: Backend) -> Chosen:
    """Return the back end that is used, and print a line if auto falls back to the CPU."""
    chosen = resolve_backend(backend)
    if backend == "auto" and chosen == "numba":
        console.print(f"Rendering on the CPU: {unavailable_reason('cuda')}.", highlight=False, soft_wrap=True)
    return chosen


def show_report(console: Console, folder: Path, report: AugmentReport) -> None:
    """Print the numbers of samples, rejections and failures, and the time per stage."""
    summary = report.summary
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(summary["samples_by_kind"].items())) or "none"
    size = f"{counted(summary['shards'], 'shard')}, {summary['bytes'] / 1e6:.1f} MB"
    samples, logs = counted(summary["samples"], "sample"), counted(summary["logs"], "log")
    console.print(f"{samples} ({kinds}) of {logs} in {size}", highlight=False, soft_wrap=True)
    console.print(f"in {shown(folder)}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    if summary["rejections"]:
        print_table(console, _rejections(summary["rejections"]))
    for table in acceptance_tables(summary):
        print_table(console, table)
    show_failures(console, read_failures(folder))
    console.print(timing_line(report.timing, "samples", summary["failures"]), highlight=False, soft_wrap=True)


def _rejections(rejections: dict[str, dict[str, int]]) -> Table:
    """Return a table of rejected viewpoints by kind and reason."""
    table = Table("kind", "rejected because", "count", box=None)
    for kind, reasons in rejections.items():
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            table.add_row(kind, reason, str(count))
    return table
