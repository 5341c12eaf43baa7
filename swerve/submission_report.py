"""Print the check of a submission."""

from rich.console import Console

from swerve.eval.submission.check_submission import SubmissionCheck
from swerve.scenes.printable import printable


def tell_check(found: SubmissionCheck, console: Console) -> None:
    """Print counts, errors and warnings of a check."""
    for key, count in found.counts.items():
        console.print(printable(f"{key}: {count} trajectories"), highlight=False, markup=False)
    for error in found.errors:
        console.print(printable(f"error: {error}"), style="red", markup=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(printable(f"warning: {warning}"), style="yellow", markup=False, soft_wrap=True)
    verdict = f"{len(found.errors)} errors: do not upload this file" if found.errors else "the file is complete"
    console.print(
        f"{verdict}. The server takes one submission a day, answers after about two hours, and gives no reason for a "
        "failure",
        markup=False,
        soft_wrap=True,
    )
