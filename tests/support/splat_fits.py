"""Folders in the format of `swerve fit`, with hand-made scenes."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from swerve.data.splats.splat_files import write_splats
from swerve.data.storage.files import safe_name
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
    """Write the scenes of logs, each to its folder."""
    for log in logs:
        write_splats(scene_of(log, without), folder / safe_name(log.name))
    return folder
