"""Street of textured walls with a stereo camera driving along it: photos with known depth."""

import numpy as np

from swerve.scenes.transforms import rigid_transform
from tests.support.kitti_sequence import BASELINE, CX, CY, FX, write_kitti

STEP = 0.6
# Camera axes: x right, y down, z ahead. Ground 1.65 m below the camera, walls 4 m to either side, one 60 m ahead.
_DROP, _SIDE, _END = 1.65, 4.0, 60.0


def street_poses(count):
    """Return poses straight ahead, `STEP` metres a frame."""
    return rigid_transform(np.tile(np.eye(3), (count, 1, 1)), np.arange(count)[:, None] * [0.0, 0.0, STEP])


def street_image(camera, frame, height=32, width=64):
    """Render the left (0) or right (1) camera's image: grey levels, uint8 (h, w)."""
    return street(camera, frame, height, width)[0]


def street_depth(camera, frame, height=32, width=64):
    """Return the depth along the z axis of every pixel, metres."""
    return street(camera, frame, height, width)[1]


def street(camera, frame, height, width, finer=4):
    """Render image and depth; each pixel is the mean of `finer` x `finer` points."""
    u, v = np.meshgrid((np.arange(width * finer) + 0.5) / finer, (np.arange(height * finer) + 0.5) / finer)
    x, y = (u - CX - 0.5) / FX, (v - CY - 0.5) / FX
    across, ahead = BASELINE * camera, STEP * frame
    with np.errstate(divide="ignore"):
        depths = [np.where(y > 0, _DROP / y, np.inf), np.full_like(x, _END - ahead)]
        depths += [np.where(sign * x > 0, (_SIDE - sign * across) / (sign * x), np.inf) for sign in (-1, 1)]
    depth, kind = np.min(depths, axis=0), np.argmin(depths, axis=0)
    p, q, r = across + x * depth, y * depth, ahead + depth
    # Smooth bumps, at least a few pixels wide nearby; each surface has its own.
    waves = np.sin(2.3 * p + kind) * np.sin(1.9 * r + 2 * kind) + np.sin(2.9 * q + 1.1 * r) * np.sin(0.8 * p - 1.7 * r)
    grey = 120 + 25 * kind + 38 * waves * np.exp(-depth / 30)
    means = [image.reshape(height, finer, width, finer).mean(axis=(1, 3)) for image in (grey, depth)]
    return means[0].clip(0, 255).round().astype(np.uint8), means[1]


def write_street(folder, count=6, height=32, width=64):
    """Write a KITTI sequence of the street."""
    poses = street_poses(count)
    return write_kitti(folder, count, 0, lambda c, f: street_image(c, f, height, width), poses)
