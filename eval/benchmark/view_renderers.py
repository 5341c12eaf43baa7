"""Renderers of camera views at a snapshot of a log, of its follow-ups, or of a closed-loop rollout."""

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
from swerve.scenes.past_frames import past_step
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class Snapshot:
    """All dynamic state at one time, and the ego pose.

    Attributes:
        world_from_ego: pose of the ego.
        tracks: the other agents, a single step.
        lights: states of the traffic lights, a single step.
        time_us: timestamp of the log.
    """

    world_from_ego: Float[np.ndarray, "4 4"]
    tracks: Tracks
    lights: TrafficLights
    time_us: int


@runtime_checkable
class LogRenderer(Protocol):
    """Renders snapshots of one log, of its follow-ups and of its rollouts, which share its map and tracks."""

    def render(self, snapshot: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Render each camera's image at the camera's own size. The arrays are the caller's."""


@runtime_checkable
class ViewRenderer(Protocol):
    """A method to render views: a light handle that can be pickled, compared and hashed."""

    def __hash__(self) -> int:
        """Return a hash; equal renderers render the same."""

    @property
    def name(self) -> str:
        """Return the name that identifies the renderer in benchmark.json."""

    @property
    def synthetic(self) -> bool:
        """Return whether it renders synthetic photos."""

    def check(self, log: Log) -> None:
        """Check that a log can be rendered, before it is prepared.

        Raises:
            SwerveError: it cannot.
        """

    def prepare(self, log: Log) -> LogRenderer:
        """Create the renderer of a log; its static primitives are built here, once.

        Raises:
            SwerveError: the log cannot be rendered.
        """


Renderers = Mapping[ViewKind, ViewRenderer]


def snapshot_of(viewpoint: Viewpoint, seconds: float = 0.0) -> Snapshot:
    """Return the snapshot at a viewpoint's current step, or at that so many seconds ago.

    Raises:
        SwerveError: the viewpoint's history is shorter.
    """
    scene, step = viewpoint.scene, past_step(viewpoint, seconds)
    here, pose = slice(step, step + 1), viewpoint.ego.world_from_ego[step]
    return Snapshot(pose, viewpoint.tracks.at(here), scene.lights.at(here), int(scene.times_us[step]))


@dataclass(frozen=True)
class RasterRenderer:
    """Rasters of annotated primitives, as in training sets.

    Attributes:
        style: "rap" or "surfaces".
    """

    style: StyleName = "rap"

    @property
    def name(self) -> str:
        """Return the name, see `ViewRenderer`."""
        return f"raster-{self.style}"

    @property
    def synthetic(self) -> bool:
        """Return False: rasters are not photos."""
        return False

    def check(self, log: Log) -> None:
        """Accept every log, with or without a map."""

    def prepare(self, log: Log) -> "LogRasters":
        """Create the renderer of a log, see `ViewRenderer`."""
        return LogRasters(StaticLayer(build_static(log.road_map)), STYLES[self.style]())


@dataclass(frozen=True)
class LogRasters:
    """The raster renderer of one log, see `LogRenderer`."""

    static_layer: StaticLayer
    style: Style

    def render(self, snapshot: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Render RGB images, see `LogRenderer`."""
        moving = build_dynamic(snapshot.tracks, snapshot.lights, 0)
        views = self.static_layer.render(moving, cameras, snapshot.world_from_ego[None], self.style)[0]
        return [view.rgb for view in views if view.rgb is not None]


@dataclass(frozen=True)
class PhotoRenderer:
    """Synthetic photos of towns (`swerve.data.sources.town.photos`), as in training sets.

    Weather, light and colours follow from the seed and the log's name alone, so all scene groups, follow-ups and
    rollouts of a log have those of `swerve augment --photos` with the same seed.

    Attributes:
        seed: of weather, light and colours.
    """

    seed: int = 0

    @property
    def name(self) -> str:
        """Return the name, see `ViewRenderer`."""
        return f"photo-town-seed-{self.seed}"

    @property
    def synthetic(self) -> bool:
        """Return True: the photos are synthetic."""
        return True

    def check(self, log: Log) -> None:
        """Check that the log is of a town with a map.

        Raises:
            SwerveError: it is not.
        """
        if log.source != "town":
            raise SwerveError(
                f"log {log.name} is of {log.source}: synthetic photos exist for town:COUNT only. Use --views raster"
            )
        if log.road_map is None:
            raise SwerveError(f"log {log.name} has no map: synthetic photos need one")

    def prepare(self, log: Log) -> "LogPhotos":
        """Create the renderer of a log, see `ViewRenderer`; takes about a second."""
        self.check(log)
        return LogPhotos(TownPhotoRenderer(log, self.seed))


@dataclass(frozen=True)
class LogPhotos:
    """The photo renderer of one log, see `LogRenderer`."""

    renderer: TownPhotoRenderer

    def render(self, snapshot: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Render RGB images, see `LogRenderer`."""
        drawn = self.renderer.photograph(cameras, snapshot.world_from_ego, snapshot.tracks, snapshot.lights)
        return [photograph.rgb for photograph in drawn]
