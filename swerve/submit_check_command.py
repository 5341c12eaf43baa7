"""Run `swerve submit check`."""

from swerve.consoles import results_console
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.submission.check_submission import SubmissionCheck, check_submission, expected_tokens
from swerve.eval.submission.check_wod_submission import (
    FRAMES_FILE,
    check_wod_submission,
    is_wod_submission,
    read_frames_to_submit,
)
from swerve.options.submit_check import SubmitCheck
from swerve.scenes import SwerveError
from swerve.submission_report import NAVSIM_SERVER, WOD_SERVER, tell_check


def run(asked: SubmitCheck) -> int:
    """Check a submission, print what was found, and return the exit code."""
    if asked.file.is_dir():
        raise SwerveError(f"{asked.file}: is a folder: give the file in it, submission.pkl or that of WOD-E2E")
    if not asked.file.is_file():
        raise SwerveError(f"{asked.file}: no such file")
    wod = is_wod_submission(asked.file)
    found = _check_wod(asked) if wod else _check_navsim(asked)
    tell_check(found, results_console(), WOD_SERVER if wod else NAVSIM_SERVER)
    return 1 if found.errors else 0


def _check_wod(asked: SubmitCheck) -> SubmissionCheck:
    """Check an archive for WOD-E2E.

    Raises:
        SwerveError: the frames to submit are not given, or a split of NAVSIM's is.
    """
    if asked.split is not None:
        raise SwerveError(f"{asked.file}: is an archive for WOD-E2E, which takes --frames {FRAMES_FILE}, not --split")
    if asked.frames is None:
        raise SwerveError(f"{asked.file}: is an archive for WOD-E2E: give --frames {FRAMES_FILE}, of the data set")
    return check_wod_submission(asked.file, read_frames_to_submit(asked.frames))


def _check_navsim(asked: SubmitCheck) -> SubmissionCheck:
    """Check a pickle for NAVSIM.

    Raises:
        SwerveError: the split is not given, or frames of WOD-E2E are.
    """
    if asked.frames is not None:
        raise SwerveError(f"{asked.file}: is no archive for WOD-E2E; a pickle for NAVSIM takes --split, not --frames")
    if asked.split is None:
        raise SwerveError(f"{asked.file}: is a file for NAVSIM: say which split, as in --split navtest")
    return check_submission(asked.file, expected_tokens(read_split(asked.split)))
