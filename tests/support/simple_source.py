"""Sources of simple logs for jobs: importable by worker processes."""

import os
import signal
from dataclasses import dataclass, replace

import numpy as np

from swerve.scenes import Camera, Log, LogError, Split, Tracks
from tests.support.simple_log import simple_log


@dataclass(frozen=True)
class SimpleSource:
    """Source of logs by name; the name's first word selects a defect.

    "train...", "val...", "test..." and "none..." are valid logs of that split, "broken..." cannot be read, "bug..."
    makes the program fail, "killed..." ends its worker as the out-of-memory killer does, "blind..." has no camera,
    "mapless..." no map, "gap..." has no steps from 9.05 to 9.95 s. `split` is that of all logs, if given.
    """

    log_names: tuple[str, ...]
    kind: str = "simple"
    split: Split | None = None

    def names(self) -> tuple[str, ...]:
        return self.log_names

    def load(self, name: str) -> Log:
        word = name.split("-")[0]
        if word == "broken":
            raise LogError(f"{name}.feather", "x", "is not a number")
        if word == "bug":
            raise ZeroDivisionError("a fault of the program")
        if word == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        log = with_gap(small_log(name)) if word == "gap" else small_log(name)
        if word == "mapless":
            log = replace(log, road_map=None, route=())
        own = word if word in ("train", "val", "test") else None
        cameras = () if word == "blind" else log.cameras
        return replace(log, source=self.kind, split=self.split or own, cameras=cameras)


@dataclass(frozen=True)
class ListedSource(SimpleSource):
    """Source of logs with a list of three scenes: at 3.04 and 4 s, and one too near to the end."""

    def load(self, name: str) -> Log:
        log = super().load(name)
        seconds = np.array([4.0, 3.04, (log.times_us[-1] - log.times_us[0]) * 1e-6 - 1.0])
        return replace(log, scene_times_us=log.times_us[0] + np.int64(1e6 * seconds))


def small_log(name: str = "train-0") -> Log:
    """Return the simple log with small images, and a braking car that qualifies as a cross-agent ego."""
    log = simple_log()
    cameras = tuple(camera.resized(64, 36) for camera in log.cameras)
    return replace(log, name=name, cameras=cameras, tracks=braking(log.tracks, log.times_us))


def with_gap(log: Log) -> Log:
    """Remove the steps between 9.0 and 10.0 s."""
    kept = np.r_[0:91, 100 : len(log.times_us)]
    return replace(
        log,
        times_us=log.times_us[kept],
        ego=log.ego.at(kept),
        tracks=log.tracks.at(kept),
        lights=log.lights.at(kept),
    )


def braking(tracks: Tracks, times_us: np.ndarray) -> Tracks:
    """Decelerate the car on the right by 1 m/s2 throughout."""
    seconds = (times_us - times_us[0]) * 1e-6
    positions, velocities = tracks.positions.copy(), tracks.velocities.copy()
    positions[1, :, 0] = 40.0 + 12.0 * seconds - 0.5 * seconds**2
    velocities[1, :, 0] = 12.0 - seconds
    return replace(tracks, positions=positions, velocities=velocities)


def camera_named(log: Log, name: str) -> Camera:
    """Return one camera of the rig."""
    return next(camera for camera in log.cameras if camera.name == name)
