"""Options of `swerve submit check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class SubmitCheck:
    """Check a submission for NAVSIM's leaderboards or Waymo's end-to-end challenge before the upload.

    Says what the server does not. Of NAVSIM's submission.pkl: missing and unknown tokens, poses that are not finite or
    have wrong shapes, horizons, keys, and names that the server's Python cannot load. Of a .tar.gz file for WOD-E2E:
    missing sequences, wrong frames, trajectories without 20 points, and required fields. The kind of file is detected.
    Nothing in the file is run, and no data are needed.

    Exit code: 0; 1 if the file has faults.

    Example: swerve submit check out/submission.pkl --split navhard_two_stage

    Example: swerve submit check out/submission.tar.gz --frames test_sequence_frames_for_submission.json

    Attributes:
        file: Submission.
        split: Split.
        frames: Frames to submit.
    """

    file: Annotated[
        Positional[Path], arg(metavar="FILE", help="Submission: submission.pkl or a .tar.gz file, of any program.")
    ]
    split: Annotated[
        str | None,
        arg(
            metavar="SPLIT",
            help="Of NAVSIM's leaderboard, the split: its YAML file, or its name (navtest, navhard_two_stage, "
            "private_test_hard_two_stage) where NAVSIM_DEVKIT_ROOT names a NAVSIM checkout.",
        ),
    ] = None
    frames: Annotated[
        Path | None,
        arg(
            metavar="FILE.json",
            help="Of WOD-E2E, the frame of every sequence: test_sequence_frames_for_submission.json of the data set.",
        ),
    ] = None
