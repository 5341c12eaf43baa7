"""Driving logs, and scenes: windows of a log around a timestamp."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from swerve.scenes.camera import Camera
from swerve.scenes.errors import LogError
from swerve.scenes.road_map import RoadMap
from swerve.scenes.scene_html import scene_html
from swerve.scenes.split import Split
from swerve.scenes.tracks import Ego, Tracks, TrafficLights
from swerve.scenes.transforms import transform_points
from swerve.scenes.vehicle import Vehicle

# A time step longer than this many median steps counts as a gap.
_GAP = 1.5


@dataclass(frozen=True)
class Photo:
    """Reference to a real camera image on disk, read on demand because a log may have thousands.

    Attributes:
        camera: name of the camera.
        time_us: time of capture.
        world_from_ego: the ego's pose at that time, which may lie between the log's steps.
        file: an image file, or a file in which one is embedded.
        offset: first byte of the image in the file.
        num_bytes: bytes of the image; None for all from `offset` to the file's end.
    """

    camera: str
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    file: Path
    offset: int = 0
    num_bytes: int | None = None

    def read(self) -> bytes:
        """Read the encoded JPEG or PNG image.

        Raises:
            LogError: the file is missing or truncated.
        """
        try:
            with open(self.file, "rb") as stream:
                stream.seek(self.offset)
                encoded = stream.read() if self.num_bytes is None else stream.read(self.num_bytes)
        except OSError as error:
            raise LogError(self.file, f"photo of {self.camera}", f"cannot be read ({error.strerror})") from error
        if not encoded or (self.num_bytes is not None and len(encoded) < self.num_bytes):
            raise LogError(self.file, f"photo of {self.camera}", f"ends before the image does, at byte {self.offset}")
        return encoded


@dataclass(frozen=True)
class Sweep:
    """Reference to one LiDAR sweep on disk, read on demand.

    Points are compensated for ego motion to `time_us`, by the source or its reader. Motion of other agents within the
    sweep is not compensated. Returns from the ego's own body are removed.

    Attributes:
        time_us: timestamp of the sweep, as the source defines it.
        world_from_ego: the ego's pose at that time, which may lie between the log's steps.
        ego_from_lidar_frame: pose of the frame in which the file stores the points.
        file: file with the points.
        decode: function that reads the points in the file's own frame, metres; raises LogError if it cannot.
    """

    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    ego_from_lidar_frame: Float[np.ndarray, "4 4"]
    file: Path
    decode: Callable[[Path], Float32[np.ndarray, "n 3"]]

    def read(self) -> Float32[np.ndarray, "n 3"]:
        """Read the points in the ego frame at `time_us`, metres.

        Raises:
            LogError: the file is missing or damaged.
        """
        return transform_points(self.ego_from_lidar_frame, self.decode(self.file)).astype(np.float32)


@dataclass(frozen=True)
class Log:
    """One continuous recording of one vehicle. World coordinates are the source's minus `origin`.

    Attributes:
        name: unique in its source.
        source: the kind of source: "av2", "waymo", "town", ...
        times_us: strictly increasing.
        ego: the recording vehicle's states at `times_us`.
        vehicle: dimensions of the recording vehicle.
        tracks: all other agents, at `times_us`.
        lights: traffic signals, at `times_us`.
        road_map: None where the source has none.
        cameras: the rig; empty where the source has none.
        route: ids of the lane groups that the ego drives through, in order; empty without a map.
        origin: world coordinates of this log's (0, 0, 0) in the source's frame.
        split: "train", "val" or "test"; None where the source does not say.
        photos: real images, if any.
        sweeps: LiDAR sweeps, if any, in order of time.
        track_order: names of tracks in the order in which NAVSIM's reactive traffic moves them; tracks not named come
            after, sorted by name. Rows of `tracks` may have any order.
        annotated_us: times at which boxes were annotated, where they are interpolated in between; None where each step
            has annotated ones.
        scene_times_us: current times of the log's scenes, where a list of scenes was asked for; None for evenly spaced
            ones.
    """

    name: str
    source: str
    times_us: Int[np.ndarray, "t"]
    ego: Ego
    vehicle: Vehicle
    tracks: Tracks
    lights: TrafficLights
    road_map: RoadMap | None
    cameras: tuple[Camera, ...]
    route: tuple[str, ...] = ()
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    split: Split | None = None
    photos: tuple[Photo, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    track_order: tuple[str, ...] = ()
    annotated_us: Int[np.ndarray, "_"] | None = None
    scene_times_us: Int[np.ndarray, "_"] | None = None

    @property
    def step(self) -> float:
        """Median time between steps in seconds (0.1 where there is but one step)."""
        return float(np.median(np.diff(self.times_us))) * 1e-6 if len(self.times_us) > 1 else 0.1


@dataclass(frozen=True)
class Scene:
    """Window of a log around the timestamp `now`.

    Attributes:
        log: the whole recording.
        now: index of the current step in the log.
        history: steps before it that belong to the scene.
        future: steps after it that belong to the scene.
    """

    log: Log
    now: int
    history: int
    future: int

    def __post_init__(self) -> None:
        first, last = self.now - self.history, self.now + self.future
        if min(self.history, self.future) < 0 or first < 0 or last >= len(self.log.times_us):
            raise ValueError(
                f"scene needs steps {first}..{last}, log {self.log.name} has 0..{len(self.log.times_us) - 1}"
            )

    def _repr_html_(self) -> str:
        """Return the scene from above, for notebooks."""
        log, lanes = self.log, () if self.log.road_map is None else self.log.road_map.lanes
        title = (
            f"{log.name} at {(log.times_us[self.now] - log.times_us[0]) * 1e-6:.1f} s: {self.history} steps before, "
            f"{self.future} after, {int(self.tracks.valid[:, self.history].sum())} agents, {len(log.cameras)} cameras, "
            f"{len(lanes) or 'no'} lanes"
        )
        return scene_html(title, lanes, self.ego, self.tracks, self.history, log.vehicle.footprint())

    @property
    def token(self) -> str:
        """Name of the scene, unique in its log: the time of `now` in microseconds."""
        return str(self.log.times_us[self.now])

    @property
    def window(self) -> slice:
        """The scene's steps in the log."""
        return slice(self.now - self.history, self.now + self.future + 1)

    @property
    def times_us(self) -> Int[np.ndarray, "t"]:
        """Timestamps of the window; `now` is at index `history`."""
        return self.log.times_us[self.window]

    @property
    def ego(self) -> Ego:
        """States of the recording vehicle in the window."""
        return self.log.ego.at(self.window)

    @property
    def tracks(self) -> Tracks:
        """Tracks of all other agents in the window, absent ones included."""
        return self.log.tracks.at(self.window)

    @property
    def lights(self) -> TrafficLights:
        """Traffic signals in the window."""
        return self.log.lights.at(self.window)


