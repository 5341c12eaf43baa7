"""Random Gaussians in front of a camera."""

import numpy as np

from swerve.rasterizer.splats import Gaussians
from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.transforms import rigid_transform

LENSES = {
    "pinhole": Lens(),
    "brown": Lens(LensModel.BROWN, (-0.25, 0.08, 0.002, -0.003, -0.01)),
    "fisheye": Lens(LensModel.FISHEYE, (0.03, -0.01, 0.004, -0.001)),
}


def random_gaussians(seed, count=120, degree=3, dense=True):
    """Sample a cone in front of a camera along x; some behind it, outside of its image, and very thin."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(-1, 12, count)
    sides = rng.uniform(-1, 1, (count, 2)) * (0.5 + np.abs(depth[:, None])) * 0.7
    sizes = rng.normal(-1.6, 0.5, (count, 3))
    sizes[: count // 5, 0] -= 4
    logits = rng.normal(0.0 if dense else -2.0, 1.5, count)
    harmonics = rng.normal(0, 0.15, (count, (degree + 1) ** 2, 3))
    harmonics[:, 0] = rng.normal(0, 0.8, (count, 3))
    means = np.column_stack([depth, sides])
    arrays = (means, rng.normal(size=(count, 4)), sizes, logits, harmonics)
    return Gaussians(*(array.astype(np.float32) for array in arrays))


def camera(lens=LENSES["pinhole"], width=75, height=52, focal=55.0):
    """Return a camera whose size is not a multiple of the tile, with an off-centre principal point."""
    mounting = rigid_transform(FORWARD, np.array([0.1, -0.05, 0.2]))
    return Camera("front", width, height, focal, focal * 1.1, width / 2 + 3.3, height / 2 - 2.1, mounting, lens)
