"""A submission to NAVSIM's leaderboards, as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.scenes import SwerveError

FILE_NAME: Final = "submission.pkl"
# Keys of the file. The first five describe the team.
INFO_KEYS: Final = ("team_name", "authors", "email", "institution", "country / region")
ONE_STAGE: Final = ("predictions",)
TWO_STAGE: Final = ("first_stage_predictions", "second_stage_predictions")


@dataclass(frozen=True)
class SubmittedTrajectory:
    """Trajectory of a scene.

    Attributes:
        poses: x, y, heading of the rear axle in the current ego frame; float64 is stored as such, others as float32.
        horizon: seconds from now to the last pose.
        interval: seconds between poses.

    Raises:
        SwerveError: poses are not finite, or their number does not fit horizon and interval.
    """

    poses: Float[np.ndarray, "n 3"]
    horizon: float
    interval: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.poses).all():
            raise SwerveError("trajectory: a pose is not finite")
        if not math.isclose(len(self.poses) * self.interval, self.horizon):
            raise SwerveError(
                f"trajectory: {len(self.poses)} poses every {self.interval} s do not end after {self.horizon} s"
            )


Predictions = Mapping[str, SubmittedTrajectory]


@dataclass(frozen=True)
class SubmissionInfo:
    """Description of the team.

    Attributes:
        team_name: Name on the leaderboard. It may be a link: <a href=LINK>NAME</a>.
        authors: Names.
        email: Address.
        institution: Institution.
        country: Country or region.
    """

    team_name: str
    authors: str
    email: str
    institution: str
    country: str

    def by_key(self) -> dict[str, str]:
        """Return the values by the keys of the file."""
        return dict(zip(INFO_KEYS, vars(self).values(), strict=True))


@dataclass(frozen=True)
class Submission:
    """A submission.

    Attributes:
        info: the team.
        predictions: by key of the file: those of `TWO_STAGE` for NAVSIM v2, `ONE_STAGE` for v1.
    """

    info: SubmissionInfo
    predictions: Mapping[str, Predictions]
