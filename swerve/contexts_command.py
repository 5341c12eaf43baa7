"""`swerve contexts`: a training set in, what the scorer needs to know of each of its samples out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from swerve.data.sources.registry import open_source
from swerve.eval.context.context_job import NOUN, ContextReport
from swerve.eval.context.context_job import write_contexts as run_contexts
from swerve.job_report import show_failures, stoppable, timing_line


def contexts(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Those that the set was made of; any number.")],
    dataset: Annotated[Path, typer.Argument(metavar="SET", help="A finished set of `swerve augment`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder; new, empty, or of this same job.")],
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)] = None,
) -> None:
    """Prepare a training set for scoring in the loop: the scene of every sample, as the scorer needs it.

    Of recovery and cross-agent samples too, from their own seats; docs/stream.md says how. A job that was stopped, or
    killed, goes on where it was when the same command is given again.

    Exit code: 0, or 1 if a log failed, or 2 if the job could not run.

    Example: swerve contexts av2:~/av2/train ~/sets/av2 ~/sets/av2-contexts
    """
    console = Console()
    with stoppable(console):
        report = run_contexts([open_source(source) for source in sources], dataset, out, workers, console)
    show_report(console, out, report)
    if report.failures:
        raise typer.Exit(1)


def show_report(console: Console, folder: Path, report: ContextReport) -> None:
    """Prints how many samples can be scored, and where the time went."""
    summary = report.summary
    scored, unscored = summary["scored"], summary["unscored"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(scored.items())) or "none"
    console.print(f"{sum(scored.values())} samples can be scored ({kinds}), {summary['bytes'] / 1e6:.1f} MB")
    if unscored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(unscored.items()))
        console.print(f"{sum(unscored.values())} cannot ({kinds}), most often because they drive on no lane")
    console.print(f"in {folder}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    show_failures(console, report.failures)
    console.print(timing_line(report.timing, NOUN), highlight=False, soft_wrap=True)
