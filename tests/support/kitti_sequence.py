"""Writer of small KITTI odometry sequences."""

import numpy as np
from PIL import Image

from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion

FX, CX, CY, BASELINE = 70.0, 31.5, 15.5, 0.5


def camera_poses(count, step=1.0):
    """Return poses of the left camera in its frame at frame 0: ahead along z, with a slight turn about y (down)."""
    angles = 0.02 * np.arange(count)
    quaternions = np.stack([np.cos(angles / 2), 0 * angles, np.sin(angles / 2), 0 * angles], axis=1)
    places = np.stack([0.01 * np.arange(count) ** 2, 0 * angles, step * np.arange(count)], axis=1)
    return rigid_transform(rotation_from_quaternion(quaternions), places)


def write_kitti(folder, count=4, first=2, images=None, poses=None, names=("image_l", "image_r")):
    """Write a sequence of `count` frames from number `first` on, in KITTI's format.

    Args:
        folder: folder to create.
        count: number of frames.
        first: number of the first frame.
        images: function of camera (0 or 1) and frame number, uint8 (h, w); grey noise if None.
        poses: camera poses of all frames from 0 on.
        names: names of the image folders.
    """
    rng = np.random.default_rng(0)
    images = images or (lambda camera, frame: rng.integers(0, 255, (32, 64)).astype(np.uint8))
    poses = camera_poses(first + count) if poses is None else poses
    for camera, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for frame in range(first, first + count):
            Image.fromarray(images(camera, frame)).save(folder / name / f"{frame:06d}.png")
    (folder / "poses.txt").write_text("\n".join(" ".join(f"{x:.6e}" for x in pose[:3].ravel()) for pose in poses))
    rows = [[FX, 0, CX, shift, 0, FX, CY, 0, 0, 0, 1, 0] for shift in (0, -FX * BASELINE)]
    (folder / "calib.txt").write_text("\n".join(" ".join(f"{x:.12e}" for x in row) for row in rows) + "\n")
    return folder
