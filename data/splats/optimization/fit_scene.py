"""Trainer scenes of Gaussians to images. It needs torch, and is imported on demand."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.splats.optimization.fit_state import FitState
from swerve.data.splats.optimization.regularization import Ground
from swerve.data.splats.optimization.trainable_graph import ego_poses, exposures_of, scene_of
from swerve.data.splats.optimization.trainer import Trainer
from swerve.data.splats.optimization.training_images import TrainingImage, check_shots
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.rasterizer.splats.splat_scene import SplatScene
from swerve.scenes import SwerveError


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit has made.

    Attributes:
        scene: with refined poses of its nodes.
        world_from_ego: refined poses of the shots, in their order.
        exposures: what takes the scene's colours (r, g, b, 1) to those of each shot, in their order. Their mean is the
            identity, which is right for images that were not shots.
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
    fitted: Callable[[], FitResult]
    state: Callable[[], FitState]


def fit_scene(
    start: SplatScene,
    shots: Sequence[TrainingImage],
    options: FitOptions,
    ground: Ground | None = None,
    sizes: Mapping[str, Float[np.ndarray, "3"]] | None = None,
    report: Callable[[Progress], None] | None = None,
    state: FitState | None = None,
) -> FitResult:
    """Fits a scene to images, by Adam (Kingma and Ba 2015).

    On the CPU a fit that is laid aside and gone on with gives the same bytes as one that is not, whatever the number
    of steps between; for memory see `memory_of`.

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
    _check_start(start, options)
    purpose = _purpose(start, shots, options, ground is not None)
    if state is not None and state.purpose != purpose:
        raise SwerveError(
            "the state is of another fit: its start, images or options were others. Go on with the same, or start anew"
        )
    with _threads(options.threads):
        fitting = Trainer(start, shots, options, ground, sizes or {})
        if state is not None:
            fitting.restore(state.arrays)
        for step in range(1 if state is None else state.step + 1, options.steps + 1):
            index = _shot_at(step, len(shots), options.seed)
            terms = fitting.step(step, index)
            if report is not None:
                report(_progress(fitting, step, index, terms, purpose))
        return _fitted(fitting)


def _progress(fitting: Trainer, step: int, index: int, terms: Mapping[str, float], purpose: str) -> Progress:
    return Progress(
        step,
        fitting.options.steps,
        fitting.shots[index].name,
        sum(terms.values()),
        terms,
        len(fitting.graph),
        lambda: _fitted(fitting),
        lambda: FitState(step, purpose, fitting.to_arrays()),
    )


def _fitted(fitting: Trainer) -> FitResult:
    exposures = exposures_of(fitting.graph).detach().cpu().numpy().copy()
    return FitResult(scene_of(fitting.graph), ego_poses(fitting.graph, fitting.shots), exposures)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside, torch takes so many threads: left to itself it takes all cores, and waits for those that are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shot_at(step: int, count: int, seed: int) -> int:
    """Every image once in random order, again and again; what comes at a step depends on nothing before it."""
    lap, place = divmod(step - 1, count)
    return int(np.random.default_rng(np.random.Philox([seed, 0, lap])).permutation(count)[place])


def _purpose(start: SplatScene, shots: Sequence[TrainingImage], options: FitOptions, knows_ground: bool) -> str:
    """Digest of what decides a fit, all but pixels, heights of the ground and sizes of boxes, which would take long."""
    digest = hashlib.sha256(repr((replace(options, threads=1), knows_ground)).encode())
    for shot in shots:
        lens = (shot.camera.lens.model, shot.camera.lens.padded.tolist())
        size = (shot.camera.width, shot.camera.height, shot.camera.matrix.tolist(), lens)
        mount = shot.camera.ego_from_camera.tolist()
        kind = None if shot.depth is None else shot.depth.kind
        digest.update(repr((shot.name, shot.time_us, shot.world_from_ego.tolist(), size, mount, kind)).encode())
    for gaussians in (start.background, *(node.gaussians for node in start.nodes)):
        for array in vars(gaussians).values():
            digest.update(array.tobytes())
    digest.update(start.sky.harmonics.tobytes() + start.origin.tobytes())
    digest.update(repr([(node.name, node.times_us.tolist()) for node in start.nodes]).encode())
    for node in start.nodes:
        digest.update(node.world_from_node.tobytes())
    return digest.hexdigest()


def _check_start(start: SplatScene, options: FitOptions) -> None:
    start.background.check("the background cannot be fitted")
    for node in start.nodes:
        node.gaussians.check(f"node {node.name!r} cannot be fitted")
    count = sum(len(part) for part in (start.background, *(node.gaussians for node in start.nodes)))
    if not len(start.background) or count > options.growth.most:
        raise SwerveError(
            f"a fit starts from 1 to {options.growth.most} (growth.most) Gaussians, some of the background, got {count}"
        )
