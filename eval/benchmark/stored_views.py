"""Images of a benchmark's scenes: rendered, stored, and read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.image_encoding import decode_image, encode_image
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import commit, safe_name
from swerve.data.storage.tar_members import TarMember, open_tar, read_member, tar_members
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.view_renderers import LogRenderer, snapshot_of
from swerve.scenes import Camera, LogError, SwerveError
from swerve.scenes.resize import Resize

Images = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
_AGAIN: Final = "Build the benchmark again"


@dataclass(frozen=True)
class RenderedViews:
    """Views that are rendered on demand.

    Attributes:
        prepare: creates the renderer; called at the first rendering, since most planners use no images.
        resize: resizing of the cameras.
    """

    prepare: Callable[[], LogRenderer]
    resize: Resize

    def cameras(self, benchmark_scene: BenchmarkScene) -> tuple[Camera, ...]:
        """Return a scene's cameras, see `SceneViews`."""
        return self.resize.cameras(benchmark_scene.viewpoint.cameras)

    def images(self, benchmark_scene: BenchmarkScene, cameras: Sequence[str]) -> Images:
        """Render images, see `SceneViews`."""
        chosen = chosen_cameras(self.cameras(benchmark_scene), benchmark_scene, cameras)
        images = self.prepare().render(snapshot_of(benchmark_scene.viewpoint), chosen)
        return {camera.name: image for camera, image in zip(chosen, images, strict=True)}

    def past_images(self, benchmark_scene: BenchmarkScene, cameras: Sequence[str], seconds: float) -> Images:
        """Render images of an earlier time, see `PastViews`."""
        chosen = chosen_cameras(self.cameras(benchmark_scene), benchmark_scene, cameras)
        images = self.prepare().render(snapshot_of(benchmark_scene.viewpoint, seconds), chosen)
        return {camera.name: image for camera, image in zip(chosen, images, strict=True)}


@dataclass(frozen=True)
class StoredViews:
    """Views stored in a scene group's tar.

    Attributes:
        path: of the tar, written by `write_views`.
        resize: resizing of the cameras.
    """

    path: Path
    resize: Resize

    def cameras(self, benchmark_scene: BenchmarkScene) -> tuple[Camera, ...]:
        """Return a scene's cameras, see `SceneViews`."""
        return self.resize.cameras(benchmark_scene.viewpoint.cameras)

    def images(self, benchmark_scene: BenchmarkScene, cameras: Sequence[str]) -> Images:
        """Read images, see `SceneViews`."""
        chosen = chosen_cameras(self.cameras(benchmark_scene), benchmark_scene, cameras)
        return {camera.name: self._read(member_name(benchmark_scene, camera.name)) for camera in chosen}

    def _read(self, name: str) -> UInt8[np.ndarray, "_ _ 3"]:
        """Read and decode an image.

        Raises:
            SwerveError: the tar is missing or damaged, or lacks the image, or it is no coloured image of 8 bits.
        """
        if name not in self._members:
            raise SwerveError(f"{self.path}: holds no {name}. {_AGAIN}")
        with open_tar(self.path, _AGAIN) as file:
            content = read_member(file, self.path, self._members[name], _AGAIN)
        try:
            image = decode_image(content)
        except ValueError as error:
            raise LogError(self.path, name, f"is damaged ({error})", _AGAIN) from error
        if image.ndim != 3 or image.dtype != np.uint8:
            raise LogError(self.path, name, f"is of {image.dtype} and shape {image.shape}, not coloured", _AGAIN)
        return image

    @cached_property
    def _members(self) -> dict[str, TarMember]:
        """The members by name."""
        with open_tar(self.path, _AGAIN) as file:
            return {member.name: member for member in tar_members(file, self.path, 0, _AGAIN)}


@dataclass(frozen=True)
class StoredAndPastViews(StoredViews):
    """Stored views of now, and past frames that their renderer renders on demand.

    Attributes:
        rendered: views of the same renderer and size.
    """

    rendered: RenderedViews

    def past_images(self, benchmark_scene: BenchmarkScene, cameras: Sequence[str], seconds: float) -> Images:
        """Render images of an earlier time, see `PastViews`."""
        return self.rendered.past_images(benchmark_scene, cameras, seconds)


def chosen_cameras(known: Sequence[Camera], benchmark_scene: BenchmarkScene, names: Sequence[str]) -> list[Camera]:
    """Return the cameras of the given names.

    Raises:
        SwerveError: there is no camera of one of the names.
    """
    by_name = {camera.name: camera for camera in known}
    if missing := [name for name in names if name not in by_name]:
        raise SwerveError(f"scene {benchmark_scene.token}: no camera {missing[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def member_name(benchmark_scene: BenchmarkScene, camera: str) -> str:
    """Return the name of an image in a scene group's tar."""
    return f"{safe_name(benchmark_scene.token)}.{safe_name(camera)}.png"


RenderScene = Callable[[BenchmarkScene, Sequence[Camera]], Sequence[UInt8[np.ndarray, "_ _ 3"]]]


def write_views(
    path: Path, scenes: Iterable[BenchmarkScene], render: RenderScene, resize: Resize, watch: Stopwatch
) -> None:
    """Render every camera of every scene into a tar of PNG files, written atomically.

    Args:
        path: of the tar.
        scenes: of one scene group.
        render: renders the images of some cameras of a scene.
        resize: resizing of the cameras.
        watch: measures "drawing" and "encoding".
    """
    with ShardWriter(path, "test") as writer:
        for benchmark_scene in scenes:
            cameras = resize.cameras(benchmark_scene.viewpoint.cameras)
            with watch.measure("drawing"):
                images = render(benchmark_scene, cameras)
            with watch.measure("encoding"):
                pairs = zip(cameras, images, strict=True)
                files = {f"{safe_name(camera.name)}.png": encode_image(image, "png") for camera, image in pairs}
                writer.add(Sample(safe_name(benchmark_scene.token), "test", files, {}))
        writer.finish()
    commit(path)
