"""Renderer of 3D Gaussian scenes fitted by `swerve fit`, with dynamic objects at a snapshot's poses."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int32, UInt8

from swerve.data.dataset.capture import tracks_at
from swerve.data.jobs.source_records import read_source_record
from swerve.data.splats.fit_outputs import FIT, check_fitted_log, check_fitted_to
from swerve.data.splats.splat_files import read_splats
from swerve.data.storage.checked_json import anything, mapping_of, read_json
from swerve.data.storage.files import safe_name
from swerve.eval.benchmark.view_renderers import Snapshot, ViewRenderer
from swerve.rasterizer.splats import RigidNode, SplatScene, SplatSnapshot, SplatView, render_splats
from swerve.scenes import Camera, Log, SwerveError, Tracks
from swerve.scenes.primitives.primitives import NO_INSTANCE
from swerve.scenes.transforms import pose_from_yaw

_GRAPH = "graph.json"
# A track is at its logged pose if no number of its pose differs by more, metres and sines.
_SAME = 0.01


@dataclass(frozen=True)
class SplatRenderer:
    """Renders 3D Gaussians fitted to each log.

    Attributes:
        folder: of `swerve fit`: a scene in `folder / safe_name(log)` for each log.
    """

    folder: Path

    @cached_property
    def name(self) -> str:
        """Return the name, see `ViewRenderer`: a digest of all scenes of the folder, independent of its path."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self.folder.glob("*/*") if path.name == _GRAPH or path.suffix == ".ply"):
            digest.update(path.relative_to(self.folder).as_posix().encode())
            digest.update(path.read_bytes())
        return f"splat-{digest.hexdigest()[:16]}"

    @cached_property
    def synthetic(self) -> bool:
        """Return whether a scene was fitted to synthetic photos, as towns are."""
        fits = [read_json(path, mapping_of(anything)) for path in self.folder.glob(f"*/{FIT}")]
        return any(fit.get("source") == "town" for fit in fits)

    def check(self, log: Log) -> None:
        """Check that a scene was fitted to the log.

        Raises:
            SwerveError: no scene is fitted to the log.
        """
        if not (self.folder / safe_name(log.name) / _GRAPH).is_file():
            raise SwerveError(
                f"log {log.name}: no splat scene in {self.folder / safe_name(log.name)}. Fit it with swerve fit, or "
                "build without splat views"
            )

    def prepare(self, log: Log) -> "LogSplats":
        """Load the scene fitted to a log.

        Raises:
            SwerveError: no scene is fitted to the log, or its files are damaged.
        """
        self.check(log)
        folder = self.folder / safe_name(log.name)
        return LogSplats(read_splats(folder), log, folder)


def check_fitted(renderer: ViewRenderer, log: Log) -> None:
    """Check that splat views are of a scene fitted to this version of a log, where the fit's record says to which.

    Args:
        renderer: of any kind of views.
        log: as its source gives it, with its photos and its own rig.

    Raises:
        SwerveError: the log, or the program that generated it, has changed since the fit.
    """
    if isinstance(renderer, SplatRenderer):
        folder = renderer.folder / safe_name(log.name)
        if (folder / FIT).is_file():
            check_fitted_log(folder, log)


def check_fitted_source(renderer: ViewRenderer, benchmark: Path, name: str) -> None:
    """Check that splat views are of a scene fitted to the log that a benchmark was built of, where both records say it.

    Args:
        renderer: of any kind of views.
        benchmark: its folder, with a record of each log's contents.
        name: of the log.

    Raises:
        SwerveError: the log, or the program that generated it, was another one when the scene was fitted.
    """
    if not isinstance(renderer, SplatRenderer):
        return
    folder, source = renderer.folder / safe_name(name), read_source_record(benchmark, name)
    if source is not None and (folder / FIT).is_file():
        check_fitted_to(folder, name, (source.digest, source.whole))


