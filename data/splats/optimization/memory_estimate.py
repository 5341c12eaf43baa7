"""How much memory a fit takes. It needs no torch."""

from collections.abc import Sequence

from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.rasterizer.splats.harmonics import SIZES

# Numbers of a Gaussian beside its harmonics: centre, quaternion, scales, opacity.
_SHAPE = 3 + 4 + 3 + 1
# How many times each number is there at once, measured on the CPU: parameter, gradient, two moments of Adam, the
# copies that are drawn and their gradients, and what a growth makes anew (8.5 between degrees 1 and 3 of 100,000).
_COPIES = 9
# Ellipses, tiles, watches: bytes per Gaussian, estimated.
_DRAWING = 400
# Drawing, truth, similarity and their gradients: bytes per pixel, estimated.
_PIXEL = 250


def memory_of(count: int, degree: int, shots: Sequence[TrainingImage]) -> int:
    """About how many bytes a fit takes, beside Python and torch themselves.

    benchmarks/bench_fit.py compares it with what the process takes.

    Args:
        count: how many Gaussians there may be (`DensificationOptions.most`).
        degree: of their harmonics.
        shots: which are held in memory all the time.
    """
    gaussian = 4 * (_SHAPE + 3 * SIZES[degree]) * _COPIES + _DRAWING
    pixels = max((shot.camera.width * shot.camera.height for shot in shots), default=0)
    return count * gaussian + pixels * _PIXEL + sum(map(_bytes_of, shots))


def _bytes_of(shot: TrainingImage) -> int:
    depth = 0 if shot.depth is None else shot.depth.meters.nbytes
    return shot.image.nbytes + depth + (0 if shot.ignored is None else shot.ignored.nbytes)
