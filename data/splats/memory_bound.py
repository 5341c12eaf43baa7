"""Upper bound of a fit's memory, printed before it starts."""

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.log_images import LogImages

# Bytes: per pixel of a training photo (colours, mask, two depths, instance) and of any other; per Gaussian, as in
# `optimization.memory_estimate`; of the program with its libraries.
_FITTED, _OTHER, _PROGRAM = 16, 4, 600e6
# Float images of one step with their gradients: bytes per pixel.
_STEP = 400
_GAUSSIAN = 3000


def memory_line(pictures: LogImages, options: SceneOptions) -> str:
    """Describe the numbers of photos and the upper bound of memory."""
    most = options.fit.densification.max_gaussians
    counts = (
        f"{len(pictures.train)} training photos, {len(pictures.held_out) + len(pictures.test_cameras)} for evaluation"
    )
    return f"{counts}; up to {most} Gaussians take {memory_bound(pictures, options) / 1e9:.1f} GB of memory at most"


def memory_bound(pictures: LogImages, options: SceneOptions) -> float:
    """Return the upper bound of main memory in bytes."""
    sizes = [picture.camera.width * picture.camera.height for picture in pictures.train]
    others = [picture.camera.width * picture.camera.height for picture in (*pictures.held_out, *pictures.test_cameras)]
    images = _FITTED * sum(sizes) + _OTHER * sum(others) + _STEP * max(sizes)
    return _PROGRAM + images + _GAUSSIAN * options.fit.densification.max_gaussians
