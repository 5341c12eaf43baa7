"""The command line."""

import sys
from typing import Annotated

import typer

from swerve import __version__
from swerve.augment_command import augment
from swerve.build_command import build
from swerve.contexts_command import contexts
from swerve.drive_command import drive
from swerve.evaluate_command import evaluate
from swerve.fit_command import fit
from swerve.info_command import info
from swerve.probe_command import probe
from swerve.proposals_command import proposals
from swerve.quality_command import quality
from swerve.scenes import SwerveError
from swerve.scenes.compilation import announce_compilation
from swerve.score_command import score
from swerve.show_command import show
from swerve.study_command import study
from swerve.train_command import train

app = typer.Typer(
    help="Take a recorded drive off its log: draw what the car would have seen from where it never was, and score what "
    "a planner would have done. A SOURCE is av2:PATH, waymo:PATH, neutral:PATH, town:COUNT (made up on the spot), or a "
    "path whose kind is recognised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(augment)
app.command()(build)
app.command()(contexts)
app.command()(drive)
app.command()(evaluate)
app.command()(fit)
app.command()(info)
app.command()(probe)
app.command()(proposals)
app.command()(quality)
app.command()(score)
app.command()(show)
app.command()(study)
app.add_typer(train, name="train")


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Runs the command line; the user's mistakes end in one line and exit code 2, without a traceback."""
    announce_compilation()
    try:
        app()
    except SwerveError as error:
        typer.secho("error: ", fg="red", err=True, nl=False)
        typer.echo(str(error), err=True)
        sys.exit(2)
