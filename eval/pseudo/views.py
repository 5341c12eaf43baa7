"""Images of a benchmark's frames: drawn, stored, and read again."""

import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from swerve.data.files import commit, safe_name
from swerve.data.options import AugmentOptions, StyleName
from swerve.data.samples.capture import Capture
from swerve.data.samples.encoding import decode_image, encode_image
from swerve.data.samples.sample import Drawer
from swerve.data.samples.shards import Sample, ShardWriter
from swerve.data.stopwatch import Stopwatch
from swerve.eval.pseudo.case import Frame
from swerve.scenes import Camera, Log, SwerveError
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import Viewpoint

Images = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
Size = tuple[int, int] | None


@runtime_checkable
class LogRenderer(Protocol):
    """Draws viewpoints of one log, and of the logs of its follow-ups, which share its map."""

    def draw(self, viewpoint: Viewpoint, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """What each camera sees now, in the camera's own size. The arrays are the caller's until the next call."""


@runtime_checkable
class ViewRenderer(Protocol):
    """A way to draw views: a light handle that can be sent to another process."""

    @property
    def name(self) -> str:
        """Tells it from others in benchmark.json."""

    def prepare(self, log: Log) -> LogRenderer:
        """What draws viewpoints of this log.

        Raises:
            SwerveError: it cannot draw this log.
        """


@dataclass(frozen=True)
class RasterRenderer:
    """Rasters of annotated primitives, as in training sets.

    Attributes:
        style: "rap" or "surfaces".
    """

    style: StyleName = "rap"

    @property
    def name(self) -> str:
        """As in `ViewRenderer`."""
        return f"raster-{self.style}"

    def prepare(self, log: Log) -> "LogRasters":
        """As in `ViewRenderer`; every log with or without a map can be drawn."""
        return LogRasters(Drawer(build_static(log.road_map), AugmentOptions(style=self.style), Stopwatch()))


@dataclass(frozen=True)
class LogRasters:
    """See `LogRenderer`."""

    drawer: Drawer

    def draw(self, viewpoint: Viewpoint, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """As in `LogRenderer`."""
        now = int(viewpoint.scene.times_us[viewpoint.scene.history])
        captures = [Capture(camera, now, viewpoint.world_from_ego) for camera in cameras]
        return [view.rgb for view in self.drawer.draw(viewpoint, captures) if view.rgb is not None]


def drawn_cameras(frame: Frame, size: Size) -> tuple[Camera, ...]:
    """The rig of a frame, as it is drawn."""
    cameras = frame.viewpoint.cameras
    return tuple(camera.resized(*size) for camera in cameras) if size else cameras


@dataclass(frozen=True)
class DrawnViews:
    """Views that are drawn when they are asked for.

    Attributes:
        renderer: what draws.
        log: of the case.
        size: of the images.
    """

    renderer: ViewRenderer
    log: Log
    size: Size

    def cameras(self, frame: Frame) -> tuple[Camera, ...]:
        """As in `Views`."""
        return drawn_cameras(frame, self.size)

    def images(self, frame: Frame, cameras: Sequence[str]) -> Images:
        """As in `Views`."""
        chosen = chosen_cameras(self.cameras(frame), frame, cameras)
        images = self._prepared.draw(frame.viewpoint, chosen)
        return {camera.name: image.copy() for camera, image in zip(chosen, images, strict=True)}

    @cached_property
    def _prepared(self) -> LogRenderer:
        """Made when something is drawn: most planners look at no image."""
        return self.renderer.prepare(self.log)


@dataclass(frozen=True)
class StoredViews:
    """Views in a case's tar.

    Attributes:
        path: the tar, as `write_views` made it.
        size: of the images.
    """

    path: Path
    size: Size

    def cameras(self, frame: Frame) -> tuple[Camera, ...]:
        """As in `Views`."""
        return drawn_cameras(frame, self.size)

    def images(self, frame: Frame, cameras: Sequence[str]) -> Images:
        """As in `Views`."""
        chosen = chosen_cameras(self.cameras(frame), frame, cameras)
        return {camera.name: decode_image(self._read(member(frame, camera.name))) for camera in chosen}

    def _read(self, name: str) -> bytes:
        if name not in self._places:
            raise SwerveError(f"{self.path}: holds no {name}. Build the benchmark again")
        start, size = self._places[name]
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(size)

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """First byte and size of each member."""
        try:
            with tarfile.open(self.path, "r:") as tar:
                return {entry.name: (entry.offset_data, entry.size) for entry in tar}
        except (OSError, tarfile.TarError) as error:
            raise SwerveError(f"{self.path}: cannot be read ({error}). Build the benchmark again") from error


def chosen_cameras(known: Sequence[Camera], frame: Frame, names: Sequence[str]) -> list[Camera]:
    """The cameras of the given names.

    Raises:
        SwerveError: there is none of one of the names.
    """
    by_name = {camera.name: camera for camera in known}
    if missing := [name for name in names if name not in by_name]:
        raise SwerveError(f"scene {frame.token}: no camera {missing[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def member(frame: Frame, camera: str) -> str:
    """Name of an image in a case's tar."""
    return f"{safe_name(frame.token)}.{safe_name(camera)}.png"


def write_views(path: Path, frames: Iterable[Frame], renderer: LogRenderer, size: Size, watch: Stopwatch) -> None:
    """Draws every camera of every frame into a tar of PNG files; it appears whole or not at all.

    Args:
        path: of the tar.
        frames: of one case.
        renderer: of the case's log.
        size: of the images.
        watch: measures "drawing" and "encoding".
    """
    with ShardWriter(path, "test") as writer:
        for frame in frames:
            cameras = drawn_cameras(frame, size)
            with watch.measure("drawing"):
                images = renderer.draw(frame.viewpoint, cameras)
            with watch.measure("encoding"):
                pairs = zip(cameras, images, strict=True)
                files = {f"{safe_name(camera.name)}.png": encode_image(image, "png") for camera, image in pairs}
                writer.add(Sample(safe_name(frame.token), "test", files, {}))
        writer.finish()
    commit(path)