@dataclass(frozen=True)
class LogSplats:
    """The splat renderer of one log, see `LogRenderer`.

    If the fit refined poses, the ego and the tracks are transformed as the fit transformed the ego at that time of the
    log, so a view from the logged pose is one from its refined pose. Tracks at their logged poses get the refined poses
    of their boxes. Refined poses follow the log's noise of a few centimetres, which a simulated ego's path does not
    have: its views jitter by as much.

    Attributes:
        scene: fitted to the log.
        log: with the logged poses of the tracks.
        folder: that the fit wrote.
    """

    scene: SplatScene
    log: Log
    folder: Path

    def render(self, snapshot: Snapshot, cameras: Sequence[Camera]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Render RGB images. Tracks without Gaussians are not visible, see `without_gaussians`."""
        return [view.rgb for view in self.views(snapshot, cameras, ("rgb",)) if view.rgb is not None]

    def views(self, snapshot: Snapshot, cameras: Sequence[Camera], outputs: tuple[str, ...]) -> list[SplatView]:
        """Render the given outputs; instances are numbered as in rasters of the snapshot."""
        logged = tracks_at(self.log.tracks, self.log.times_us, snapshot.time_us)
        frame = splat_frame_at(self.scene, snapshot.tracks, logged, snapshot.time_us)
        pose = self.scene.scene_from_log(snapshot.time_us) @ snapshot.world_from_ego
        return render_splats(frame, cameras, pose[None], outputs)[0]

    def without_gaussians(self, tracks: Tracks) -> set[str]:
        """Return the ids of the tracks valid at some step that the scene has no node of."""
        return {tracks.ids[row] for row in np.flatnonzero(tracks.valid.any(axis=1))} - {
            node.name for node in self.scene.nodes
        }


def splat_frame_at(scene: SplatScene, tracks: Tracks, logged: Tracks, time_us: int) -> SplatSnapshot:
    """Place a scene's nodes at the poses of the tracks of the same ids; nodes without a valid track are left out.

    Args:
        scene: background, sky and nodes, in the frames of their tracks' boxes.
        tracks: a single step. The instance of a node is its track's row + 1, as in rasters.
        logged: the tracks of the log at that time, a single step; see `LogSplats`.
        time_us: of the log.
    """
    nodes, in_log = {node.name: node for node in scene.nodes}, _poses(logged)
    parts, owners = [scene.background], [NO_INSTANCE]
    for track, pose in _poses(tracks).items():
        node = nodes.get(track)
        if node is not None:
            found = _refined(node, pose, in_log.get(track), time_us)
            local_from_node = scene.scene_from_log(time_us) @ pose if found is None else found.copy()
            local_from_node[:3, 3] -= scene.origin
            parts.append(node.gaussians.transform(local_from_node))
            owners.append(tracks.ids.index(track) + 1)
    instances: Int32[np.ndarray, "n"] = np.repeat(np.array(owners, np.int32), [len(part) for part in parts])
    return SplatSnapshot(parts[0].concatenate(*parts[1:]), instances, scene.origin, scene.sky)


def _poses(tracks: Tracks) -> dict[str, Float[np.ndarray, "4 4"]]:
    """Return the poses of the valid boxes at a single step, by id."""
    rows = np.flatnonzero(tracks.valid[:, 0])
    poses = pose_from_yaw(tracks.positions[rows, 0], tracks.headings[rows, 0])
    return {tracks.ids[row]: pose for row, pose in zip(rows, poses, strict=True)}


def _refined(
    node: RigidNode, pose: Float[np.ndarray, "4 4"], in_log: Float[np.ndarray, "4 4"] | None, time_us: int
) -> Float[np.ndarray, "4 4"] | None:
    """Return the refined pose of a node, if its track is at its logged pose."""
    if in_log is None or not np.allclose(pose, in_log, rtol=0, atol=_SAME):
        return None
    return node.pose_at(time_us)
