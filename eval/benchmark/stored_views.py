"""Images of a benchmark's scenes: rendered, stored, and read."""

import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.image_encoding import decode_image, encode_image
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import commit, safe_name
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.view_renderers import LogRenderer, snapshot_of
from swerve.scenes import Camera, SwerveError

Images = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
Size = tuple[int, int] | None


def drawn_cameras(frame: BenchmarkScene, size: Size) -> tuple[Camera, ...]:
    """Return a scene's cameras at the size of the images."""
    cameras = frame.viewpoint.cameras
    return tuple(camera.resized(*size) for camera in cameras) if size else cameras


@dataclass(frozen=True)
class DrawnViews:
    """Views that are rendered on demand.

    Attributes:
        prepare: creates the renderer; called at the first rendering, since most planners use no images.
        size: of the images.
    """

    prepare: Callable[[], LogRenderer]
    size: Size

    def cameras(self, frame: BenchmarkScene) -> tuple[Camera, ...]:
        """Return a scene's cameras, see `SceneViews`."""
        return drawn_cameras(frame, self.size)

    def images(self, frame: BenchmarkScene, cameras: Sequence[str]) -> Images:
        """Render images, see `SceneViews`."""
        chosen = chosen_cameras(self.cameras(frame), frame, cameras)
        images = self.prepare().draw(snapshot_of(frame.viewpoint), chosen)
        return {camera.name: image for camera, image in zip(chosen, images, strict=True)}


@dataclass(frozen=True)
class StoredViews:
    """Views stored in a scene group's tar.

    Attributes:
        path: of the tar, written by `write_views`.
        size: of the images.
    """

    path: Path
    size: Size

    def cameras(self, frame: BenchmarkScene) -> tuple[Camera, ...]:
        """Return a scene's cameras, see `SceneViews`."""
        return drawn_cameras(frame, self.size)

    def images(self, frame: BenchmarkScene, cameras: Sequence[str]) -> Images:
        """Read images, see `SceneViews`."""
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
        """Return the offset and size in bytes of each member."""
        try:
            with tarfile.open(self.path, "r:") as tar:
                return {entry.name: (entry.offset_data, entry.size) for entry in tar}
        except (OSError, tarfile.TarError) as error:
            raise SwerveError(f"{self.path}: cannot be read ({error}). Build the benchmark again") from error


def chosen_cameras(known: Sequence[Camera], frame: BenchmarkScene, names: Sequence[str]) -> list[Camera]:
    """Return the cameras of the given names.

    Raises:
        SwerveError: there is no camera of one of the names.
    """
    by_name = {camera.name: camera for camera in known}
    if missing := [name for name in names if name not in by_name]:
        raise SwerveError(f"scene {frame.token}: no camera {missing[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def member(frame: BenchmarkScene, camera: str) -> str:
    """Return the name of an image in a scene group's tar."""
    return f"{safe_name(frame.token)}.{safe_name(camera)}.png"


Draw = Callable[[BenchmarkScene, Sequence[Camera]], Sequence[UInt8[np.ndarray, "_ _ 3"]]]


def write_views(path: Path, frames: Iterable[BenchmarkScene], draw: Draw, size: Size, watch: Stopwatch) -> None:
    """Render every camera of every scene into a tar of PNG files, written atomically.

    Args:
        path: of the tar.
        frames: of one scene group.
        draw: renders the images of some cameras of a scene.
        size: of the images.
        watch: measures "drawing" and "encoding".
    """
    with ShardWriter(path, "test") as writer:
        for frame in frames:
            cameras = drawn_cameras(frame, size)
            with watch.measure("drawing"):
                images = draw(frame, cameras)
            with watch.measure("encoding"):
                pairs = zip(cameras, images, strict=True)
                files = {f"{safe_name(camera.name)}.png": encode_image(image, "png") for camera, image in pairs}
                writer.add(Sample(safe_name(frame.token), "test", files, {}))
        writer.finish()
    commit(path)
