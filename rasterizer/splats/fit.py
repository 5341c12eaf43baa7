"""Fitting Gaussians to images on the CPU: for small scenes and for tests. It needs torch, and is imported on demand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

from swerve.rasterizer.splats.differentiable import differentiable_splats, torch
from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.growth import Growth, Watch, grown
from swerve.rasterizer.splats.parameters import Parameters
from swerve.rasterizer.splats.similarity import ssim
from swerve.scenes import Camera, SwerveError
from swerve.scenes.transforms import inverse


@dataclass(frozen=True, eq=False)
class Shot:
    """An image to fit to.

    Attributes:
        camera: what it was taken with; its mounting is not used.
        local_from_camera: from where, in the Gaussians' frame.
        image: colours, 0 to 1.
        depth: metres along the camera's z axis, infinity or NaN where unknown; or None.
    """

    camera: Camera
    local_from_camera: Float[np.ndarray, "4 4"]
    image: Float32[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"] | None = None


@dataclass(frozen=True)
class FitOptions:
    """How to fit; the numbers are those of 3D Gaussian Splatting where it has them.

    Attributes:
        steps: images that are looked at.
        similarity: weight of 1 - SSIM in the loss, the rest being the mean absolute difference.
        depth: weight of the mean absolute difference of inverse depths (1/m), where it is known.
        growth: when and where Gaussians are added and taken away.
        sky: colour behind the Gaussians.
        seed: of the order of images, and of where split Gaussians land.
        threads: of the CPU.
    """

    steps: int = 2000
    similarity: float = 0.2
    depth: float = 0.1
    growth: Growth = field(default_factory=Growth)
    sky: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seed: int = 0
    threads: int = 1


def fit(
    start: Gaussians,
    shots: Sequence[Shot],
    options: FitOptions,
    report: Callable[[int, float, int], None] | None = None,
) -> Gaussians:
    """Fits what stands still to images, by Adam (Kingma and Ba 2015).

    Memory: some 3 kB per Gaussian of degree 3, most of it the moments of Adam and the gradients, beside the images.

    Args:
        start: see `gaussians_at_points`.
        shots: at least one.
        options: how.
        report: called after every step with its number from 1, the loss, and how many Gaussians there are.

    Raises:
        SwerveError: there are no images, one has another size than its camera, or the loss is no longer finite.
    """
    _check(shots)
    with _threads(options.threads):
        return _fitted(start, shots, options, report)


def _fitted(
    start: Gaussians,
    shots: Sequence[Shot],
    options: FitOptions,
    report: Callable[[int, float, int], None] | None,
) -> Gaussians:
    """As `fit`, of what has been checked."""
    generator = np.random.default_rng(np.random.Philox(options.seed))
    extent = _extent(shots)
    parameters, watch = Parameters.of(start, extent), Watch.over(len(start))
    for step, index in zip(range(1, options.steps + 1), _endless(len(shots), generator), strict=False):
        parameters.slow_down(step / options.steps)
        centers = torch.zeros((len(parameters), 2), requires_grad=True)
        loss = _loss(parameters, shots[index], centers, options)
        if not torch.isfinite(loss):
            raise SwerveError(
                f"the fit broke down at step {step}: the loss is {loss.item()}. Start from other Gaussians"
            )
        loss.backward()
        parameters.step()
        watch.note(centers, shots[index].camera)
        if options.growth.is_due(step):
            parameters = grown(parameters, watch, options.growth, extent, generator)
            watch = Watch.over(len(parameters))
        if report is not None:
            report(step, loss.item(), len(parameters))
    return parameters.gaussians()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside, torch takes so many threads: left to itself it takes all cores, and waits for those that are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss(parameters: Parameters, shot: Shot, centers: torch.Tensor, options: FitOptions) -> torch.Tensor:
    """How far the drawing is from one image."""
    camera_from_local = torch.from_numpy(inverse(shot.local_from_camera))
    color, depth, alpha = differentiable_splats(
        *parameters.tensors(), shot.camera, camera_from_local, centers=centers, threads=options.threads
    )
    color = color + (1 - alpha[..., None]) * torch.tensor(options.sky)
    truth = torch.from_numpy(shot.image)
    loss = (1 - options.similarity) * (color - truth).abs().mean() + options.similarity * (1 - ssim(color, truth))
    if shot.depth is not None:
        true_depth = torch.from_numpy(shot.depth)
        known = torch.isfinite(true_depth) & (alpha.detach() > 0.5)
        off = (alpha[known] / depth[known] - 1 / true_depth[known]).abs()
        loss = loss + options.depth * off.sum() / max(len(off), 1)
    return loss


def _endless(count: int, generator: np.random.Generator) -> Iterator[int]:
    """Every image once in random order, again and again."""
    while True:
        yield from generator.permutation(count)


def _extent(shots: Sequence[Shot]) -> float:
    """How far the cameras are spread about their middle, metres: the scene's measure of length; 1 m at least."""
    places = np.array([shot.local_from_camera[:3, 3] for shot in shots])
    return max(1.1 * float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()), 1.0)


def _check(shots: Sequence[Shot]) -> None:
    if not shots:
        raise SwerveError("a fit needs images")
    for index, shot in enumerate(shots):
        for image in (shot.image, shot.depth):
            if image is not None and image.shape[:2] != (shot.camera.height, shot.camera.width):
                size = f"{shot.camera.width}x{shot.camera.height}"
                raise SwerveError(f"shot {index}: an image is {image.shape[1]}x{image.shape[0]}, its camera {size}")
