"""Scenes of a NAVSIM data set for evaluation: on the official map, from the logged ego, with the stored images."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.dataset.image_encoding import decode_image
from swerve.data.sources.navsim.cameras import axle_height, camera_of, image_path, scene_cameras
from swerve.data.sources.navsim.frames import NavsimScene
from swerve.data.sources.navsim.scene_log import scene_of
from swerve.data.sources.navsim.scene_windows import SceneIndex
from swerve.data.sources.navsim.scoring_map import scoring_map
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.stored_views import chosen_cameras
from swerve.scenes import Camera, RoadMap, SwerveError
from swerve.scenes.viewpoints import Command, Viewpoint, ViewpointKind

# Metres: maps are cut on a grid of this spacing, so that scenes near each other share one, and reach so far.
_CELL: Final = 200.0
_REACH: Final = 600.0
_LOCATIONS: Final = {"las_vegas": "us-nv-las-vegas-strip"}


def benchmark_scene(scene: NavsimScene, maps: Path, origin: Float[np.ndarray, "3"]) -> BenchmarkScene:
    """Return a NAVSIM scene from the viewpoint of its ego, without cameras: `NavsimViews` has them.

    Raises:
        LogError: the map is missing or damaged.
        SwerveError: a frame has no annotations.
    """
    own = scene_of(scene, _road_map(maps, scene, origin), origin)
    poses = own.ego.world_from_ego
    human = poses[own.history + 1 :] if not scene.synthetic else np.zeros((0, 4, 4))
    viewpoint = Viewpoint(
        scene=own,
        kind=ViewpointKind.FOLLOW_UP if scene.synthetic else ViewpointKind.LOGGED,
        index=0,
        ego=own.ego.at(slice(0, own.history + 1)),
        target=human,
        human=human,
        vehicle=own.log.vehicle,
        cameras=(),
        tracks=own.tracks,
        command=command_of(scene),
        parameters={},
    )
    return BenchmarkScene(scene.token, viewpoint, scene.synthetic)


def command_of(scene: NavsimScene) -> Command:
    """Return the driving command of the current frame; UNKNOWN if it names none."""
    command = scene.current.driving_command
    return Command(int(command.argmax())) if command.any() else Command.UNKNOWN


def _road_map(maps: Path, scene: NavsimScene, origin: Float[np.ndarray, "3"]) -> RoadMap:
    """Return the map around a scene; scenes of one cell and route share it."""
    center = np.round(scene.current.ego_pose[:2] / _CELL) * _CELL
    place = float(center[0]), float(center[1]), float(origin[0]), float(origin[1])
    return _cut_map(maps, map_location(scene.map_name), place, scene.current.roadblock_ids)


def map_location(name: str) -> str:
    """Return the location of a scene's map, whose name some logs abbreviate."""
    return _LOCATIONS.get(name, name)


@lru_cache(maxsize=8)
def _cut_map(maps: Path, location: str, place: tuple[float, float, float, float], route: tuple[str, ...]) -> RoadMap:
    nuplan_map, center = load_nuplan_map(maps, location), np.array(place[:2])
    return scoring_map(nuplan_map, center, _REACH, route, np.array([*place[2:], 0.0]))


@dataclass(frozen=True)
class NavsimRecording:
    """A scene as NAVSIM has it, and the folder of its sensor data; for NAVSIM's agents."""

    scene: NavsimScene
    folder: Path


@dataclass(frozen=True)
class NavsimViews:
    """Photographs of scenes, in place. Pinhole matrices are Swerve's, lenses are kept.

    Attributes:
        index: the split's scenes.
    """

    index: SceneIndex

    def cameras(self, benchmark_scene: BenchmarkScene) -> tuple[Camera, ...]:
        """Return the cameras of a scene's current frame, see `SceneViews`."""
        scene = self.index.load(benchmark_scene.token)
        return scene_cameras(scene.current, self.index.sensors.of(scene), axle_height(scene.history))

    def images(
        self, benchmark_scene: BenchmarkScene, cameras: Sequence[str]
    ) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Read images, see `SceneViews`."""
        scene = self.index.load(benchmark_scene.token)
        folder = self.index.sensors.of(scene)
        chosen = chosen_cameras(self.cameras(benchmark_scene), benchmark_scene, cameras)
        return {camera.name: _image(image_path(scene.current, camera.name, folder)) for camera in chosen}

    def recording(self, benchmark_scene: BenchmarkScene) -> NavsimRecording:
        """Return a scene as NAVSIM has it."""
        scene = self.index.load(benchmark_scene.token)
        return NavsimRecording(scene, self.index.sensors.of(scene))


def _image(path: Path) -> UInt8[np.ndarray, "_ _ 3"]:
    try:
        return decode_image(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SwerveError(f"{path}: image cannot be read ({error}). Was the split's sensor data downloaded?") from error


def calibrated_cameras(scene: NavsimScene) -> list[Camera]:
    """Return the cameras of the current frame, one pixel large, whether their images are there or not.

    Raises:
        LogError: a calibration is damaged.
    """
    height = axle_height(scene.history)
    return [
        camera_of(name, calibration, (1, 1), height, Path(calibration.path))
        for name, calibration in scene.current.cameras.items()
    ]


def check_images(index: SceneIndex, tokens: Iterable[str], cameras: Collection[str] | None) -> None:
    """Check that the images of scenes' current frames are there.

    Args:
        index: the split's scenes.
        tokens: of the scenes.
        cameras: names of those that are needed; None for all that a scene has.

    Raises:
        SwerveError: some are missing; in one line, with their number.
    """
    wanted, missing = 0, list[Path]()
    for token in tokens:
        scene = index.load(token)
        folder = index.sensors.of(scene)
        files = [image_path(scene.current, name, folder) for name in cameras or scene.current.cameras]
        wanted += len(files)
        missing += [file for file in files if not file.is_file()]
    if missing:
        raise SwerveError(
            f"split {index.split.name}: {len(missing)} of {wanted} images that the planners need are missing, such as "
            f"{missing[0]}. Download the split's sensor data, or evaluate planners without cameras"
        )
