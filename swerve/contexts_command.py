"""Run `swerve contexts`."""

from pathlib import Path

from rich.console import Console

from swerve.consoles import progress_console, results_console
from swerve.data.storage.mirror import shown
from swerve.eval.context.context_job import NOUN, ContextReport, write_contexts
from swerve.eval.training_viewpoints.training_maker import maker_of_set
from swerve.job_report import execution_of, open_sources, show_failures, stoppable, timing_line
from swerve.options.contexts import Contexts


def run(args: Contexts) -> int:
    """Prepare a training set for scoring, print the report, and return the exit code."""
    console = results_console()
    with stoppable():
        report = write_contexts(
            open_sources(args.sources, args.navsim_split),
            args.dataset,
            args.out,
            execution_of(args),
            progress_console(),
            maker_of_set(args.dataset, args.visited),
        )
    show_report(console, args.out, report)
    return 1 if report.failures else 0


def show_report(console: Console, folder: Path, report: ContextReport) -> None:
    """Print the number of samples that can be scored, and the time per stage."""
    summary = report.summary
    scored, unscored = summary["scored"], summary["unscored"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(scored.items())) or "none"
    console.print(f"{sum(scored.values())} samples can be scored ({kinds}), {summary['bytes'] / 1e6:.1f} MB")
    if unscored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(unscored.items()))
        console.print(f"{sum(unscored.values())} cannot ({kinds}), most often because they drive on no lane")
    console.print(f"in {shown(folder)}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    show_failures(console, report.failures)
    console.print(timing_line(report.timing, NOUN, len(report.failures)), highlight=False, soft_wrap=True)
