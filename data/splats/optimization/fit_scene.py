"""Optimization of Gaussian scenes on images. Requires torch, imported on demand."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.splats.optimization.fit_state import FitCheckpoint
from swerve.data.splats.optimization.regularization import Ground
from swerve.data.splats.optimization.trainable_graph import ego_poses, exposures_of, scene_of
from swerve.data.splats.optimization.trainer import Trainer
from swerve.data.splats.optimization.training_images import TrainingImage, check_shots
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.rasterizer.splats.splat_scene import SplatScene
from swerve.scenes import SwerveError


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of a fit.

    Attributes:
        scene: scene with refined poses of its nodes.
        world_from_ego: refined ego poses of the training images, in their order.
        exposures: affine maps from the scene's colours (r, g, b, 1) to those of each training image, in their order.
            Their mean is the identity, which is used for other images.
    """

    scene: SplatScene
    world_from_ego: Float[np.ndarray, "s 4 4"]
    exposures: Float32[np.ndarray, "s 3 4"]


@dataclass(frozen=True, eq=False)
class Progress:
    """State reported after each training step.

    Attributes:
        step: index of the step, from 1.
        steps: total number of steps.
        shot: name of the training image.
        loss: sum of the loss terms.
        terms: weighted loss terms by name.
        count: number of Gaussians.
        fitted: function that returns the current scene, copied.
        state: function that returns a checkpoint for `fit_scene`; copies three times the scene.
    """

    step: int
    steps: int
    shot: str
    loss: float
    terms: Mapping[str, float]
    count: int
    fitted: Callable[[], FitResult]
    state: Callable[[], FitCheckpoint]


def fit_scene(
    start: SplatScene,
    shots: Sequence[TrainingImage],
    options: FitOptions,
    ground: Ground | None = None,
    sizes: Mapping[str, Float[np.ndarray, "3"]] | None = None,
    report: Callable[[Progress], None] | None = None,
    state: FitCheckpoint | None = None,
) -> FitResult:
    """Optimize a scene on images with Adam (Kingma and Ba 2015).

    On the CPU a fit that is interrupted and resumed gives the same bytes as an uninterrupted one, at any step; for
    memory see `memory_of`.

    Args:
        start: initial scene, see `gaussians_at_points`; its nodes have their poses.
        shots: training images, at least one.
        options: options of the fit.
        ground: function from positions (x, y) of the world to heights (metres, world) of the ground, NaN where unknown;
            without it no Gaussian counts as ground.
        sizes: length, width and height of the nodes' boxes (metres) by name; nodes without a size are unconstrained.
        report: called after every step. It may raise to stop the fit.
        state: checkpoint of the same fit, to resume from.

    Raises:
        SwerveError: unusable images or initial scene, a checkpoint of another fit, or a loss that is not finite.
    """
    check_shots(shots)
    _check_start(start, options)
    purpose = _purpose(start, shots, options, ground is not None)
    if state is not None and state.inputs_digest != purpose:
        raise SwerveError(
            "the checkpoint is of another fit: its initial scene, images or options differ. Use the same, or restart"
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
        lambda: FitCheckpoint(step, purpose, fitting.to_arrays()),
    )


def _fitted(fitting: Trainer) -> FitResult:
    exposures = exposures_of(fitting.graph).detach().cpu().numpy().copy()
    return FitResult(scene_of(fitting.graph), ego_poses(fitting.graph, fitting.shots), exposures)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set torch's number of threads inside the block: by default it uses all cores, and waits for busy ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shot_at(step: int, count: int, seed: int) -> int:
    """Return the image of a step: epochs of random permutations, independent of earlier steps."""
    lap, place = divmod(step - 1, count)
    return int(np.random.default_rng(np.random.Philox([seed, 0, lap])).permutation(count)[place])


def _purpose(start: SplatScene, shots: Sequence[TrainingImage], options: FitOptions, knows_ground: bool) -> str:
    """Return a digest of the fit's inputs, except pixels, ground heights and box sizes, which would take long."""
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
    digest.update(start.sky.sh_coefficients.tobytes() + start.origin.tobytes())
    digest.update(repr([(node.name, node.times_us.tolist()) for node in start.nodes]).encode())
    for node in start.nodes:
        digest.update(node.world_from_node.tobytes())
    return digest.hexdigest()


def _check_start(start: SplatScene, options: FitOptions) -> None:
    start.background.check("the background cannot be fitted")
    for node in start.nodes:
        node.gaussians.check(f"node {node.name!r} cannot be fitted")
    count = sum(len(part) for part in (start.background, *(node.gaussians for node in start.nodes)))
    if not len(start.background) or count > options.densification.max_gaussians:
        raise SwerveError(
            f"a fit starts from 1 to {options.densification.max_gaussians} (densification.max_gaussians) Gaussians, "
            f"some of the background, got {count}"
        )
