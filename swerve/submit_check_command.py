"""Run `swerve submit check`."""

from rich.console import Console

from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.submission.check_submission import SubmissionCheck, check_submission, expected_tokens
from swerve.options.submit_check import SubmitCheck


def run(asked: SubmitCheck) -> int:
    """Check a submission, print what was found, and return the exit code."""
    found = check_submission(asked.file, expected_tokens(read_split(asked.split)))
    tell_check(found, Console())
    return 1 if found.errors else 0


def tell_check(found: SubmissionCheck, console: Console) -> None:
    """Print counts, errors and warnings of a check."""
    for key, count in found.counts.items():
        console.print(f"{key}: {count} trajectories", highlight=False, markup=False)
    for error in found.errors:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    verdict = f"{len(found.errors)} errors: do not upload this file" if found.errors else "the file is complete"
    console.print(
        f"{verdict}. The server takes one submission a day, answers after about two hours, and gives no reason for a "
        "failure",
        markup=False,
        soft_wrap=True,
    )
