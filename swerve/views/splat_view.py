"""3D view of a splat scene of `swerve fit`, alone or with the log that it was fitted to."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from swerve.data.splats.photo_poses import read_training_poses
from swerve.data.splats.splat_files import read_splats
from swerve.eval.benchmark.splat_renderer import LogSplats, SplatRenderer, check_fitted
from swerve.eval.benchmark.view_renderers import Snapshot
from swerve.rasterizer.splats import Gaussians, SplatScene
from swerve.rasterizer.splats.harmonics import sh_to_rgb
from swerve.scenes import Camera, Log, SwerveError, Tracks, Vehicle
from swerve.scenes.transforms import pose_from_yaw, rotation_from_quaternion
from swerve.views.log_view import reduced_camera
from swerve.viz.scene_view import CameraView3D, SceneView3D, SplatCloud

GRAPH = "graph.json"
# Most Gaussians that are shown: browsers sort all of them in every frame.
MOST = 400_000


def splat_cloud(gaussians: Gaussians, origin: np.ndarray) -> SplatCloud:
    """Return Gaussians as a viewer draws them: of too many, the most opaque and large ones.

    Args:
        gaussians: world axes, metres from `origin`.
        origin: world coordinates.
    """
    opacities = 1.0 / (1.0 + np.exp(-gaussians.opacity_logits.astype(float)))
    scales = np.exp(gaussians.log_scales.astype(float))
    if len(gaussians) > MOST:
        areas = np.sort(scales, axis=1)[:, 1:].prod(axis=1)
        rows = np.argsort(-opacities * areas, kind="stable")[:MOST]
        gaussians, opacities, scales = gaussians.select(rows), opacities[rows], scales[rows]
    axes = rotation_from_quaternion(gaussians.quaternions) * scales[:, None, :]
    return SplatCloud(
        (gaussians.means + origin).astype(np.float32),
        (axes @ np.swapaxes(axes, 1, 2)).astype(np.float32),
        np.clip(sh_to_rgb(gaussians.sh_coefficients[:, 0]), 0.0, 1.0).astype(np.float32),
        opacities.astype(np.float32),
    )


def splat_scene_view(folder: Path) -> SceneView3D:
    """Describe a splat scene alone: its moving nodes at their poses at the times that they have.

    Raises:
        SwerveError: the folder holds no complete scene.
    """
    scene = read_splats(folder)
    times_us = _times(scene)
    snapshot = scene.at(int(times_us[0]))
    middle = np.median(scene.background.means.astype(float), axis=0) + scene.origin
    steps = len(times_us)
    count = len(snapshot.gaussians)
    text = f"{count} Gaussians, {len(scene.nodes)} moving objects, shown at their first pose."
    return SceneView3D(
        title=f"Splat scene {folder.resolve().name}",
        text=text + (f" The {MOST} most visible are drawn." if count > MOST else ""),
        times=(times_us - times_us[0]) * 1e-6,
        world_from_ego=np.repeat(pose_from_yaw(middle, 0.0)[None], steps, axis=0),
        vehicle=Vehicle.from_box(0.2, 0.2, 0.2, "middle of the scene"),
        tracks=Tracks.empty(steps),
        splats=splat_cloud(snapshot.gaussians, snapshot.origin),
    )


def _times(scene: SplatScene) -> np.ndarray:
    return np.array([min((int(node.times_us[0]) for node in scene.nodes), default=0)], dtype=np.int64)


def with_splats(view: SceneView3D, log: Log, folder: Path) -> SceneView3D:
    """Return the view of a log with the splat scene fitted to it, and splat views beside the images of fitted cameras.

    Args:
        view: of the log.
        log: the log.
        folder: that `swerve fit` wrote.

    Raises:
        SwerveError: no scene is fitted to the log, or to another version of it, or its files are damaged.
    """
    renderer = SplatRenderer(folder)
    check_fitted(renderer, log)
    splats = renderer.prepare(log)
    fitted = {pose.camera.name for pose in read_training_poses(splats.folder)}
    first = int(log.times_us[view.start])
    scene = splats.scene
    snapshot = scene.at(first)
    inverse_shift = np.linalg.inv(scene.scene_from_log(first))
    local = inverse_shift.copy()
    local[:3, 3] = inverse_shift[:3, :3] @ snapshot.origin + inverse_shift[:3, 3] - snapshot.origin
    cloud = splat_cloud(snapshot.gaussians.transform(local), snapshot.origin)
    text = f"{view.text} Splats: {len(snapshot.gaussians)} Gaussians, moving ones where they are at first."
    if unseen := [one.camera.name for one in view.cameras if one.camera.name not in fitted]:
        text += f" No splat views of {', '.join(unseen)}: no photo of theirs was fitted."
    cameras = tuple(shown for one in view.cameras for shown in _with_splat_view(one, splats, log, fitted))
    return replace(view, text=text, splats=cloud, cameras=cameras)


def _with_splat_view(
    one: CameraView3D, splats: LogSplats, log: Log, fitted: Collection[str]
) -> tuple[CameraView3D, ...]:
    """Return a camera, and its splat view if photos of it were fitted: elsewhere the scene is not determined."""
    camera = one.camera
    if camera.name not in fitted:
        return (one,)
    named = replace(camera, name=f"{camera.name}, splats")
    return one, CameraView3D(named, splat_reader(splats, log, camera))


def splat_reader(splats: LogSplats, log: Log, camera: Camera) -> Callable[[int], UInt8[np.ndarray, "_ _ 3"] | None]:
    """Return the renderer of a camera's splat view at a step, at the size of images that are shown."""
    small = reduced_camera(camera)

    @lru_cache(maxsize=4)
    def image(step: int) -> UInt8[np.ndarray, "_ _ 3"] | None:
        snapshot = Snapshot(
            log.ego.world_from_ego[step],
            log.tracks.at(slice(step, step + 1)),
            log.lights.at(slice(step, step + 1)),
            int(log.times_us[step]),
        )
        return splats.render(snapshot, [small])[0]

    return image


def is_splat_scene(folder: Path) -> bool:
    """Return whether a folder holds a splat scene."""
    return (folder / GRAPH).is_file()


def fitted_scene(folder: Path, name: str | None) -> Path:
    """Return the folder of a log's scene in an output of `swerve fit`; the first if no name is given.

    Raises:
        SwerveError: there is no such scene.
    """
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{GRAPH}"))}
    if not found or (name is not None and name not in found):
        raise SwerveError(f"{folder}: no splat scene {name or ''}; it has {', '.join(list(found)[:5]) or 'none'}")
    return found[name] if name else next(iter(found.values()))
