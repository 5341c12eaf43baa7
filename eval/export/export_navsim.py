"""Export of a benchmark in NAVSIM's formats: logs, second-stage scenes, images, map, split."""

import csv
import io
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.dataset.image_encoding import encode_image
from swerve.data.export_navsim.alternating_map import alternating_map
from swerve.data.export_navsim.log_frames import STRIDE, ExportedLog, FrameInputs, log_frames
from swerve.data.export_navsim.map_features import FeatureIds, MapFeatures
from swerve.data.export_navsim.map_schema import SCHEMA
from swerve.data.export_navsim.rig import camera_record, navsim_names
from swerve.data.export_navsim.split_files import split_files
from swerve.data.export_navsim.synthetic_scene import FollowUpScene, synthetic_scene
from swerve.data.export_navsim.tokens import synthetic_token
from swerve.data.export_navsim.write_geopackage import write_geopackage
from swerve.data.sources.navsim.scene_filter import SceneMapping
from swerve.data.storage.files import PART, make_folder, os_errors_as_swerve_errors, to_json
from swerve.data.storage.write_pickle import pickled
from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.frame_steps import BEFORE, ENDPOINT
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.export.navsim_folder import INDEX, LOCATION, VERSIONS, ZONES, ExportFolder, read_me
from swerve.scenes import Log, RoadMap, SwerveError
from swerve.scenes.viewpoints import Command
from swerve.scenes.viewpoints.command import driving_command

# Metres between the maps of two logs, and of the corner of the first: inside the zone and the location's latitudes.
# Scores look no farther than 600 m.
_APART: Final = 2000.0
_CORNER: Final = (330_000.0, 4_680_000.0)
# Called with the number of finished scene groups and of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class NavsimExport:
    """A finished export.

    Attributes:
        folder: where it is.
        scene_groups: number of scene groups.
        scenes: number of scenes of both stages.
        images: number of images.
        notes: what the export could not keep, a line each.
    """

    folder: ExportFolder
    scene_groups: int
    scenes: int
    images: int
    notes: tuple[str, ...]


def export_navsim(
    benchmark: Benchmark,
    root: str | Path,
    split: str | None = None,
    images: bool = True,
    progress: Progress | None = None,
) -> NavsimExport:
    """Write a benchmark as NAVSIM's data.

    The folder appears when it is complete; before, it is `ROOT.part`, which an error removes.

    Args:
        benchmark: the benchmark, with the views to write.
        root: of the data; must not exist, or be empty.
        split: name of the split; by default that of the benchmark's folder, with "_two_stage".
        images: whether images are written; planners without cameras need none.
        progress: progress callback.

    Raises:
        SwerveError: the folder is in use or cannot be written, or a log cannot be expressed in NAVSIM's formats.
    """
    root = Path(root)
    name = split or f"{_file_name(benchmark.folder.resolve().name)}_two_stage"
    if name != _file_name(name) or name.startswith(".") or name in _RESERVED:
        raise SwerveError(
            f"split {name!r}: use letters, digits, and . _ - only, no dot at the beginning, and none of "
            f"{', '.join(_RESERVED)}"
        )
    root = root.absolute()
    with _new_folder(root) as part:
        job = _Export(benchmark, ExportFolder(part, name), images, progress or (lambda done, total: None))
        job.run()
    return NavsimExport(ExportFolder(root, name), len(job.mappings), len(job.names), job.images, tuple(job.notes))


# Folders of an export that a split's own folder must not be.
_RESERVED = ("config", "maps", "navsim_logs", "sensor_blobs")


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


@contextmanager
def _new_folder(root: Path) -> Iterator[Path]:
    """Give the temporary name of a new folder; rename it at the end, or remove it after an error."""
    part = root.with_name(root.name + PART)
    with os_errors_as_swerve_errors(root):
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise SwerveError(f"{root}: exists and is not empty. Nothing is overwritten: choose another folder")
        make_folder(root.parent)
        try:
            part.mkdir()
        except FileExistsError as error:
            raise SwerveError(f"{part}: is of an export that runs or was killed. If none runs, delete it") from error
        try:
            yield part
            os.sync()  # once for all files, of which there may be very many
            part.replace(root)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


