"""ChainFlow network: backbone, neck, chain, flow and scorer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from swerve.planners.chainflow.chain import Chain
from swerve.planners.chainflow.chainflow_config import ChainFlowConfig
from swerve.planners.chainflow.flow import Condition, Flow, HiddenStateTokens, PooledFeatures, no_condition
from swerve.planners.learning.backbone import build_backbone
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.losses import pose_distances
from swerve.planners.learning.model import ModelOutput, PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.neck import Neck
from swerve.planners.learning.plan_scorer import PlanScorer, image_tokens
from swerve.planners.learning.reduction import averaged_over
from swerve.planners.learning.training_batch import TrainingBatch

# Distances in which the flow works: at 10 m/s, 4 m/s sideways and 0.3 rad/s.
_USUAL_RATES = (10.0, 4.0, 0.3)
_NOISE_SEED = 0


@dataclass(frozen=True)
class ChainState:
    """State of a forward pass that the flow's loss needs.

    Attributes:
        poses: the chain's trajectories, in units of usual distances.
        controls: the chain's accelerations, m/s^2, and yaw rates, rad/s.
        modes: last states of its modes.
        tokens: condition of the flow.
        seen: mask of the tokens that count.
    """

    poses: Float[Tensor, "b n k 3"]
    controls: Float[Tensor, "b n k 2"]
    modes: Float[Tensor, "b n d"]
    tokens: Float[Tensor, "b t d"]
    seen: Bool[Tensor, "b t"]


class ChainFlowModel(PlannerModel):
    """ChainFlow network.

    Args of the constructor: config; whether to read the backbone's weights; what the flow attends to, by default as the
    config says.
    """

    family: ClassVar[str] = "chainflow"
    config_class: ClassVar[type[ModelConfig]] = ChainFlowConfig
    config: ChainFlowConfig
    scale: Tensor
    noise: Tensor

    def __init__(self, config: ChainFlowConfig, weights: bool = True, condition: Condition | None = None) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config, weights)
        self.neck = Neck(config, self.backbone.width, self.backbone.patch)
        self.chain, self.flow = Chain(config), Flow(config)
        self.scorer = PlanScorer(config, config.scorer_layers)
        self.condition = condition or _condition_of(config)
        seconds = config.interval * torch.arange(1, config.poses + 1)
        self.register_buffer("scale", seconds[:, None] * torch.tensor(_USUAL_RATES), persistent=False)
        generator = torch.Generator("cpu").manual_seed(_NOISE_SEED)
        noise = torch.randn(config.modes, config.poses, 3, generator=generator, device="cpu")
        self.register_buffer("noise", noise, persistent=False)

    def forward(self, inputs: ModelInput) -> ModelOutput:
        """Compute proposals and their sub-scores: the chain's trajectories, refined by the flow."""
        features = self.backbone(inputs.images.flatten(0, 1)).unflatten(0, inputs.images.shape[:2])
        content, placed = self.neck(features, inputs.rig)
        driven, controls, modes = self.chain(*image_tokens(placed, inputs.present), inputs)
        state = ChainState(driven / self.scale, controls, modes, *self.condition(placed, inputs))
        noise = self._noise(state.poses)
        refined = self.flow.refine(state.poses.detach(), state.modes, state.tokens, state.seen, noise)
        # The chain's own poses where the flow changes nothing, to the last bit.
        refined = driven.detach() + (refined - state.poses.detach()) * self.scale
        logits = self.scorer(self.scorer.embedding(refined), placed, inputs)
        return ModelOutput(torch.stack([driven, refined]), logits, features, content, placed=placed, extras=state)

    def extra_losses(self, output: ModelOutput, batch: TrainingBatch) -> Mapping[str, Float[Tensor, ""]]:
        """Compute the flow matching loss of each sample's nearest mode, over known poses."""
        config, state = self.config, output.extras
        if not config.flow_weight:
            return {}
        nearest = pose_distances(output.refinements[:1], batch.targets, batch.valid)[0].argmin(dim=1)
        rows = torch.arange(len(nearest), device=nearest.device)
        first = state.poses.detach()[rows, nearest][:, None]
        first = first + config.flow_noise * torch.randn_like(first)
        last = torch.where(batch.valid[..., None], batch.targets, 0.0)[:, None] / self.scale
        way = _wrapped(last - first, self.scale)
        time = torch.rand(len(rows), device=rows.device)
        share = time[:, None, None, None]
        there = first + share * way
        velocity = self.flow(there, time, state.modes[rows, nearest][:, None], state.tokens, state.seen)
        known = batch.valid[:, None, :, None]
        squares = ((velocity - way) ** 2 * known).sum(dim=(1, 2, 3))
        errors = squares / (3 * batch.valid.sum(dim=1)).clamp(min=1)
        weight = torch.where(batch.cross_agent, config.cross_agent_weight, 1.0) * batch.valid.any(dim=1)
        if config.importance_weights:
            weight = weight * batch.weight
        return {"flow": averaged_over((errors * weight).sum(), weight.sum())}

    def _noise(self, poses: Float[Tensor, "b n k 3"]) -> Float[Tensor, "b n k 3"]:
        """Return the flow's noise: anew in each training step; else the same for every sample and every time."""
        return torch.randn_like(poses) if self.training else self.noise.expand_as(poses)


def _condition_of(config: ChainFlowConfig) -> Condition:
    if config.conditioning == "hidden_states":
        return HiddenStateTokens(config)
    return no_condition if config.conditioning == "none" else PooledFeatures(config.pooled)


def _wrapped(way: Float[Tensor, "b n k 3"], scale: Float[Tensor, "k 3"]) -> Float[Tensor, "b n k 3"]:
    """Wrap the headings' part of differences in usual distances to half a turn either way."""
    turn = torch.remainder(way[..., 2] * scale[:, 2] + torch.pi, 2 * torch.pi) - torch.pi
    return torch.cat([way[..., :2], (turn / scale[:, 2])[..., None]], dim=-1)
