"""Scenarios as the devkit cuts them from a log: samples around an anchor, and what is asked of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from jaxtyping import Float, Int

from swerve.data.sources.nuplan.map_objects import MapLayer, MapRoadblock
from swerve.data.sources.nuplan.nuplan_db import NuplanDb
from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.data.sources.nuplan.nuplan_records import Boxes, EgoPoses, SceneRecord
from swerve.scenes.transforms import wrap_angle

_ROW_INTERVAL = 0.05
# Types of objects that move, of which predictions can be asked.
_AGENTS = ("vehicle", "pedestrian", "bicycle")
_LONGEST_ROUTE, _SHORTEST_ROUTE = 60.0, 0.5


@dataclass(frozen=True)
class NuplanScenario:
    """Scenario of a log.

    Attributes:
        db: the log.
        token: anchor sample.
        duration: seconds; with zero the scenario is the anchor alone.
        offset: seconds from the anchor to the scenario's start.
        subsample: share of the samples that it has, one over an integer.
    """

    db: NuplanDb
    token: str
    duration: float = 0.0
    offset: float = 0.0
    subsample: float = 1.0

    @cached_property
    def rows(self) -> Int[np.ndarray, "i"]:
        """Rows of `NuplanDb.lidar_pcs` of the iterations."""
        times, anchor = self.db.lidar_pcs.times_us, self._anchor
        start = int(times[anchor] + self.offset * 1e6)
        inside = np.flatnonzero((times >= start) & (times <= int(start + self.duration * 1e6)))
        return inside[:: int(1.0 / self.subsample)] if self.duration else np.array([anchor])

    @property
    def interval(self) -> float:
        """Seconds between iterations."""
        return _ROW_INTERVAL / self.subsample

    @property
    def tokens(self) -> tuple[str, ...]:
        """Samples of the iterations."""
        return tuple(self.db.lidar_pcs.tokens[row] for row in self.rows)

    @property
    def times_us(self) -> Int[np.ndarray, "i"]:
        """Times of the iterations."""
        times: Int[np.ndarray, "i"] = self.db.lidar_pcs.times_us[self.rows]
        return times

    def ego_poses(self) -> EgoPoses:
        """Return the ego poses of the iterations."""
        return self.db.lidar_pcs.poses.of(self.rows)

    def future_rows(self, iteration: int, horizon: float, samples: int = 0) -> Int[np.ndarray, "s"]:
        """Return the rows of `samples` samples in the `horizon` seconds after an iteration, in order of time."""
        return self._sampled(self.rows[iteration] + self._steps(horizon, samples))

    def past_rows(self, iteration: int, horizon: float, samples: int = 0) -> Int[np.ndarray, "s"]:
        """Return the rows of `samples` samples in the `horizon` seconds before an iteration, in order of time."""
        return self._sampled(self.rows[iteration] - self._steps(horizon, samples)[::-1])

    def objects(self, iteration: int) -> Boxes:
        """Return the tracked objects at an iteration."""
        time = int(self.times_us[iteration])
        return self.db.boxes(time, time)

    def objects_within(self, iteration: int, past: float, future: float) -> Boxes:
        """Return the tracked objects from `past` seconds before an iteration to `future` seconds after it."""
        time = int(self.times_us[iteration])
        return self.db.boxes(int(time - 1e6 * past), int(time + 1e6 * future))

    def predictions(
        self, iteration: int, horizon: float, interval: float
    ) -> dict[str, tuple[Int[np.ndarray, "w"], Float[np.ndarray, "w 3"]]]:
        """Return what road users do after an iteration, by track: times, and poses (x, y, heading; NaN after the last).

        Of a track with one box only, that one.
        """
        now = int(self.times_us[iteration])
        boxes = self.db.boxes(now, now + int(1e6 * (horizon + interval)))
        targets = np.linspace(now, int(now + horizon * 1e6), int(horizon / interval) + 1)
        present = zip(boxes.times_us, boxes.track_tokens, boxes.categories, strict=True)
        tracks = [track for time, track, kind in present if time == now and kind in _AGENTS]
        owners = np.array(boxes.track_tokens)
        return {track: _resampled(boxes, np.flatnonzero(owners == track), targets) for track in tracks}

    def goal(self) -> Float[np.ndarray, "3"] | None:
        """Return the goal (x, y, heading) of the anchor's scene, if it has one."""
        goal = self._scene.goal
        return _planar(self.db.poses([goal]))[0] if goal else None

    def expert_goal(self) -> Float[np.ndarray, "3"]:
        """Return the ego's last pose (x, y, heading)."""
        last: Float[np.ndarray, "3"] = _planar(self.ego_poses())[-1]
        return last

    def route(self) -> tuple[str, ...]:
        """Return the roadblocks of the anchor's scene."""
        return self._scene.roadblock_ids

    def lights(self, iteration: int) -> list[tuple[int, str]]:
        """Return (lane connector, state) of the traffic lights at an iteration."""
        time = int(self.times_us[iteration])
        found = self.db.lights(time, time)
        return list(zip(found.lane_connectors.tolist(), found.states, strict=True))

    def derived_route(self, nuplan: NuplanMap) -> tuple[str, ...]:
        """Return the roadblocks that the ego drives through in the next minute, see `driven_roadblocks`."""
        times = self.db.lidar_pcs.times_us
        horizon = min(int(times[-1] - times[self._anchor]) * 1e-6, _LONGEST_ROUTE)
        if horizon < _SHORTEST_ROUTE:
            return ()
        poses = self.db.lidar_pcs.poses.of(self.future_rows(0, horizon))
        return driven_roadblocks(nuplan, poses.positions[:, :2])

    @property
    def _anchor(self) -> int:
        return self.db.lidar_pcs.row_of[self.token]

    @property
    def _scene(self) -> SceneRecord:
        return self.db.scene_of(self._anchor)

    def _steps(self, horizon: float, samples: int) -> Int[np.ndarray, "s"]:
        """Return how many rows away samples are that spread over a horizon."""
        samples = samples or int(horizon / self.interval)
        intervals = int(horizon / _ROW_INTERVAL) + 1
        if not samples or intervals // samples < 1:
            raise ValueError(f"no {samples} samples in {horizon} s")
        every = intervals // samples
        steps: Int[np.ndarray, "s"] = np.arange(every, intervals + 1, every)[:samples]
        return steps

    def _sampled(self, rows: Int[np.ndarray, "s"]) -> Int[np.ndarray, "m"]:
        known: Int[np.ndarray, "m"] = rows[(rows >= 0) & (rows < len(self.db.lidar_pcs.tokens))]
        return known


