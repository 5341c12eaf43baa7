"""A log of a straight road, made at once: `swerve warmup` runs the commands on it, to compile what they use."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from swerve.data.sources.default_rigs import default_rig
from swerve.scenes import (
    Area,
    Ego,
    GroundHeight,
    Lane,
    LaneGroup,
    LaneMarking,
    LightState,
    Log,
    ObjectClass,
    RoadEdge,
    RoadLine,
    RoadMap,
    StopLine,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.transforms import pose_from_yaw

_STEPS, _LENGTH, _WIDTH, _SPEED = 121, 240.0, 3.5, 10.0


@dataclass(frozen=True)
class StraightRoadSource:
    """Source of one log: 12 s on a road of two lanes, with a car, a pedestrian and a traffic light."""

    kind: ClassVar[str] = "straight-road"

    def names(self) -> tuple[str, ...]:
        """Return the name of the log."""
        return ("straight-road",)

    def load(self, name: str) -> Log:
        """Return the log."""
        times = np.arange(_STEPS) * 100_000
        x = 20.0 + _SPEED * times * 1e-6
        poses = pose_from_yaw(np.stack([x, np.zeros(_STEPS), np.zeros(_STEPS)], axis=1), np.zeros(_STEPS))
        return Log(
            name=name,
            source=self.kind,
            times_us=times,
            ego=Ego.from_poses(poses, times),
            vehicle=Vehicle.pacifica(),
            tracks=_tracks(x),
            lights=TrafficLights(
                ("left",),
                np.array([[200.0, 0.0, 5.0]]),
                np.array([np.pi]),
                np.repeat([[LightState.RED, LightState.GREEN]], [61, 60], axis=1).astype(np.uint8),
            ),
            road_map=_road_map(),
            cameras=tuple(camera.resized(96, 56) for camera in default_rig()[:2]),
            route=("road",),
            split="train",
        )


def _tracks(x: np.ndarray) -> Tracks:
    """Return a car that brakes beside the ego, one ahead of it, and a pedestrian beside the road."""
    seconds = (x - x[0]) / _SPEED
    braking = 30.0 + 12.0 * seconds - 0.5 * seconds**2
    rows = [
        (ObjectClass.VEHICLE, braking, -_WIDTH, (4.6, 1.9, 1.5)),
        (ObjectClass.VEHICLE, x + 25.0, 0.0, (4.6, 1.9, 1.5)),
        (ObjectClass.PEDESTRIAN, np.full(_STEPS, 60.0), 6.0, (0.6, 0.6, 1.8)),
    ]
    positions = np.stack(
        [np.stack([along, np.full(_STEPS, y), np.full(_STEPS, size[2] / 2)], axis=1) for _, along, y, size in rows]
    )
    return Tracks(
        ids=tuple(f"track-{row}" for row in range(len(rows))),
        classes=np.array([row[0] for row in rows], np.uint8),
        positions=positions,
        headings=np.zeros((len(rows), _STEPS)),
        sizes=np.stack([np.tile(row[3], (_STEPS, 1)) for row in rows]),
        velocities=np.gradient(positions[..., :2], 0.1, axis=1),
        valid=np.ones((len(rows), _STEPS), bool),
    )


def _road_map() -> RoadMap:
    """Return two lanes in one direction, with a crossing, a stop line and a walkway."""
    left = _lane("left", 0.0, right_neighbor="right", left_marking=LaneMarking.DOUBLE_SOLID_YELLOW)
    right = _lane("right", -_WIDTH, left_neighbor="left", left_marking=LaneMarking.DASHED_WHITE)
    stop = np.array([[190.0, -_WIDTH / 2, 0.0], [190.0, _WIDTH / 2, 0.0]])
    return RoadMap(
        lanes=(left, right),
        ground=GroundHeight(np.zeros((60, 170), np.float32), np.array([-50.0, -60.0]), 2.0),
        lane_groups=(LaneGroup("road", ("left", "right"), _box("group", -1.5, 0.5).polygon),),
        drivable_areas=(_box("road", -2.0, 1.0),),
        crosswalks=(Area("crossing", np.array([[192, -6, 0], [196, -6, 0], [196, 2, 0], [192, 2, 0.0]])),),
        walkways=(_box("walkway", 1.0, 2.0),),
        road_lines=(
            RoadLine("middle", _line(_WIDTH / 2), LaneMarking.DOUBLE_SOLID_YELLOW),
            RoadLine("divider", _line(-_WIDTH / 2), LaneMarking.DASHED_WHITE),
        ),
        road_edges=(RoadEdge("edge", _line(-2 * _WIDTH)),),
        stop_lines=(StopLine("stop", stop, ("left",)),),
    )


def _line(y: float) -> np.ndarray:
    return np.stack([np.linspace(0.0, _LENGTH, 25), np.full(25, y), np.zeros(25)], axis=1)


def _lane(name: str, y: float, **neighbours: object) -> Lane:
    left, right = _line(y + _WIDTH / 2), _line(y - _WIDTH / 2)
    polygon = np.concatenate([left, right[::-1]])
    return Lane(name, _line(y), polygon, left, right, group_id="road", speed_limit=13.9, **neighbours)  # type: ignore[arg-type]


def _box(name: str, low: float, high: float) -> Area:
    """Return a strip along the road, between two offsets in lane widths."""
    return Area(name, np.concatenate([_line(_WIDTH * low), _line(_WIDTH * high)[::-1]]))
