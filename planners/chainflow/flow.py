"""Flow: refinement of trajectories by flow matching, from the chain's to the target."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from swerve.planners.chainflow.chainflow_config import ChainFlowConfig
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.layers import SelfAttentionBlock, begin_at_zero, fourier_features, mlp
from swerve.planners.learning.plan_scorer import CrossAttentionBlock, image_tokens
from swerve.scenes import SwerveError

_WAVES = 8


@runtime_checkable
class Condition(Protocol):
    """Tokens of each sample that the flow attends to, with the mask of those that count."""

    def __call__(
        self, features: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
        """Return the condition's tokens, the first of which always counts."""


def no_condition(
    features: Float[Tensor, "b c d p q"], inputs: ModelInput
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
    """Return a single token of zeros."""
    return image_tokens(features[..., :0, :0], inputs.present)


class PooledFeatures:
    """Condition on image features, averaged over a grid of so many rows and columns."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(
        self, features: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
        """Return the pooled features of all available images."""
        size = (min(self.size, features.shape[-2]), min(self.size, features.shape[-1]))
        pooled = functional.adaptive_avg_pool2d(features.flatten(0, 1), size)
        return image_tokens(pooled.unflatten(0, features.shape[:2]), inputs.present)


class HiddenStateTokens(nn.Module):
    """Condition on hidden states of a vision-language model, normalized and projected."""

    def __init__(self, config: ChainFlowConfig) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.LayerNorm(config.vlm_width), nn.Linear(config.vlm_width, config.dim))

    def forward(
        self, features: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
        """Return the projected states, all of which count.

        Raises:
            SwerveError: the inputs have none.
        """
        if inputs.hidden is None:
            raise SwerveError("chainflow: conditioned on hidden states, and the inputs have none")
        tokens = self.project(inputs.hidden.to(features.device))
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


class Flow(nn.Module):
    """Velocity of trajectories on their way from the chain's (time 0) to refined ones (time 1).

    Transformer blocks with adaLN-Zero (Peebles and Xie, "Scalable diffusion models with transformers", 2023); its
    output layer begins at zero, so that an untrained flow is the identity. Rectified flow: Liu et al., "Flow straight
    and fast", 2023.
    """

    def __init__(self, config: ChainFlowConfig) -> None:
        super().__init__()
        self.steps, self.noise = config.flow_steps, config.flow_noise
        self.embed = mlp(3, config.mlp_dim, config.dim)
        self.time = mlp(2 * _WAVES, config.mlp_dim, config.dim)
        self.order = nn.Parameter(0.1 * torch.randn(config.poses, config.dim))
        self.blocks = nn.ModuleList([FlowBlock(config) for _ in range(config.flow_layers)])
        self.norm = nn.LayerNorm(config.dim)
        self.output_projection = nn.Linear(config.dim, 3)
        begin_at_zero(self.output_projection)

    def forward(
        self,
        poses: Float[Tensor, "b n k 3"],
        time: Float[Tensor, "b"],
        modes: Float[Tensor, "b n d"],
        tokens: Float[Tensor, "b t d"],
        seen: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b n k 3"]:
        """Compute the velocity of poses in units of usual distances.

        Args:
            poses: trajectories at the time, in these units.
            time: 0 to 1.
            modes: states of the chain's modes.
            tokens: condition, see `Condition`.
            seen: mask of the tokens that count.
        """
        asked = modes + self.time(fourier_features(time[:, None], _WAVES))[:, None]
        values = self.embed(poses.to(asked.dtype)) + self.order
        for block in self.blocks:
            values = block(values, asked, tokens, seen)
        velocity: Float[Tensor, "b n k 3"] = self.output_projection(self.norm(values)).float()
        return velocity

    def refine(
        self,
        poses: Float[Tensor, "b n k 3"],
        modes: Float[Tensor, "b n d"],
        tokens: Float[Tensor, "b t d"],
        seen: Bool[Tensor, "b t"],
        noise: Float[Tensor, "b n k 3"],
    ) -> Float[Tensor, "b n k 3"]:
        """Move trajectories along the flow in Euler steps, from a start with noise; return them without that noise."""
        moved = start = poses + self.noise * noise
        for number in range(self.steps):
            time = poses.new_full((len(poses),), number / self.steps)
            moved = moved + self(moved, time, modes, tokens, seen) / self.steps
        return poses + (moved - start)


class FlowBlock(nn.Module):
    """Attention along a trajectory and to the condition, modulated and gated by the mode and the time.

    The gates begin at zero.
    """

    def __init__(self, config: ChainFlowConfig) -> None:
        super().__init__()
        self.along = SelfAttentionBlock(config.dim, config.mlp_dim, config.heads, config.dropout)
        self.across = CrossAttentionBlock(config)
        self.norm = nn.LayerNorm(config.dim, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.dim, 4 * config.dim))
        begin_at_zero(self.modulation)

    def forward(
        self,
        values: Float[Tensor, "b n k d"],
        asked: Float[Tensor, "b n d"],
        tokens: Float[Tensor, "b t d"],
        seen: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b n k d"]:
        """Return the updated values."""
        shift, scale, along, across = self.modulation(asked)[:, :, None].chunk(4, dim=-1)
        changed = self.norm(values) * (1 + scale) + shift
        mixed = self.along(changed.flatten(0, 1)).unflatten(0, values.shape[:2])
        attended = self.across(changed.flatten(1, 2), tokens, seen).unflatten(1, values.shape[1:3])
        updated: Float[Tensor, "b n k d"] = values + along * (mixed - changed) + across * (attended - changed)
        return updated