class _Export:
    """One export in progress: everything that becomes known scene group by scene group."""

    def __init__(self, benchmark: Benchmark, folder: ExportFolder, images: bool, progress: Progress) -> None:
        self.benchmark, self.folder, self.with_images, self.progress = benchmark, folder, images, progress
        self.features, self.images = MapFeatures(), 0
        self.mappings: list[SceneMapping] = []
        self.log_names: dict[str, None] = {}
        # Rows of tokens.csv and map_ids.csv.
        self.names: list[tuple[str, str, str, str]] = []
        self.ids: list[tuple[str, str, str, int]] = []
        self.notes: dict[str, None] = {}

    def run(self) -> None:
        groups = {log: self.benchmark.scene_groups(log) for log in self.benchmark.logs}
        places = _places([_map_of(self.benchmark.log(log)) for log in groups])
        total, done = sum(map(len, groups.values())), 0
        for (log, names), place in zip(groups.items(), places, strict=True):
            writer = self._writer(self.benchmark.log(log), place)
            for name in names:
                writer.write_group(self.benchmark.scene_group(name))
                done += 1
                self.progress(done, total)
            writer.write_frames()
        self._write_maps()
        self._write_texts()

    def _writer(self, log: Log, place: Float[np.ndarray, "2"]) -> "_LogExport":
        """Put a log's map into the exported one, and return what writes the log."""
        changed = alternating_map(_map_of(log), log.route)
        if changed.note:
            self.notes[f"log {log.name}: {changed.note}"] = None
        signals = [lane for lane in log.lights.lane_ids if lane in changed.road_map.lane_by_id]
        ids = self.features.add(changed.road_map, place, signals, log.name)
        self.ids += [(log.name, *row) for row in ids.rows()]
        offset = np.array([*place, 0.0])
        exported = ExportedLog(
            _file_name(log.name),
            log,
            LOCATION,
            offset,
            tuple(ids.groups[group] for group in changed.route),
            _light_rows(log, changed.road_map, ids, changed.copies),
        )
        return _LogExport(self, exported)

    def _write_maps(self) -> None:
        for location in VERSIONS:
            path = self.folder.map_file(location)
            make_folder(path.parent)
            layers = self.features.layers if location == LOCATION else {}
            write_geopackage(path, SCHEMA, layers, ZONES[location])
        index = {location: {"version": version, "layers": {}} for location, version in VERSIONS.items()}
        (self.folder.maps / INDEX).write_bytes(to_json(index))

    def _write_texts(self) -> None:
        for path, text in split_files(self.folder.name, list(self.log_names), self.mappings).items():
            _write(self.folder.splits / path, text.encode())
        root = self.folder.root
        _write(root / "tokens.csv", _csv(("token", "scene", "scene_group", "log"), self.names))
        _write(root / "map_ids.csv", _csv(("log", "layer", "id", "fid"), self.ids))
        _write(root / "README.txt", read_me(self.folder.name, list(self.notes)).encode())
        facts = {"benchmark": self.benchmark.identity(), "split": self.folder.name, "notes": list(self.notes)}
        _write(root / "export.json", to_json(facts))


