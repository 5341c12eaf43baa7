"""Ways to draw what cameras see at one instant of a log, of its follow-ups, or of a drive in closed loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.dataset.augment_options import StyleName
from swerve.data.dataset.sample import STYLES
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.eval.benchmark.build_options import ViewKind
from swerve.rasterizer import StaticLayer, Style
from swerve.scenes import Camera, Log, SwerveError, Tracks, TrafficLights
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class Snapshot:
    """What there is at one instant, and from where it is seen.

    Attributes:
        world_from_ego: pose of the vehicle.
        tracks: everybody else, a single step.
        lights: what signals show, a single step.
        time_us: of the log, that this is an instant of.
    """

    world_from_ego: Float[np.ndarray, "4 4"]
    tracks: Tracks
    lights: TrafficLights
    time_us: int


@runtime_checkable
class LogRenderer(Protocol):
    """Draws instants of one log, of its follow-ups and of drives in closed loop, which share its map and its tracks."""

    def draw(self, instant: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """What each camera sees, in the camera's own size. The arrays are the caller's."""


@runtime_checkable
class ViewRenderer(Protocol):
    """A way to draw views: a light handle that can be sent to another process, compared and hashed."""

    def __hash__(self) -> int:
        """Equal ones draw the same."""

    @property
    def name(self) -> str:
        """Tells it from others in benchmark.json."""

    @property
    def stand_in(self) -> bool:
        """Whether what it draws stands in for photographs that nobody took."""

    def check(self, log: Log) -> None:
        """Whether it can draw a log, before it is prepared for it.

        Raises:
            SwerveError: it cannot.
        """

    def prepare(self, log: Log) -> LogRenderer:
        """What draws this log: all that stands still is made here, once.

        Raises:
            SwerveError: it cannot draw this log.
        """


Renderers = Mapping[ViewKind, ViewRenderer]


def snapshot_of(viewpoint: Viewpoint) -> Snapshot:
    """What there is at a viewpoint's now."""
    scene = viewpoint.scene
    now = slice(scene.history, scene.history + 1)
    time_us = int(scene.log.times_us[scene.now])
    return Snapshot(viewpoint.world_from_ego, viewpoint.tracks.at(now), scene.lights.at(now), time_us)


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

    @property
    def stand_in(self) -> bool:
        """A raster passes for nothing else."""
        return False

    def check(self, log: Log) -> None:
        """Every log can be drawn, with or without a map."""

    def prepare(self, log: Log) -> "LogRasters":
        """As in `ViewRenderer`."""
        return LogRasters(StaticLayer(build_static(log.road_map)), STYLES[self.style]())


@dataclass(frozen=True)
class LogRasters:
    """See `LogRenderer`."""

    backdrop: StaticLayer
    style: Style

    def draw(self, instant: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """As in `LogRenderer`."""
        moving = build_dynamic(instant.tracks, instant.lights, 0)
        views = self.backdrop.render(moving, cameras, instant.world_from_ego[None], self.style)[0]
        return [view.rgb for view in views if view.rgb is not None]


@dataclass(frozen=True)
class PhotoRenderer:
    """Pictures of towns that stand in for photographs (`swerve.data.sources.town.photos`), as in training sets.

    Weather, light and colours follow from the seed and the log's name alone, so all cases, follow-ups and drives of a
    log have those that `swerve augment --photos` with this seed gives it.

    Attributes:
        seed: another one gives other looks.
    """

    seed: int = 0

    @property
    def name(self) -> str:
        """As in `ViewRenderer`."""
        return f"photo-town-seed-{self.seed}"

    @property
    def stand_in(self) -> bool:
        """They are drawn."""
        return True

    def check(self, log: Log) -> None:
        """As in `ViewRenderer`.

        Raises:
            SwerveError: the log is of no town, or has no map.
        """
        if log.source != "town":
            raise SwerveError(
                f"log {log.name} is of {log.source}: stand-ins for photographs are drawn of town:COUNT alone. "
                "Use --views raster"
            )
        if log.road_map is None:
            raise SwerveError(f"log {log.name} has no map: there is nothing to photograph")

    def prepare(self, log: Log) -> "LogPhotos":
        """As in `ViewRenderer`; takes about a second."""
        self.check(log)
        return LogPhotos(TownPhotoRenderer(log, self.seed))


@dataclass(frozen=True)
class LogPhotos:
    """See `LogRenderer`."""

    studio: TownPhotoRenderer

    def draw(self, instant: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """As in `LogRenderer`."""
        drawn = self.studio.photograph(cameras, instant.world_from_ego, instant.tracks, instant.lights)
        return [photograph.rgb for photograph in drawn]
