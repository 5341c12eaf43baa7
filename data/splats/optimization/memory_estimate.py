"""Memory estimate of a fit. Does not require torch."""

from collections.abc import Sequence

from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.rasterizer.splats.harmonics import SIZES

# Parameters of a Gaussian besides its harmonics: centre, quaternion, scales, opacity.
_SHAPE = 3 + 4 + 3 + 1
# Copies of each parameter in memory, measured on the CPU: parameter, gradient, two moments of Adam, rendering copies
# and their gradients, and copies of a densification (8.5 between degrees 1 and 3 of 100,000).
_COPIES = 9
# Ellipses, tiles, statistics: bytes per Gaussian, estimated.
_DRAWING = 400
# Rendering, ground truth, similarity and their gradients: bytes per pixel, estimated.
_PIXEL = 250


def memory_of(count: int, degree: int, shots: Sequence[TrainingImage]) -> int:
    """Estimate the memory of a fit in bytes, besides Python and torch themselves.

    benchmarks/bench_fit.py compares it with the process's memory.

    Args:
        count: maximum number of Gaussians (`DensificationOptions.max_gaussians`).
        degree: degree of the harmonics.
        shots: training images, held in memory.
    """
    gaussian = 4 * (_SHAPE + 3 * SIZES[degree]) * _COPIES + _DRAWING
    pixels = max((shot.camera.width * shot.camera.height for shot in shots), default=0)
    return count * gaussian + pixels * _PIXEL + sum(map(_bytes_of, shots))


def _bytes_of(shot: TrainingImage) -> int:
    depth = 0 if shot.depth is None else shot.depth.depth.nbytes
    return shot.image.nbytes + depth + (0 if shot.ignored is None else shot.ignored.nbytes)
