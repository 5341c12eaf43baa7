"""Folders in the format of `swerve fit`, with hand-made scenes."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.fit_outputs import FIT
from swerve.data.splats.photo_poses import PhotoPose, write_training_poses
from swerve.data.splats.splat_files import write_splats
from swerve.data.storage.files import safe_name, to_json, write_atomically
from swerve.rasterizer.splats import Gaussians, RigidNode, Sky, SplatScene
from swerve.scenes import Log
from swerve.scenes.transforms import pose_from_yaw


def blobs(means, scale=0.5, color=(1.0, 0.0, 0.0)) -> Gaussians:
    """Build opaque isotropic Gaussians of one colour."""
    count = len(means)
    harmonics = (np.array(color) - 0.5) / 0.28209479177387814
    return Gaussians(
        np.array(means, np.float32).reshape(count, 3),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.full((count, 3), np.log(scale), np.float32),
        np.full(count, 6.0, np.float32),
        np.tile(harmonics.astype(np.float32), (count, 1, 1)),
    )


def scene_of(log: Log, without: Collection[str] = ()) -> SplatScene:
    """Build a red Gaussian in the centre of every track, and a distant blue one; none on the ground."""
    nodes = []
    for row, name in enumerate(log.tracks.ids):
        if name not in without:
            poses = pose_from_yaw(log.tracks.positions[row], log.tracks.headings[row])
            nodes.append(RigidNode(name, row + 1, blobs([(0, 0, 0)]), log.times_us, poses))
    origin = log.ego.positions[0].copy()
    return SplatScene(blobs([(500, 0, 0)], 1.0, (0, 0, 1)), tuple(nodes), origin, Sky.constant((0.2, 0.3, 0.4)))


def write_fits(folder: Path, *logs: Log, without: Collection[str] = ()) -> Path:
    """Write the scenes of logs, each to its folder, with the record of a fit of all photos of all cameras."""
    record = to_json({"options": asdict(SceneOptions(holdout_interval=0))})
    for log in logs:
        own = folder / safe_name(log.name)
        write_splats(scene_of(log, without), own)
        write_training_poses(own, _photo_poses(log))
        write_atomically(own / FIT, record)
    return folder


def _photo_poses(log: Log) -> tuple[PhotoPose, ...]:
    """Return poses of each camera at every fifth step."""
    steps = range(0, len(log.times_us), 5)
    return tuple(
        PhotoPose(camera, int(log.times_us[step]), log.ego.world_from_ego[step])
        for camera in log.cameras
        for step in steps
    )
