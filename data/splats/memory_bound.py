"""How much memory a fit takes at most, told before it begins."""

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.log_images import LogImages

# Bytes: of a pixel of a fitted photograph (colours, mask, two depths, instance) and of any other; of a Gaussian, as
# `optimization.memory_estimate` says; of the program with its libraries.
_FITTED, _OTHER, _PROGRAM = 16, 4, 600e6
# Images in floats that one step needs, with their gradients: bytes of a pixel.
_STEP = 400
_GAUSSIAN = 3000


def memory_line(pictures: LogImages, options: SceneOptions) -> str:
    """What is fitted to what, and the memory that it takes at most."""
    most = options.fit.growth.most
    counts = f"{len(pictures.fitted)} photographs to fit to, {len(pictures.held_out) + len(pictures.unseen)} to measure"
    return f"{counts}; up to {most} Gaussians take {memory_bound(pictures, options) / 1e9:.1f} GB of memory at most"


def memory_bound(pictures: LogImages, options: SceneOptions) -> float:
    """Bytes at most, of the main memory."""
    sizes = [picture.camera.width * picture.camera.height for picture in pictures.fitted]
    others = [picture.camera.width * picture.camera.height for picture in (*pictures.held_out, *pictures.unseen)]
    images = _FITTED * sum(sizes) + _OTHER * sum(others) + _STEP * max(sizes)
    return _PROGRAM + images + _GAUSSIAN * options.fit.growth.most