class _LogExport:
    """One log on its way into the exported data."""

    def __init__(self, job: _Export, exported: ExportedLog) -> None:
        self.job, self.exported = job, exported
        self.inputs: dict[int, FrameInputs] = {}
        self.cameras = navsim_names(exported.log.cameras) if job.with_images else {}
        lost = [camera.name for camera in exported.log.cameras if camera.name not in self.cameras]
        if lost and job.with_images:
            job.notes[
                f"log {exported.log.name}: cameras that are none of NAVSIM's are left out: {', '.join(lost)}. "
                "swerve build --rig default has all eight"
            ] = None

    def write_group(self, group: SceneGroup) -> None:
        """Write the follow-up scenes and images of a scene group, and keep what its frames need."""
        now, before = (group.scenes[token] for token in (group.group.now, group.group.before))
        step = now.viewpoint.scene.now
        first = tuple(self._logged(group, scene) for scene in (now, before))
        originals = (step + ENDPOINT, step + ENDPOINT - BEFORE)
        pairs = [
            (self._follow_up(group, pair[0], originals[0]), self._follow_up(group, pair[1], originals[1]))
            for pair in group.group.follow_ups
        ]
        self.job.mappings.append(SceneMapping(first[0], first[1], tuple(pairs)))

    def write_frames(self) -> None:
        """Write the log's frames: one file for each series of frames 0.5 s apart that scene groups begin in."""
        phases = sorted({step % STRIDE for step in self.inputs})
        for phase in phases:
            steps = range(phase, len(self.exported.log.times_us), STRIDE)
            name = self._series(phase)
            if name in self.job.log_names:
                raise SwerveError(f"log {self.exported.log.name}: another log has the file name {name} as well")
            frames = log_frames(replace(self.exported, name=name), steps, self._inputs)
            _write(self.job.folder.log(name), pickled(frames))
            self.job.log_names[name] = None

    def _series(self, phase: int) -> str:
        """Return the exported name of the series of frames that begins at a step."""
        return self.exported.name if phase == 0 else f"{self.exported.name}_{phase}"

    def _inputs(self, step: int) -> FrameInputs:
        known = self.inputs.get(step)
        return known or FrameInputs(_command(self.exported.log, step))

    def _logged(self, group: SceneGroup, scene: BenchmarkScene) -> str:
        step = scene.viewpoint.scene.now
        token = self.exported.token(step)
        records = self._write_images(group, scene, token, self.job.folder.sensors, self._series(step % STRIDE))
        self.inputs[step] = FrameInputs(scene.viewpoint.command, records)
        self._name(token, scene, group)
        return token

    def _follow_up(self, group: SceneGroup, name: str, original: int) -> str:
        scene = group.scenes[name]
        token = synthetic_token(scene.token)
        records = self._write_images(group, scene, token, self.job.folder.synthetic_sensors, token)
        own = replace(self.exported, log=scene.viewpoint.scene.log, name=self._series(original % STRIDE))
        written = FollowUpScene(
            token,
            own,
            scene.viewpoint.scene.now,
            self.exported.token(original),
            scene.viewpoint.command,
            records,
        )
        _write(self.job.folder.synthetic_scene(token), pickled(synthetic_scene(written)))
        self._name(token, scene, group)
        return token

    def _name(self, token: str, scene: BenchmarkScene, group: SceneGroup) -> None:
        self.job.names.append((token, scene.token, group.group.now, group.log))

    def _write_images(
        self, group: SceneGroup, scene: BenchmarkScene, token: str, sensors: Path, folder: str
    ) -> dict[str, dict[str, Any]]:
        """Write a scene's images, and return their records by NAVSIM's name of the camera."""
        if group.views is None or not self.cameras:
            return {}
        cameras = {camera.name: camera for camera in group.views.cameras(scene) if camera.name in self.cameras}
        records = {}
        for name, image in group.views.images(scene, list(cameras)).items():
            own = self.cameras[name]
            path = Path(folder, own.upper(), f"{token}.png")
            _write(sensors / path, encode_image(image, "png"))
            records[own] = camera_record(cameras[name], str(path))
        self.job.images += len(records)
        return records


def _map_of(log: Log) -> RoadMap:
    if log.road_map is None or not log.route:
        raise SwerveError(f"log {log.name}: has no map or no route; NAVSIM scores none without")
    return log.road_map


def _places(maps: Sequence[RoadMap]) -> list[Float[np.ndarray, "2"]]:
    """Return what is added to the coordinates of each map, whole metres, so that they lie side by side in a square."""
    bounds = np.array([_bounds(road_map) for road_map in maps])
    spacing = float(np.ceil((bounds[:, 2:] - bounds[:, :2]).max())) + _APART
    side = math.ceil(math.sqrt(len(maps)))
    corners = [np.array(_CORNER) + spacing * np.array(divmod(index, side)[::-1]) for index in range(len(maps))]
    return [corner - np.floor(low) for corner, low in zip(corners, bounds[:, :2], strict=True)]


def _bounds(road_map: RoadMap) -> Float[np.ndarray, "4"]:
    """Return the bounding box of everything that is exported."""
    layers = (
        road_map.lanes,
        road_map.lane_groups,
        road_map.drivable_areas,
        road_map.generic_drivable_areas,
        road_map.intersections,
        road_map.crosswalks,
        road_map.walkways,
        road_map.parking_areas,
    )
    boxes = np.array([surface.bounds for layer in layers for surface in layer])
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _light_rows(
    log: Log, road_map: RoadMap, ids: FeatureIds, copies: Mapping[str, Sequence[str]]
) -> tuple[tuple[int, int], ...]:
    """Return rows of a log's lights with the ids of their connectors.

    Raises:
        SwerveError: a light controls a lane that is no connector.
    """
    rows = []
    for row, lane in enumerate(log.lights.lane_ids):
        for own in copies.get(lane, (lane,)):
            if own not in road_map.lane_by_id or not road_map.lane_by_id[own].is_connector:
                raise SwerveError(f"log {log.name}: a light controls {lane}, which is no connector, as NAVSIM's must")
            rows.append((row, ids.lanes[own]))
    return tuple(rows)


def _command(log: Log, step: int) -> Command:
    """Return the driving command of a frame that is not a scene's: by the logged path ahead."""
    ahead = log.ego.positions[step:, :2]
    return driving_command(ahead, float(log.ego.headings[step]), log.road_map, log.route)


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file of the export, whose folder gets its name when all is written."""
    make_folder(path.parent)
    path.write_bytes(content)