def extract_scenes(log: Log, history: float = 2.0, future: float = 5.0, interval: float = 0.5) -> list[Scene]:
    """Return the log's scenes with full history and future and without gaps: the evenly spaced ones of `split_windows`.

    Args:
        log: the recording.
        history: seconds before each scene's current step.
        future: seconds after each scene's current step.
        interval: seconds between the current steps of consecutive scenes.
    """
    return split_windows(log, history, future, interval)[0]


def split_windows(log: Log, history: float, future: float, every: float) -> tuple[list[Scene], list[Scene]]:
    """Return windows with as many steps as the durations of `extract_scenes` take at the log's median step.

    They are evenly spaced, or at the log's `scene_times_us`, of which those too near to its ends are left out.

    Returns:
        scenes; and windows that are rejected because of a gap (a step longer than 1.5 median steps), so that they last
        longer than intended with nothing recorded in between.
    """
    before, after, stride = (max(round(seconds / log.step), 0) for seconds in (history, future, every))
    last = len(log.times_us) - 1 - after
    gaps = np.concatenate([[0], np.cumsum(np.diff(log.times_us) > _GAP * log.step * 1e6)])
    even, broken = list[Scene](), list[Scene]()
    for now in listed_steps(log) if log.scene_times_us is not None else range(before, last + 1, max(stride, 1)):
        if before <= now <= last:
            has_gap = gaps[now + after] > gaps[now - before]
            (broken if has_gap else even).append(Scene(log, now, before, after))
    return even, broken


def listed_outside(log: Log, windows: Iterable[Scene]) -> list[int]:
    """Return the steps of the log's list of scenes (`listed_steps`) that none of these windows of it is around."""
    found = {scene.now for scene in windows}
    return [step for step in listed_steps(log) if step not in found]


def listed_steps(log: Log) -> list[int]:
    """Return the steps nearest to the log's list of scenes; none without such a list."""
    if log.scene_times_us is None:
        return []
    middles = (log.times_us[1:] + log.times_us[:-1]) / 2
    return sorted(set(np.searchsorted(middles, log.scene_times_us).tolist()))
