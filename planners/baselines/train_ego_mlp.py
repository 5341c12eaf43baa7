"""Training of the ego-status MLP by imitation of human trajectories."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data import Source
from swerve.data.dataset.targets import ego_history, trajectory_arrays
from swerve.eval.scoring.thresholds import POSE_INTERVAL
from swerve.planners.baselines.ego_mlp import INPUTS, PAST, POSES, EgoMlp, features, forward, standardised
from swerve.planners.baselines.train_options import TrainOptions
from swerve.planners.trained_file import INSTALL
from swerve.scenes import Log, MissingExtraError, Split, SwerveError, extract_scenes
from swerve.scenes.viewpoints import build_log_geometry, logged

_FUTURE = 4.0


@dataclass(frozen=True)
class Examples:
    """Training examples of ego status and human trajectories.

    Attributes:
        inputs: see `ego_mlp.features`.
        targets: poses at 0.5, 1, ..., 4 s.
    """

    inputs: Float[np.ndarray, "n 18"]
    targets: Float[np.ndarray, "n 8 3"]

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def concatenate(cls, parts: "Sequence[Examples]") -> "Examples":
        """Concatenate several sets; none gives an empty set."""
        inputs = np.concatenate([np.zeros((0, INPUTS)), *(part.inputs for part in parts)])
        return cls(inputs, np.concatenate([np.zeros((0, POSES, 3)), *(part.targets for part in parts)]))


def examples_of(log: Log, every: float) -> Examples:
    """Extract the examples of a log, at steps with 1.5 s before and 4 s after them.

    Args:
        log: the recording.
        every: seconds between examples.
    """
    geometry, inputs, targets = build_log_geometry(log), [], []
    for scene in extract_scenes(log, -PAST[0], _FUTURE, every):
        viewpoint = logged(scene, geometry)
        history, known = ego_history(viewpoint, -PAST[0])
        future = trajectory_arrays(viewpoint, 0.0, _FUTURE)
        if known.all() and future["target_2hz_valid"].all():
            inputs.append(features(history, viewpoint.command))
            targets.append(future["target_2hz"].astype(np.float64))
    return Examples(np.array(inputs).reshape(-1, INPUTS), np.array(targets).reshape(-1, POSES, 3))


def examples_by_split(
    sources: Sequence[Source], every: float, split: Split, report: Callable[[int, int], None]
) -> dict[Split, list[Examples]]:
    """Extract the examples of each log, by the log's split.

    Args:
        sources: sources of the logs.
        every: seconds between examples.
        split: split of logs whose source does not state one.
        report: called after each log with the number of logs read, and their total.

    Raises:
        LogError: a log cannot be read.
    """
    found: dict[Split, list[Examples]] = {"train": [], "val": [], "test": []}
    logs = [(source, name) for source in sources for name in source.names()]
    for count, (source, name) in enumerate(logs, start=1):
        log = source.load(name)
        found[log.split or split].append(examples_of(log, every))
        report(count, len(logs))
    return found


def train_ego_mlp(
    examples: Examples, options: TrainOptions, report: Callable[[int, float], None] = lambda epoch, loss: None
) -> EgoMlp:
    """Train a network on human trajectories with the L1 loss of standardised poses.

    The same examples and options give the same network, bit for bit, on the same version of torch and the same kind of
    CPU; it runs on one thread, since parallel sums have no fixed order.

    Args:
        examples: training examples.
        options: training options.
        report: called after each epoch (1, 2, ...) with its mean loss.

    Raises:
        MissingExtraError: torch is not installed.
        SwerveError: there are no examples.
    """
    if not len(examples):
        raise SwerveError("no examples to train on")
    torch = require_torch()
    flat = examples.targets.reshape(len(examples), -1)
    scales = (*_scales(examples.inputs), *_scales(flat))
    inputs = torch.tensor(standardised(examples.inputs, *scales[:2]), dtype=torch.float32)
    targets = torch.tensor((flat - scales[2]) / scales[3], dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        weights, biases = _fit(torch, inputs, targets, options, report)
    finally:
        torch.set_num_threads(threads)
    arrays = [tuple(one.detach().numpy().astype(np.float64) for one in group) for group in (weights, biases)]
    config = {**asdict(options), "hidden": list(options.hidden), "examples": len(examples)}
    return EgoMlp(arrays[0], arrays[1], *scales, config=config)


def displacement_errors(poses: Float[np.ndarray, "n 8 3"], targets: Float[np.ndarray, "n 8 3"]) -> tuple[float, float]:
    """Compute the mean distance to the target over all poses (ADE) and over the last ones (FDE), m; NaN if empty."""
    if not len(poses):
        return float("nan"), float("nan")
    distances = np.linalg.norm(poses[..., :2] - targets[..., :2], axis=-1)
    return float(distances.mean()), float(distances[:, -1].mean())


def constant_velocity_poses(inputs: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n 8 3"]:
    """Compute the trajectories of `ConstantVelocity` from the same inputs, for comparison."""
    speeds = np.hypot(inputs[:, 0], inputs[:, 1])
    poses = np.zeros((len(inputs), POSES, 3))
    poses[..., 0] = speeds[:, None] * POSE_INTERVAL * np.arange(1, POSES + 1)
    return poses


def _fit(
    torch: ModuleType,
    inputs: Any,  # noqa: ANN401
    targets: Any,  # noqa: ANN401
    options: TrainOptions,
    report: Callable[[int, float], None],
) -> tuple[list[Any], list[Any]]:
    """Train weights and biases."""
    chance = torch.Generator().manual_seed(options.seed)
    weights, biases = _first(torch, (INPUTS, *options.hidden, POSES * 3), chance)
    optimizer = torch.optim.AdamW([*weights, *biases], lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(inputs) // options.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(options.epochs):
        total = 0.0
        for rows in torch.randperm(len(inputs), generator=chance).split(options.batch):
            loss = (forward(inputs[rows], weights, biases) - targets[rows]).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        report(epoch + 1, total / len(inputs))
    return weights, biases


def _first(torch: ModuleType, sizes: tuple[int, ...], chance: Any) -> tuple[list[Any], list[Any]]:  # noqa: ANN401
    """Initialise weights (He et al., 2015), with biases of zero."""
    weights = [
        (torch.randn(after, before, generator=chance) * (2.0 / before) ** 0.5).requires_grad_()
        for before, after in pairwise(sizes)
    ]
    return weights, [torch.zeros(after, requires_grad=True) for after in sizes[1:]]


def _scales(values: Float[np.ndarray, "n f"]) -> tuple[Float[np.ndarray, "f"], Float[np.ndarray, "f"]]:
    """Compute mean and standard deviation of columns in float32, as in the file; 1 for constant columns."""
    spread = values.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    mean, scale = (array.astype(np.float32).astype(np.float64) for array in (values.mean(axis=0), spread))
    return mean, scale


def require_torch() -> ModuleType:
    """Import torch.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", INSTALL) from error
    return torch
