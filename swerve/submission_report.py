"""Print the check of a submission."""

from typing import Final

from rich.console import Console

from swerve.eval.submission.check_submission import SubmissionCheck
from swerve.job_report import counted
from swerve.scenes.printable import printable

NAVSIM_SERVER: Final = (
    "The server takes one submission a day, answers after about two hours, and gives no reason for a failure"
)
WOD_SERVER: Final = "Upload it at waymo.com/open, where six submissions in 30 days are taken"


def tell_check(found: SubmissionCheck, console: Console, server: str = NAVSIM_SERVER) -> None:
    """Print counts, errors and warnings of a check, and what to know of the server."""
    for key, count in found.counts.items():
        console.print(printable(f"{key}: {count} trajectories"), highlight=False, markup=False)
    for error in found.errors:
        console.print(printable(f"error: {error}"), style="red", markup=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(printable(f"warning: {warning}"), style="yellow", markup=False, soft_wrap=True)
    verdict = (
        f"{counted(len(found.errors), 'error')}: do not upload this file" if found.errors else "the file is complete"
    )
    console.print(f"{verdict}. {server}", markup=False, soft_wrap=True)
