"""Trajectory bank: 4 s human trajectories of a log."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import scipy
from jaxtyping import Float, Float32, Int, Int32

from swerve.scenes.viewpoints.follow_up.follow_up_options import STEP, FollowUpOptions
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, StartGrid
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.motion_smoother import Motion
from swerve.scenes.viewpoints.plausibility import plausible

# Seconds between the starts of a vehicle's trajectories.
_EVERY = 0.5
# Steps longer than this many median steps are gaps.
_GAP = 1.5
# Faster reversing, m/s, is left out; so are other vehicles that move less than this, metres: they are parked.
_REVERSE, _LEAST_MOVE = -0.1, 1.0
# Range of lengths of cars and vans, metres.
_LENGTHS = (3.0, 7.0)
_NAMES = ("positions", "headings", "speeds", "accelerations", "curvatures")


@dataclass(frozen=True)
class TrajectoryBank:
    """Human trajectories of equal duration, a step every 0.1 s, each relative to its first rear-axle pose.

    Holds arrays and names only, so that it can be serialized as such.

    Attributes:
        positions: rear axle, metres.
        headings: radians, continuous from 0.
        speeds: m/s.
        accelerations: m/s2 along the heading.
        curvatures: 1/m.
        logs: row in `names` of each trajectory's log.
        names: log names.
    """

    positions: Float32[np.ndarray, "n s 2"]
    headings: Float32[np.ndarray, "n s"]
    speeds: Float32[np.ndarray, "n s"]
    accelerations: Float32[np.ndarray, "n s"]
    curvatures: Float32[np.ndarray, "n s"]
    logs: Int32[np.ndarray, "n"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.logs)

    @cached_property
    def keys(self) -> "BankKeys":
        """Return the states that trajectories are found by."""
        columns = (self.speeds[:, 0], self.accelerations[:, 0], self.positions[:, -1], self.headings[:, -1])
        return BankKeys(*(np.ascontiguousarray(column) for column in columns))

    @classmethod
    def empty(cls, options: FollowUpOptions) -> "TrajectoryBank":
        """Return an empty bank."""
        flat = np.zeros((0, options.steps), np.float32)
        return cls(flat[..., None].repeat(2, axis=-1), flat, flat, flat, flat, np.zeros(0, np.int32), ())

    def concatenate(self, *others: "TrajectoryBank") -> "TrajectoryBank":
        """Concatenate banks."""
        banks = (self, *others)
        first = np.cumsum([0, *(len(bank.names) for bank in banks)])
        logs = [bank.logs + np.int32(start) for bank, start in zip(banks, first[:-1], strict=True)]
        return TrajectoryBank(
            **{name: np.concatenate([getattr(bank, name) for bank in banks]) for name in _NAMES},
            logs=np.concatenate(logs),
            names=tuple(name for bank in banks for name in bank.names),
        )


@dataclass(frozen=True)
class BankKeys:
    """First and last states of trajectories, in arrays of their own: whole trajectories may lie in a mapped file.

    Attributes:
        speeds: initial, m/s.
        accelerations: initial, m/s2.
        ends: final position, metres.
        headings: final, radians.
    """

    speeds: Float32[np.ndarray, "n"]
    accelerations: Float32[np.ndarray, "n"]
    ends: Float32[np.ndarray, "n 2"]
    headings: Float32[np.ndarray, "n"]


@dataclass(frozen=True)
class Match:
    """Nearest bank trajectory for each start point that has one.

    Attributes:
        points: rows in the grid, increasing.
        trajectories: rows in the bank.
        lateral: metres from the start point to the trajectory's end, left of the path positive.
        longitudinal: metres from the start point to the trajectory's end, along the path.
    """

    points: Int[np.ndarray, "m"]
    trajectories: Int[np.ndarray, "m"]
    lateral: Float[np.ndarray, "m"]
    longitudinal: Float[np.ndarray, "m"]


def build_trajectory_bank(geometry: LogGeometry, options: FollowUpOptions) -> TrajectoryBank:
    """Extract the trajectories of one log: the ego's, and those of moving cars and vans.

    A trajectory begins every half second. It is used where the vehicle is annotated at every step, no step is missing,
    and its smoothed motion is plausible and never reverses.
    """
    seconds, step = geometry.seconds, geometry.log.step
    starts = np.arange(0, len(seconds), max(round(_EVERY / step), 1))
    ends = np.searchsorted(seconds, seconds[starts] + options.horizon - 1e-6)
    starts, ends = starts[ends < len(seconds)], ends[ends < len(seconds)]
    gaps = np.concatenate([[0], np.cumsum(np.diff(seconds) > _GAP * step)])
    even = gaps[ends] == gaps[starts]
    starts, ends = starts[even], ends[even]
    found = [_drives(geometry, geometry.ego_motion, starts, options, 0.0)]
    valid = geometry.log.tracks.valid
    for place, row in enumerate(geometry.agent_rows):
        if _LENGTHS[0] <= geometry.sizes[row, 0] <= _LENGTHS[1]:
            absent = np.concatenate([[0], np.cumsum(~valid[row])])
            seen = starts[absent[ends + 1] == absent[starts]]
            found.append(_drives(geometry, geometry.agent_motions.of(place), seen, options, _LEAST_MOVE))
    joined = Motion(*(np.concatenate([getattr(one, field.name) for one in found]) for field in fields(Motion)))
    logs = np.zeros(len(joined.speeds), np.int32)
    arrays = {name: getattr(joined, name).astype(np.float32) for name in _NAMES}
    return TrajectoryBank(**arrays, logs=logs, names=(geometry.log.name,))


def _drives(
    geometry: LogGeometry, motion: Motion, starts: Int[np.ndarray, "k"], options: FollowUpOptions, least_move: float
) -> Motion:
    """Extract one vehicle's valid trajectories that begin at the given steps, relative to their own starts."""
    clock = np.arange(options.steps) * STEP
    shape = (len(starts), len(clock))
    query = (geometry.seconds[starts][:, None] + clock).ravel()
    flat = motion.resampled(geometry.seconds, np.minimum(query, geometry.seconds[-1]))
    values = [getattr(flat, field.name) for field in fields(Motion)]
    whole = Motion(*(value.reshape(*shape, *value.shape[1:]) for value in values))
    move = np.linalg.norm(whole.positions[:, -1] - whole.positions[:, 0], axis=-1)
    forward = whole.speeds.min(axis=1, initial=np.inf) >= _REVERSE
    good = (move >= least_move) & forward & plausible(whole, clock, geometry.log.vehicle)
    kept = Motion(*(getattr(whole, field.name)[good] for field in fields(Motion)))
    turned = rotate_points(kept.positions - kept.positions[:, :1], -kept.headings[:, :1])
    values = [getattr(kept, field.name) for field in fields(Motion)[2:]]
    return Motion(turned, kept.headings - kept.headings[:, :1], *values)


