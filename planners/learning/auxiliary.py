"""Auxiliary heads in training: agents and drivable area on a grid around the ego, from the images' features.

They add gradients to the features that the planner uses, and are no part of the planner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from swerve.planners.learning.bev_targets import CELL, CHANNELS, SIZE, cell_centres
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.layers import fourier_features, mlp
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.projection import project, sample
from swerve.planners.learning.reduction import averaged_over
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.planners.learning.training_batch import TrainingBatch

# Heights above the ground at which features are looked up over each cell, metres.
_HEIGHTS: Final = (0.0, 1.0)
_WIDEST: Final = 128
_WAVES: Final = 6
# Probability of an agent in a cell before training (Lin et al., "Focal loss for dense object detection", 2017).
_PRIOR: Final = 0.01


@dataclass(frozen=True)
class BevOutput:
    """Predictions on the grid of `bev_targets`.

    Attributes:
        agents: channels as in `bev_targets.CHANNELS`, the first as a logit; None without this head.
        drivable: logits; None without this head.
        seen: mask of cells that are in an available image, at one of the heights; others do not count.
    """

    agents: Float[Tensor, "b 9 x y"] | None
    drivable: Float[Tensor, "b x y"] | None
    seen: Bool[Tensor, "b x y"]


class AuxiliaryHeads(nn.Module):
    """Heads over features that are looked up where the cells of the grid are seen.

    Cells take the features at their projections, averaged over the cameras that see them (after Harley et al.,
    "Simple-BEV", 2023); two convolutions follow.
    """

    points: Tensor
    cell_waves: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = min(config.mlp_dim, _WIDEST)
        self.reduce = nn.Conv2d(config.dim, width, 1)
        self.embed = mlp(4 * _WAVES, width, width)
        self.mix = nn.Sequential(
            nn.Conv2d((len(_HEIGHTS) + 1) * width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        self.agents = nn.Conv2d(width, CHANNELS, 1) if "agents" in config.auxiliary else None
        self.drivable = nn.Conv2d(width, 1, 1) if "drivable" in config.auxiliary else None
        if self.agents is not None:
            assert self.agents.bias is not None
            with torch.no_grad():
                self.agents.bias[0] = -torch.log(torch.tensor(1.0 / _PRIOR - 1.0))
        centres = torch.tensor(cell_centres().reshape(-1, 2), dtype=torch.float32)
        heights = [torch.cat([centres, torch.full((len(centres), 1), height)], dim=1) for height in _HEIGHTS]
        self.register_buffer("points", torch.cat(heights), persistent=False)
        waves = fourier_features(centres / (CELL * SIZE), _WAVES)
        self.register_buffer("cell_waves", waves, persistent=False)

    def forward(self, placed: Float[Tensor, "b c d p q"], inputs: ModelInput) -> BevOutput:
        """Predict from features of the images, with position embedding."""
        pixels, _, visible = project(inputs.rig, self.points.expand(len(placed), -1, -1))
        visible = visible & inputs.present[..., None]
        reduced = self.reduce(placed.flatten(0, 1)).unflatten(0, placed.shape[:2])
        sampled = sample(reduced, pixels, inputs.rig.size) * visible[:, :, None]
        sampled = sampled.sum(dim=1) / visible.sum(dim=1).clamp(min=1)[:, None]
        cells = sampled.unflatten(2, (len(_HEIGHTS), SIZE, SIZE)).transpose(1, 2).flatten(1, 2)
        embedding = self.embed(self.cell_waves).T.unflatten(1, (SIZE, SIZE)).expand(len(placed), -1, -1, -1)
        mixed = self.mix(torch.cat([cells, embedding.to(cells.dtype)], dim=1))
        return BevOutput(
            None if self.agents is None else self.agents(mixed).float(),
            None if self.drivable is None else self.drivable(mixed)[:, 0].float(),
            visible.any(dim=1).unflatten(1, (len(_HEIGHTS), SIZE, SIZE)).any(dim=1),
        )


def bev_output(heads: AuxiliaryHeads, placed: Float[Tensor, "b c d p q"] | None, inputs: ModelInput) -> BevOutput:
    """Return the heads' predictions from a network's output.

    Raises:
        SwerveError: the network gives no features.
    """
    if placed is None:
        raise SwerveError(
            "auxiliary: this network's ModelOutput has no `placed` features of its images. Set them, or leave the "
            "auxiliary heads out"
        )
    return heads(placed, inputs)  # type: ignore[no-any-return]  # torch's modules are untyped


def auxiliary_losses(found: BevOutput, batch: "TrainingBatch") -> Mapping[str, Float[Tensor, ""]]:
    """Compute the unweighted losses of the heads, over seen cells of the samples that have a context.

    `agents` is the cross entropy of centres, over all cells and divided by the number of agents, and the mean absolute
    error of the other channels at the agents; `drivable` the mean cross entropy of the cells.
    """
    agents, drivable, counted = _targets(batch, found.seen)
    losses = dict[str, Float[Tensor, ""]]()
    with torch.autocast(found.seen.device.type, enabled=False):
        if found.agents is not None:
            there = agents[:, 0] * counted
            crosses = functional.binary_cross_entropy_with_logits(found.agents[:, 0], agents[:, 0], reduction="none")
            errors = (found.agents[:, 1:] - agents[:, 1:]).abs().mean(dim=1)
            total = (crosses * counted).sum() + (errors * there).sum()
            # Where no process has an agent that is seen, the cells count as those of one.
            losses["agents"] = averaged_over(total, there.sum(), least=1.0)
        if found.drivable is not None:
            crosses = functional.binary_cross_entropy_with_logits(found.drivable, drivable, reduction="none")
            losses["drivable"] = averaged_over((crosses * counted).sum(), counted.sum())
    return losses


@torch.no_grad()
def auxiliary_figures(found: BevOutput, batch: "TrainingBatch") -> dict[str, Float[Tensor, ""]]:
    """Compute the heads' figures of a batch over all processes, see `cell_overlaps`."""
    overlaps = cell_overlaps(found, *_targets(batch, found.seen))
    return {name: averaged_over(both, either) for name, (both, either) in overlaps.items()}


def cell_overlaps(
    found: BevOutput,
    agents: Float[Tensor, "b 9 x y"],
    drivable: Float[Tensor, "b x y"],
    counted: Float[Tensor, "b x y"],
) -> dict[str, tuple[Float[Tensor, ""], Float[Tensor, ""]]]:
    """Count the cells in which a head and the truth agree, and those in which either has something.

    Their ratio is the IoU.

    Returns:
        counts of `agents_iou` and `drivable_iou`, of the heads that there are; probabilities above 0.5 count.
    """
    pairs = {}
    if found.agents is not None:
        pairs["agents_iou"] = found.agents[:, 0] > 0, agents[:, 0] > 0
    if found.drivable is not None:
        pairs["drivable_iou"] = found.drivable > 0, drivable > 0
    return {
        name: (((said & true) * counted).sum(), ((said | true) * counted).sum()) for name, (said, true) in pairs.items()
    }


def _targets(
    batch: "TrainingBatch", seen: Bool[Tensor, "b x y"]
) -> tuple[Float[Tensor, "b 9 x y"], Float[Tensor, "b x y"], Float[Tensor, "b x y"]]:
    """Return the targets of agents and drivable area, and the cells that count."""
    assert batch.agent_cells is not None
    assert batch.drivable_cells is not None
    assert batch.cells_known is not None
    counted = (seen & batch.cells_known[:, None, None]).float()
    return batch.agent_cells, batch.drivable_cells.float(), counted
