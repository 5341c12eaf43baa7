"""Run `swerve submit check`."""

from rich.console import Console

from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.submission.check_submission import check_submission, expected_tokens
from swerve.options.submit_check import SubmitCheck
from swerve.scenes.errors import SwerveError
from swerve.submission_report import tell_check


def run(asked: SubmitCheck) -> int:
    """Check a submission, print what was found, and return the exit code."""
    if not asked.file.is_file():
        raise SwerveError(f"{asked.file}: no such file")
    found = check_submission(asked.file, expected_tokens(read_split(asked.split)))
    tell_check(found, Console())
    return 1 if found.errors else 0
