"""Privileged planners: logged human, IDM on the route, PDM-Closed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from swerve.eval.context.pdm_closed import (
    IdmParameters,
    PdmOptions,
    idm_trajectory,
    reference_trajectory,
    speed_limit_of,
)
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.scoring.thresholds import (
    DEFAULT_SPEED_LIMIT,
    IDM_ACCELERATION,
    IDM_DECELERATION,
    IDM_GAP,
    IDM_HEADWAY,
    LATERAL_OFFSETS,
    POSE_INTERVAL,
    SPEED_SHARES,
    STEP,
    STEPS,
)
from swerve.planners.baselines.parameter_checks import check_numbers
from swerve.scenes import SwerveError
from swerve.scenes.planning import LoggedFuture, Observation, Trajectory
from swerve.scenes.transforms import pose_from_yaw, relative_poses


@dataclass(frozen=True)
class LoggedHuman:
    """Human trajectory of the log."""

    cameras: ClassVar[tuple[str, ...]] = ()
    privileged: ClassVar[bool] = True
    future_only: ClassVar[bool] = True

    def plan(self, observation: Observation) -> Trajectory:
        """Return the human's poses.

        Raises:
            SwerveError: the human's trajectory is unknown.
        """
        if isinstance(observation.privileged, LoggedFuture):
            return Trajectory(observation.privileged.poses, observation.privileged.interval)
        human = privileged_state(observation).human
        if human is None:
            raise SwerveError(f"scene {observation.token}: the human's trajectory is unknown")
        return Trajectory(human, POSE_INTERVAL)


@dataclass(frozen=True)
class Idm:
    """Intelligent Driver Model along the route's centreline: one proposal of PDM-Closed, without scoring.

    Objects keep their velocity, red lights stay red. As in PDM-Closed, the first pose lies on the centreline, even if
    the car is beside it, and the first 0.1 s use the maximum deceleration.

    Attributes:
        target_speed: target speed on a free road, m/s; None for a share of the speed limit.
        speed_share: share of the speed limit, without a target speed.
        headway: seconds to the leader.
        gap: metres to the leader at standstill.
        acceleration: maximum acceleration, m/s2.
        deceleration: comfortable and maximum deceleration, m/s2.
        lateral_offset: metres left of the centreline.
        default_speed_limit: speed limit of lanes without one, m/s.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    privileged: ClassVar[bool] = True
    target_speed: float | None = None
    speed_share: float = 1.0
    headway: float = IDM_HEADWAY
    gap: float = IDM_GAP
    acceleration: float = IDM_ACCELERATION
    deceleration: float = IDM_DECELERATION
    lateral_offset: float = 0.0
    default_speed_limit: float = DEFAULT_SPEED_LIMIT

    def __post_init__(self) -> None:
        positive = ("target_speed", "speed_share", "default_speed_limit", "acceleration", "deceleration")
        check_numbers(self, positive, ("headway", "gap"))

    def plan(self, observation: Observation) -> Trajectory:
        """Return the poses of IDM on the centreline, every 0.1 s up to 4 s.

        Raises:
            SwerveError: the observation lacks the simulator state.
        """
        privileged_input = privileged_state(observation)
        limit = speed_limit_of(privileged_input, self.default_speed_limit)
        target = self.target_speed or limit * self.speed_share
        driver = IdmParameters(self.headway, self.gap, self.acceleration, self.deceleration)
        return _from_world(idm_trajectory(privileged_input, target, self.lateral_offset, driver), privileged_input)


@dataclass(frozen=True)
class PdmClosed:
    """PDM-Closed: fifteen IDM proposals, of which the best by simulation and score is returned.

    Attributes:
        speed_factor: factor of the proposals' target speeds, which are 20, 40, ..., 100 % of the limit.
        lateral_offset: added to the proposals' offsets, which are 0 and 1 m to either side of the centreline.
        headway: seconds to the leader.
        gap: metres to the leader at standstill.
        acceleration: maximum acceleration, m/s2.
        deceleration: comfortable and maximum deceleration, m/s2.
        default_speed_limit: speed limit of lanes without one, m/s.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    privileged: ClassVar[bool] = True
    speed_factor: float = 1.0
    lateral_offset: float = 0.0
    headway: float = IDM_HEADWAY
    gap: float = IDM_GAP
    acceleration: float = IDM_ACCELERATION
    deceleration: float = IDM_DECELERATION
    default_speed_limit: float = DEFAULT_SPEED_LIMIT

    def __post_init__(self) -> None:
        positive = ("speed_factor", "default_speed_limit", "acceleration", "deceleration")
        check_numbers(self, positive, ("headway", "gap"))

    @property
    def options(self) -> PdmOptions:
        """Options of the proposals."""
        return PdmOptions(
            tuple(share * self.speed_factor for share in SPEED_SHARES),
            tuple(offset + self.lateral_offset for offset in LATERAL_OFFSETS),
            self.default_speed_limit,
            IdmParameters(self.headway, self.gap, self.acceleration, self.deceleration),
        )

    def plan(self, observation: Observation) -> Trajectory:
        """Return the poses of the best proposal, every 0.1 s up to 4 s.

        Raises:
            SwerveError: the observation lacks the simulator state.
        """
        privileged_input = privileged_state(observation)
        return _from_world(reference_trajectory(privileged_input, self.options), privileged_input)


def privileged_state(observation: Observation) -> PrivilegedInput:
    """Return the simulator state given to a privileged planner.

    Raises:
        SwerveError: the observation has none.
    """
    if not isinstance(observation.privileged, PrivilegedInput):
        raise SwerveError(f"scene {observation.token}: this planner needs the simulator state (privileged)")
    return observation.privileged


def _from_world(poses: Float[np.ndarray, "t 3"], privileged_input: PrivilegedInput) -> Trajectory:
    """Convert world poses at 0, 0.1, ... s to a trajectory up to 4 s."""
    x, y, heading = privileged_input.ego[:3]
    ahead = poses[1:STEPS]
    matrices = pose_from_yaw(np.column_stack([ahead[:, :2], np.zeros(len(ahead))]), ahead[:, 2])
    return Trajectory(relative_poses(pose_from_yaw(np.array([x, y, 0.0]), heading), matrices), STEP)
