"""Assignment of the vehicles of a log to lanes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.scenes import LaneType, RoadMap
from swerve.scenes.transforms import wrap_angle

# A lane is a vehicle's if its centreline lies this near, metres, and goes the same way within this angle.
_REACH, _TURN = 2.2, np.deg2rad(40.0)


@dataclass(frozen=True)
class LaneMatches:
    """The lane of each vehicle at each step.

    Attributes:
        lane: row in the map's lanes; 0 where there is none.
        lateral: metres left of its centreline.
        on_street: whether there is one, and it leads through no junction.
        beside: whether lane b lies beside lane a or beside one of a's successors.
    """

    lane: Int[np.ndarray, "n t"]
    lateral: Float[np.ndarray, "n t"]
    on_street: Bool[np.ndarray, "n t"]
    beside: Bool[np.ndarray, "k k"]

    def changes(self, drives: Bool[np.ndarray, "n t"]) -> int:
        """Count how often vehicles go over to a lane beside theirs and are on it at the next step, too."""
        before, after, later = self.lane[:, :-2], self.lane[:, 1:-1], self.lane[:, 2:]
        known = drives[:, :-2] & drives[:, 1:-1] & drives[:, 2:]
        return int((known & self.beside[before, after] & ~self.beside[after, later]).sum())


def match_lanes(
    road_map: RoadMap | None, poses: Float[np.ndarray, "n t 3"], valid: Bool[np.ndarray, "n t"]
) -> LaneMatches:
    """The nearest lane of the same direction.

    Args:
        road_map: None where there is none; then nobody has a lane.
        poses: (x, y, heading).
        valid: whether they are there.
    """
    lanes = () if road_map is None else road_map.lanes
    lines = [lane.centerline[:, :2] if lane.kind is LaneType.VEHICLE else np.zeros((0, 2)) for lane in lanes]
    first = np.concatenate([np.zeros((0, 2)), *(line[:-1] for line in lines)])
    step = np.concatenate([np.zeros((0, 2)), *(line[1:] for line in lines)]) - first
    owner = np.repeat(np.arange(len(lines)), [max(len(line) - 1, 0) for line in lines]).astype(int)
    lane, lateral = np.zeros(valid.shape, int), np.full(valid.shape, np.inf)
    for row in range(len(poses)) if len(owner) else ():
        lane[row], lateral[row] = _nearest(first, step, owner, poses[row])
    connector = np.array([one.is_connector for one in lanes] or [True])
    there = valid & (np.abs(lateral) < _REACH)
    return LaneMatches(lane, lateral, there & ~connector[lane], _beside(road_map))


def _nearest(
    first: Float[np.ndarray, "s 2"],
    step: Float[np.ndarray, "s 2"],
    owner: Int[np.ndarray, "s"],
    poses: Float[np.ndarray, "t 3"],
) -> tuple[Int[np.ndarray, "t"], Float[np.ndarray, "t"]]:
    """Lane of the nearest segment of the same direction, and how far left of it each pose is; infinite if none."""
    away = poses[:, None, :2] - first
    share = np.clip((away * step).sum(axis=2) / np.maximum((step**2).sum(axis=1), 1e-12), 0.0, 1.0)
    off = np.linalg.norm(away - share[..., None] * step, axis=2)
    turn = np.abs(wrap_angle(np.arctan2(step[:, 1], step[:, 0]) - poses[:, 2:]))
    off = np.where(turn < _TURN, off, np.inf)
    best = off.argmin(axis=1)
    rows = np.arange(len(poses))
    side = np.sign(step[best, 0] * away[rows, best, 1] - step[best, 1] * away[rows, best, 0])
    return owner[best], off[rows, best] * np.where(side == 0, 1.0, side)


def _beside(road_map: RoadMap | None) -> Bool[np.ndarray, "k k"]:
    """Return whether lane b lies beside lane a or beside one of a's successors."""
    lanes = () if road_map is None else road_map.lanes
    rows = {lane.id: row for row, lane in enumerate(lanes)}
    table = np.zeros((max(len(lanes), 1),) * 2, bool)
    for row, lane in enumerate(lanes):
        near = [lane, *(lanes[rows[name]] for name in lane.successors if name in rows)]
        for name in (name for one in near for name in (one.left_neighbor, one.right_neighbor)):
            if name in rows and not lane.is_connector and not lanes[rows[name]].is_connector:
                table[row, rows[name]] = True
    return table
