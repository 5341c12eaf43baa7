"""Read logs of your own format: `python examples/own_source.py [FOLDER]` writes a training set of them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import swerve
from swerve.data.sources.default_rigs import default_rig
from swerve.scenes import Ego, GroundHeight, Lane, LaneGroup, Log, ObjectClass, RoadMap, Tracks, TrafficLights, Vehicle
from swerve.scenes.transforms import pose_from_yaw


@dataclass(frozen=True)
class StraightRoad:
    """A source: names of logs, and how to load one. It holds no open file, so workers can be sent a copy."""

    count: int = 1
    kind: str = "straight-road"  # as in `Log.source`

    def names(self) -> tuple[str, ...]:
        """Unique names, without reading the logs."""
        return tuple(f"road-{number:03d}" for number in range(self.count))

    def load(self, name: str) -> Log:
        """One log. Read your files here; raise `swerve.scenes.LogError` where one is damaged."""
        steps = 121  # 12 s at 10 Hz
        times_us = 1_000_000 + 100_000 * np.arange(steps)
        x = 20 + 8.0 * 0.1 * np.arange(steps)
        rear_axle = np.stack([x, np.zeros(steps), np.zeros(steps)], axis=1)
        ego = Ego.from_poses(pose_from_yaw(rear_axle, np.zeros(steps)), times_us)  # world_from_ego, 4x4
        car = Tracks(
            ids=("ahead",),
            classes=np.array([ObjectClass.VEHICLE], np.uint8),
            positions=(rear_axle + np.array([25.0, 0.0, 0.8]))[None],  # centres of the boxes
            headings=np.zeros((1, steps)),
            sizes=np.broadcast_to([4.5, 1.9, 1.6], (1, steps, 3)).copy(),  # length, width, height
            velocities=np.broadcast_to([8.0, 0.0], (1, steps, 2)).copy(),
            valid=np.ones((1, steps), bool),
        )
        line = np.array([[0.0, 0.0, 0.0], [200.0, 0.0, 0.0]])
        outline = np.array([[0.0, -4.0, 0.0], [200.0, -4.0, 0.0], [200.0, 4.0, 0.0], [0.0, 4.0, 0.0]])
        road = RoadMap(
            lanes=(Lane("lane", line, outline, group_id="group", speed_limit=13.9),),
            ground=GroundHeight.from_points(outline),
            lane_groups=(LaneGroup("group", ("lane",), outline),),
        )
        lights, rig, route = TrafficLights.empty(steps), default_rig(), ("group",)
        return Log(name, self.kind, times_us, ego, Vehicle.pacifica(), car, lights, road, rig, route)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/own_source")
    report = swerve.augment(
        [StraightRoad(2)], folder, swerve.AugmentOptions(cameras=("front",), size=(192, 112), scene_interval=2.0)
    )
    print(report.summary)
