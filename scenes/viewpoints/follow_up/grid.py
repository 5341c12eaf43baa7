"""Grid of start points around the human's position when the second stage begins."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.scenes.log import Scene
from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.path import DrivenPath


@dataclass(frozen=True)
class HumanReference:
    """Smoothed logged human from the start of the first stage to that of the second.

    Attributes:
        steps: steps of the log, from the first stage to the first step not before the horizon.
        position: initial position of the rear axle, metres.
        heading: initial heading, radians.
        speed: m/s, not negative.
        acceleration: m/s2.
        along: initial arc length on the path, metres.
        end: arc length at the horizon, metres.
    """

    steps: slice
    position: Float[np.ndarray, "2"]
    heading: float
    speed: float
    acceleration: float
    along: float
    end: float

    @classmethod
    def of(cls, scene: Scene, geometry: LogGeometry, horizon: float) -> "HumanReference":
        """Compute the human reference of a scene.

        Raises:
            ValueError: the log ends more than half a step before the horizon.
        """
        seconds, now = geometry.seconds, scene.now
        arrival = float(seconds[now]) + horizon
        if seconds[-1] < arrival - scene.log.step / 2:
            left = f"{seconds[-1] - seconds[now]:.2f} s"
            raise ValueError(f"log {scene.log.name} ends {left} after scene {scene.token}, needs {horizon} s")
        motion = geometry.ego_motion
        last = min(int(np.searchsorted(seconds, arrival - 1e-6)), len(seconds) - 1)
        return cls(
            slice(now, last + 1),
            motion.positions[now],
            float(motion.headings[now]),
            max(float(motion.speeds[now]), 0.0),
            float(motion.accelerations[now]),
            float(geometry.path.arc_lengths[now]),
            float(geometry.arc_lengths_at(np.array([arrival]))[0]),
        )


@dataclass(frozen=True)
class StartGrid:
    """Start points of a grid.

    Attributes:
        indices: indices of the points.
        lateral: metres, left of the path.
        longitudinal: metres along the path from the human's final position.
        heading_offsets: heading offset from the path, radians.
        speed_offsets: speed offset, metres per second.
        along: arc length of the nearest point on the path.
        positions: rear axle, world frame, metres.
        headings: of the path at the nearest point, radians, continuous.
    """

    indices: Int[np.ndarray, "p"]
    lateral: Float[np.ndarray, "p"]
    longitudinal: Float[np.ndarray, "p"]
    heading_offsets: Float[np.ndarray, "p"]
    speed_offsets: Float[np.ndarray, "p"]
    along: Float[np.ndarray, "p"]
    positions: Float[np.ndarray, "p 2"]
    headings: Float[np.ndarray, "p"]

    def __len__(self) -> int:
        return len(self.indices)

    def of(self, rows: Bool[np.ndarray, "p"] | Int[np.ndarray, "q"]) -> "StartGrid":
        """Select points."""
        return StartGrid(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def plain(self) -> Bool[np.ndarray, "p"]:
        """Points without heading or speed offset."""
        plain: Bool[np.ndarray, "p"] = (self.heading_offsets == 0) & (self.speed_offsets == 0)
        return plain


def grid_of(human: HumanReference, path: DrivenPath, options: FollowUpOptions) -> StartGrid:
    """Build all start points that the options and the human's speed allow, by index.

    Rows extend from the position after braking with `reach` (or the stop) to that after accelerating with it; offsets
    count from the human's actual position, which always has a row. Index 0 is that point; then follow columns -1, 1,
    -2, ... and rows -1, 1, -2, ..., all of one (heading, speed) before the next. So a point keeps its index whatever
    the human's speed, and whatever headings and speeds come after its own.
    """
    columns = _outwards(int(options.lateral / options.lateral_step + 1e-6))
    all_rows = _outwards(int(options.max_acceleration * options.horizon**2 / options.longitudinal_step + 1e-6))
    least, most = reachable(human.speed, options)
    place = human.end + all_rows * options.longitudinal_step - human.along
    fits = (place >= least - 1e-6) & (place <= most + 1e-6) | (all_rows == 0)
    shape = (len(options.heading_offsets), len(options.speed_offsets), len(all_rows), len(columns))
    turn, faster, row, column = (places.ravel() for places in np.indices(shape))
    chosen = fits[row]
    lateral = columns[column[chosen]] * options.lateral_step
    longitudinal = all_rows[row[chosen]] * options.longitudinal_step
    headings = np.array(options.heading_offsets, dtype=np.float64)[turn[chosen]]
    speeds = np.array(options.speed_offsets, dtype=np.float64)[faster[chosen]]
    return points_at(human, path, np.flatnonzero(chosen), lateral, longitudinal, headings, speeds)


def points_at(
    human: HumanReference,
    path: DrivenPath,
    indices: Int[np.ndarray, "p"],
    lateral: Float[np.ndarray, "p"],
    longitudinal: Float[np.ndarray, "p"],
    heading_offsets: Float[np.ndarray, "p"],
    speed_offsets: Float[np.ndarray, "p"],
) -> StartGrid:
    """Build start points at the given offsets, see `StartGrid`."""
    along = human.end + longitudinal
    at = path.at(along)
    left = np.stack([-np.sin(at.headings), np.cos(at.headings)], axis=-1)
    positions = at.positions[:, :2] + lateral[:, None] * left
    return StartGrid(indices, lateral, longitudinal, heading_offsets, speed_offsets, along, positions, at.headings)


def reachable(speed: float, options: FollowUpOptions) -> tuple[float, float]:
    """Return the shortest and longest distance in metres drivable within the horizon, without reversing."""
    gain = options.max_acceleration * options.horizon
    braking = min(options.horizon, speed / options.max_acceleration)
    return speed * braking - options.max_acceleration * braking**2 / 2, (speed + gain / 2) * options.horizon


def _outwards(count: int) -> Int[np.ndarray, "k"]:
    """Return 0, -1, 1, -2, 2, ... to -count, count."""
    order = np.arange(2 * count + 1)
    return np.where(order % 2 == 1, -(order + 1) // 2, order // 2)
