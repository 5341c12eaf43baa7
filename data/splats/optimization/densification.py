"""Adaptive density control: densification and pruning (Kerbl et al. 2023, 5.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from swerve.data.splats.optimization.fit_options import DensificationOptions
from swerve.data.splats.optimization.parameters import Parameters
from swerve.data.splats.optimization.pose_deltas import rotations_of
from swerve.rasterizer.splats.differentiable_splats import torch

_SHRINK = 1.6


@dataclass(eq=False)
class DensificationStats:
    """Accumulated gradients of each Gaussian since the last densification.

    Attributes:
        grad2d: summed norms of the gradients by the projected centres, in units of half an image.
        count: number of views in which it was visible.
    """

    grad2d: Float32[torch.Tensor, "n"]
    count: Float32[torch.Tensor, "n"]

    @classmethod
    def zeros(cls, parameters: Parameters) -> "DensificationStats":
        """Return empty statistics."""
        means = parameters["means"].detach()
        return cls(torch.zeros_like(means[:, 0]), torch.zeros_like(means[:, 0]))

    def update(self, lengths: Float32[torch.Tensor, "m"], rows: Int64[torch.Tensor, "m"] | None = None) -> None:
        """Accumulate one image's gradient norms, of all Gaussians or of these rows."""
        seen = (lengths > 0).to(lengths.dtype)
        if rows is None:
            self.grad2d += lengths
            self.count += seen
        else:
            self.grad2d[rows] += lengths
            self.count[rows] += seen


def means2d_grad_norms(centers: torch.Tensor, width: int, height: int) -> Float32[torch.Tensor, "n"]:
    """Compute norms of the gradient of `centers` (by pixels), in units of half an image."""
    assert centers.grad is not None
    slopes: Float32[torch.Tensor, "n"] = (
        centers.grad * torch.tensor([width / 2, height / 2], device=centers.device)
    ).norm(dim=1)
    return slopes


def densify_and_prune(
    groups: Sequence[tuple[Parameters, DensificationStats, float]],
    options: DensificationOptions,
    generator: np.random.Generator,
) -> list[tuple[Parameters, Int64[np.ndarray, "n"]]]:
    """Densify groups of Gaussians by cloning and splitting, and prune them.

    Args:
        groups: Gaussians, their statistics, and their extent in metres; they share the maximum number of Gaussians.
        options: options of the densification.
        generator: random number generator of the positions of split Gaussians.

    Returns:
        for each group its Gaussians, and the source row of each.
    """
    useless = [_useless(parameters, options) for parameters, _, _ in groups]
    slopes = [
        torch.where(gone, 0.0, watch.grad2d / watch.count.clamp(min=1)).cpu().numpy()
        for gone, (_, watch, _) in zip(useless, groups, strict=True)
    ]
    room = options.max_gaussians - sum(int((~gone).sum()) for gone in useless)
    wanted = np.split(
        _steepest(np.concatenate(slopes), options.grad2d_threshold, max(room, 0)), np.cumsum([*map(len, slopes)])[:-1]
    )
    return [
        _grown(parameters, extent * options.split_scale, gone.cpu().numpy(), more, generator)
        for (parameters, _, extent), gone, more in zip(groups, useless, wanted, strict=True)
    ]


def _grown(
    parameters: Parameters,
    large: float,
    useless: Bool[np.ndarray, "n"],
    wanted: Bool[np.ndarray, "n"],
    generator: np.random.Generator,
) -> tuple[Parameters, Int64[np.ndarray, "n2"]]:
    """Densify one group; also return the source row of each Gaussian."""
    sizes = parameters["log_scales"].detach().exp().amax(dim=1).cpu().numpy()
    split = wanted & (sizes > large)
    kept, cloned, halved = np.flatnonzero(~(useless | split)), np.flatnonzero(wanted & ~split), np.flatnonzero(split)
    halved = np.concatenate([halved, halved])
    clones, halves = _rows(parameters, cloned), _halves(_rows(parameters, halved), generator)
    added = {name: torch.cat([clones[name], halves[name]]) for name in clones}
    return parameters.replace_rows(kept, added), np.concatenate([kept, cloned, halved])


def _useless(parameters: Parameters, options: DensificationOptions) -> Bool[torch.Tensor, "n"]:
    return parameters["opacity_logits"].detach() < float(np.log(options.prune_opacity / (1 - options.prune_opacity)))


def _steepest(slopes: Float32[np.ndarray, "n"], least: float, room: int) -> Bool[np.ndarray, "n"]:
    """Select the Gaussians to densify, by gradient, up to the available number."""
    steepest = np.argsort(-slopes, kind="stable")[:room]
    wanted = np.zeros(len(slopes), bool)
    wanted[steepest] = slopes[steepest] > least
    return wanted


def _rows(parameters: Parameters, rows: Int64[np.ndarray, "m"]) -> dict[str, torch.Tensor]:
    return {name: value[torch.from_numpy(rows).to(value.device)] for name, value in parameters.values().items()}


def _halves(values: dict[str, torch.Tensor], generator: np.random.Generator) -> dict[str, torch.Tensor]:
    """Sample smaller Gaussians from the densities of the given ones."""
    means = values["means"]
    offsets = torch.from_numpy(generator.normal(size=means.shape).astype(np.float32)).to(means.device)
    offsets = offsets * values["log_scales"].exp()
    means = means + (rotations_of(values["quaternions"]) * offsets[:, None, :]).sum(dim=2)
    return values | {"means": means, "log_scales": values["log_scales"] - float(np.log(_SHRINK))}
