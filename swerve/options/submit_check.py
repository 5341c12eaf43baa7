"""Options of `swerve submit check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class SubmitCheck:
    """Check a submission for NAVSIM's leaderboards before the upload.

    Says what the server does not: missing and unknown tokens, poses that are not finite or have wrong shapes, horizons,
    keys, and names that the server's Python cannot load. Nothing in the file is run, and no data are needed.

    Exit code: 0; 1 if the file has faults.

    Example: swerve submit check out/submission.pkl --split navhard_two_stage

    Attributes:
        file: Submission.
        split: Split.
    """

    file: Annotated[Positional[Path], arg(metavar="FILE", help="Submission: submission.pkl, of any program.")]
    split: Annotated[
        str,
        arg(
            metavar="SPLIT",
            help="Split of the leaderboard: its YAML file, or its name (navtest, navhard_two_stage, "
            "private_test_hard_two_stage) where NAVSIM_DEVKIT_ROOT names a NAVSIM checkout.",
        ),
    ]