def driven_roadblocks(nuplan: NuplanMap, points: Float[np.ndarray, "n 2"]) -> tuple[str, ...]:
    """Return the roadblocks and roadblock connectors along a path, in order, as the devkit derives a route.

    The next one is sought among those that leave the last, else in the whole map (roadblocks before connectors); while
    several contain the path, none is taken.
    """
    route: list[MapRoadblock] = []
    candidates: list[MapRoadblock] = []
    for point in points:
        if route and _contains(route[-1], point):
            continue
        if route and not candidates:
            candidates = [nuplan.roadblock(id_) for id_ in route[-1].outgoing]
        candidates = [block for block in candidates if _contains(block, point)]
        if not candidates:
            candidates = _roadblocks_at(nuplan, point)
        if len(candidates) == 1:
            route.append(candidates.pop())
    return tuple(block.id for block in route)


def _roadblocks_at(nuplan: NuplanMap, point: Float[np.ndarray, "2"]) -> list[MapRoadblock]:
    ids = nuplan.ids_at(point, MapLayer.ROADBLOCK) or nuplan.ids_at(point, MapLayer.ROADBLOCK_CONNECTOR)
    return [nuplan.roadblock(id_) for id_ in ids]


def _contains(block: MapRoadblock, point: Float[np.ndarray, "2"]) -> bool:
    return bool(shapely.contains(block.polygon, shapely.Point(point)))


def _resampled(
    boxes: Boxes, rows: Int[np.ndarray, "r"], targets: Float[np.ndarray, "w"]
) -> tuple[Int[np.ndarray, "w"], Float[np.ndarray, "w 3"]]:
    """Interpolate a track's poses linearly, along the shorter turn."""
    times = boxes.times_us[rows]
    poses = np.column_stack([boxes.centers[rows, :2], boxes.headings[rows]])
    if len(rows) == 1:
        return times, poses
    poses[:, 2] = np.unwrap(poses[:, 2])
    found = np.stack([np.interp(targets, times, poses[:, axis], right=np.nan) for axis in range(3)], axis=1)
    found[:, 2] = wrap_angle(found[:, 2])
    return targets.astype(np.int64), found


def _planar(poses: EgoPoses) -> Float[np.ndarray, "n 3"]:
    return np.column_stack([poses.positions[:, :2], poses.headings])