def match(bank: TrajectoryBank, expert: HumanReference, grid: StartGrid, options: FollowUpOptions) -> Match:
    """Find the nearest bank trajectory for each start point, with all trajectories placed at the human's state.

    A trajectory must match the human's initial speed and acceleration, and end near the start point, about in the
    path's direction there. The paper asks for similarity in speed, acceleration and heading without saying when. At the
    end speed cannot be meant, since rows lie as far apart as 4 s of 4 m/s2 can bring them; nor can the human's final
    heading on a bend, where other rows of the grid have other directions. On a straight road it is the same.

    Start points with a heading or speed offset get none: both are given by the trajectory. The human's own trajectory
    is in the bank of the log if one begins at this timestamp, and then matches the point (0, 0).
    """
    keys = bank.keys
    alike = np.flatnonzero(
        (np.abs(keys.speeds - expert.speed) <= options.bank_speed)
        & (np.abs(keys.accelerations - expert.acceleration) <= options.bank_acceleration)
    )
    ends = expert.position + rotate_points(keys.ends[alike].astype(np.float64), expert.heading)
    headings = expert.heading + keys.headings[alike].astype(np.float64)
    reach = np.hypot(options.bank_lateral_tolerance, options.bank_longitudinal_tolerance)
    plain = np.flatnonzero(grid.plain)
    pairs = scipy.spatial.KDTree(grid.positions[plain]).sparse_distance_matrix(
        scipy.spatial.KDTree(ends), reach, output_type="ndarray"
    )
    point, drive = plain[pairs["i"]], pairs["j"]
    gap = rotate_points(ends[drive] - grid.positions[point], -grid.headings[point])
    near = (np.abs(gap[:, 0]) <= options.bank_longitudinal_tolerance) & (
        np.abs(gap[:, 1]) <= options.bank_lateral_tolerance
    )
    # Both headings are unwrapped relative to the human's, so that a full turn is a difference.
    fits = np.flatnonzero(near & (np.abs(headings[drive] - grid.headings[point]) <= options.bank_heading))
    # The first of each point is the nearest; ties go to the first in the bank.
    order = fits[np.lexsort((drive[fits], pairs["v"][fits], point[fits]))]
    points, first = np.unique(point[order], return_index=True)
    chosen = order[first]
    return Match(points, alike[drive[chosen]], gap[chosen, 1], gap[chosen, 0])


def rotate_points(
    points: Float[np.ndarray, "*b 2"], angle: Float[np.ndarray, "..."] | float
) -> Float[np.ndarray, "*b 2"]:
    """Rotate points about the origin by an angle in radians."""
    x, y = points[..., 0], points[..., 1]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
