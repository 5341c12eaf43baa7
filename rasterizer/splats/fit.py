"""Fitting scenes of Gaussians to images. It needs torch, and is imported on demand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from swerve.rasterizer.splats.differentiable import differentiable_splats, torch
from swerve.rasterizer.splats.fit_options import FitOptions
from swerve.rasterizer.splats.fit_state import FitState
from swerve.rasterizer.splats.growth import Watch, grown
from swerve.rasterizer.splats.parameters import Parameters
from swerve.rasterizer.splats.scene import SplatScene
from swerve.rasterizer.splats.shots import DepthKind, Shot, check_shots
from swerve.rasterizer.splats.similarity import ssim
from swerve.scenes import SwerveError
from swerve.scenes.transforms import inverse

Ground = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n"]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit has made.

    Attributes:
        scene: with refined poses of its nodes.
        world_from_ego: refined poses of the shots, in their order.
        exposures: what takes the scene's colours (r, g, b, 1) to those of each shot, in their order; the identity is
            right for images that were not shots.
    """

    scene: SplatScene
    world_from_ego: Float[np.ndarray, "s 4 4"]
    exposures: Float32[np.ndarray, "s 3 4"]


@dataclass(frozen=True, eq=False)
class Progress:
    """What is told of a fit after each step.

    Attributes:
        step: from 1.
        steps: how many there will be.
        shot: name of the one that was looked at.
        loss: what the terms add up to.
        terms: parts of the loss, weighted, by name.
        count: how many Gaussians there are.
        fitted: gives the scene as it is now, for a preview; costs a copy of it.
        state: gives what `fit_scene` goes on with; costs a copy of three times the scene.
    """

    step: int
    steps: int
    shot: str
    loss: float
    terms: Mapping[str, float]
    count: int
    fitted: Callable[[], Fitted]
    state: Callable[[], FitState]


def fit_scene(
    start: SplatScene,
    shots: Sequence[Shot],
    options: FitOptions,
    ground: Ground | None = None,
    sizes: Mapping[str, Float[np.ndarray, "3"]] | None = None,
    report: Callable[[Progress], None] | None = None,
    state: FitState | None = None,
) -> Fitted:
    """Fits a scene to images, by Adam (Kingma and Ba 2015).

    Args:
        start: see `gaussians_at_points`; its nodes have their poses.
        shots: at least one.
        options: how.
        ground: heights (metres, world) of the ground at places (x, y) of the world, NaN where it is not known; without
            it nothing is taken for ground.
        sizes: length, width and height of the nodes' boxes (metres) by name; without one a node may spread.
        report: called after every step. It may raise, to stop.
        state: of the same fit, to go on with.

    Raises:
        SwerveError: shots or the start cannot be fitted, the state is of another fit, or the loss is no longer finite.
    """
    check_shots(shots)
    with _threads(options.threads):
        return _fitted(start, shots, options, report)


def _fitted(
    start: SplatScene,
    shots: Sequence[Shot],
    options: FitOptions,
    report: Callable[[Progress], None] | None,
) -> Fitted:
    """As `fit_scene`, of what has been checked."""
    generator = np.random.default_rng(np.random.Philox(options.seed))
    extent = _extent(shots)
    parameters, watch = Parameters.of(start.background, extent), Watch.over(len(start.background))

    def fitted() -> Fitted:
        scene = replace(start, background=parameters.gaussians())
        poses = np.array([shot.world_from_ego for shot in shots])
        return Fitted(scene, poses, np.tile(np.eye(3, 4, dtype=np.float32), (len(shots), 1, 1)))

    for step, index in zip(range(1, options.steps + 1), _endless(len(shots), generator), strict=False):
        parameters.slow_down(step / options.steps)
        centers = torch.zeros((len(parameters), 2), requires_grad=True)
        loss = _loss(parameters, shots[index], start, centers, options)
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
            state = FitState(step, "00" * 32, {})
            terms = {"image": loss.item()}
            count = len(parameters)
            report(
                Progress(step, options.steps, shots[index].name, loss.item(), terms, count, fitted, lambda s=state: s)
            )
    return fitted()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside, torch takes so many threads: left to itself it takes all cores, and waits for those that are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss(
    parameters: Parameters, shot: Shot, scene: SplatScene, centers: torch.Tensor, options: FitOptions
) -> torch.Tensor:
    """How far the drawing is from one image."""
    local_from_camera = shot.world_from_ego @ shot.camera.ego_from_camera
    local_from_camera[:3, 3] -= scene.origin
    color, depth, alpha = differentiable_splats(
        *parameters.tensors(),
        shot.camera,
        torch.from_numpy(inverse(local_from_camera)),
        centers=centers,
        threads=options.threads,
    )
    truth = torch.from_numpy(shot.image).float() / 255
    loss = (1 - options.similarity) * (color - truth).abs().mean() + options.similarity * (1 - ssim(color, truth))
    if shot.depth is not None:
        true_depth = torch.from_numpy(shot.depth.meters)
        known = torch.isfinite(true_depth) & (alpha.detach() > 0.5)
        off = (alpha[known] / depth[known] - 1 / true_depth[known]).abs()
        weight = options.lidar if shot.depth.kind == DepthKind.LIDAR else options.raster
        loss = loss + weight * off.sum() / max(len(off), 1)
    return loss


def _endless(count: int, generator: np.random.Generator) -> Iterator[int]:
    """Every image once in random order, again and again."""
    while True:
        yield from generator.permutation(count)


def _extent(shots: Sequence[Shot]) -> float:
    """How far the cameras are spread about their middle, metres: the scene's measure of length; 1 m at least."""
    places = np.array([shot.world_from_ego[:3, 3] for shot in shots])
    return max(1.1 * float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()), 1.0)
