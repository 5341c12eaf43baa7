"""Options of an augmentation job."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from swerve.data.dataset.image_encoding import ImageFormat
from swerve.rasterizer.backends import BACKENDS, Backend
from swerve.scenes import Split, SwerveError
from swerve.scenes.viewpoints import ViewpointOptions

StyleName = Literal["rap", "surfaces"]
RigName = Literal["own", "default"]
Rasters = Literal["stored", "drawn"]
VIEWS = ("logged", "recovery", "cross_agent")
EXTRAS = ("depth", "semantic", "instance")


@dataclass(frozen=True)
class AugmentOptions:
    """Everything except the sources that determines a set's content.

    Attributes:
        views: kinds of viewpoints: "logged", "recovery", "cross_agent".
        seed: seed of all random choices.
        image_format: "jpeg" or "png", one for the whole set.
        quality: JPEG quality, 1 to 100.
        extra: additional image outputs: "depth", "semantic", "instance".
        size: width and height in pixels that every camera is resized to; the original size if None.
        rig: "own" for each log's cameras, "default" for `default_rigs.default_rig` instead, without photos.
        cameras: names of the cameras to render; all if empty.
        photos: whether synthetic photos are rendered too, for every viewpoint; towns only.
        rasters: "stored" as images, or "drawn": rendered by the stream from stored snapshots.
        every: seconds between scenes.
        history: seconds before now.
        future: seconds after now.
        viewpoints: options of the viewpoints of each kind.
        style: colour style: "rap" or "surfaces".
        samples: supersampling factor along each axis.
        backend: rendering back end: "numba", "cuda", "nvdiffrast" or "auto".
        split: split of logs whose source does not state one.
        shard_scenes: maximum number of scenes per shard.

    Raises:
        SwerveError: an option is out of its range.
    """

    views: tuple[str, ...] = VIEWS
    seed: int = 0
    image_format: ImageFormat = "png"
    quality: int = 90
    extra: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    rig: RigName = "own"
    cameras: tuple[str, ...] = ()
    photos: bool = False
    rasters: Rasters = "stored"
    every: float = 0.5
    history: float = 2.0
    future: float = 5.0
    viewpoints: ViewpointOptions = field(default_factory=ViewpointOptions)
    style: StyleName = "rap"
    samples: int = 1
    backend: Backend = "numba"
    split: Split = "train"
    shard_scenes: int = 64

    def __post_init__(self) -> None:
        _check_names("views", self.views, VIEWS)
        _check_names("extra", self.extra, EXTRAS)
        _check_names("format", (self.image_format,), ("jpeg", "png"))
        _check_names("rasters", (self.rasters,), ("stored", "drawn"))
        _check_names("style", (self.style,), ("rap", "surfaces"))
        _check_names("rig", (self.rig,), ("own", "default"))
        _check_names("backend", (self.backend,), ("auto", *BACKENDS))
        _check_names("split", (self.split,), ("train", "val", "test"))
        _check_range("quality", self.quality, 1, 100)
        _check_range("every", self.every, 0.01, 3600)
        _check_range("history", self.history, 0, 60)
        _check_range("future", self.future, 0.5, 60)
        _check_range("recovery-per-scene", self.viewpoints.recovery.per_scene, 0, 1000)
        recovery = self.viewpoints.recovery
        _check_range("lateral", recovery.lateral, 0, 20)
        _check_range("longitudinal", recovery.longitudinal, 0, 25)
        _check_range("heading (degrees)", float(np.rad2deg(recovery.heading)), 0, 60)
        _check_range("speed", recovery.speed, 0, 0.9)
        _check_range("max-cross-agent", self.viewpoints.cross_agent.per_scene, 0, 1000)
        _check_range("samples", self.samples, 1, 8)
        _check_range("shard-scenes", self.shard_scenes, 1, 100_000)
        if self.rasters == "drawn" and self.extra:
            raise SwerveError(
                f"extra: {self.extra[0]} images need stored rasters: leave them out, or set rasters to 'stored'"
            )
        if not self.views:
            raise SwerveError(f"views: none given, choose among {', '.join(VIEWS)}")
        if self.size is not None and not (0 < self.size[0] <= 16384 and 0 < self.size[1] <= 16384):
            raise SwerveError(f"size: {self.size[0]}x{self.size[1]} must be 1 to 16384 pixels each way")


def _check_names(option: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Check that every name is known and given once."""
    for name in given:
        if name not in known:
            raise SwerveError(f"{option}: {name!r} is not known, choose among {', '.join(known)}")
    if len(set(given)) < len(given):
        raise SwerveError(f"{option}: a name is given twice in {','.join(given)}")


def _check_range(option: str, value: float | int, low: float | int, high: float | int) -> None:
    """Check that the value lies in its range."""
    if not low <= value <= high:
        raise SwerveError(f"{option}: {value} must lie between {low} and {high}")
