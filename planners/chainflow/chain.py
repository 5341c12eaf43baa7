"""Chain: poses one after the other, each from what the images show, by controls of a bicycle."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swerve.planners.chainflow import bicycle
from swerve.planners.chainflow.chainflow_config import ChainFlowConfig
from swerve.planners.learning.inputs import PAST, STATUS, ModelInput
from swerve.planners.learning.layers import mlp
from swerve.planners.learning.plan_scorer import CrossAttentionBlock

# Bounds of acceleration, m/s^2, and yaw rate, rad/s.
ACCELERATION: Final = 6.0
YAW_RATE: Final = 0.8
_STATE = (40.0, 10.0, 1.0, 10.0)


class Chain(nn.Module):
    """Modes whose state is updated recurrently: attention to the images, a GRU, controls, a bicycle's step."""

    def __init__(self, config: ChainFlowConfig) -> None:
        super().__init__()
        self.poses, self.interval = config.poses, config.interval
        self.modes = nn.Parameter(torch.randn(config.modes, config.dim))
        self.status = mlp(STATUS + 3 * len(PAST), config.mlp_dim, config.dim)
        self.state_embedding = mlp(4, config.mlp_dim, config.dim)
        self.attention = CrossAttentionBlock(config)
        self.update = nn.GRUCell(config.dim, config.dim)
        self.controls = mlp(config.dim, config.mlp_dim, 2)

    def forward(
        self, tokens: Float[Tensor, "b t d"], seen: Bool[Tensor, "b t"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "b n k 3"], Float[Tensor, "b n k 2"], Float[Tensor, "b n d"]]:
        """Return the modes' poses, their controls (m/s^2, rad/s), and their last states."""
        status = self.status(torch.cat([inputs.status, inputs.past.flatten(1) / 10.0], dim=1))
        hidden = self.modes + status[:, None]
        moving = inputs.motion[:, :1].clamp(min=0.0).float()
        state = torch.cat([moving.new_zeros(len(moving), 3), moving], dim=1)[:, None].expand(-1, hidden.shape[1], -1)
        poses, controls = [], []
        for _ in range(self.poses):
            placed = hidden + self.state_embedding((state / state.new_tensor(_STATE)).detach().to(hidden.dtype))
            attended = self.attention(placed, tokens, seen)
            hidden = self.update(attended.flatten(0, 1), hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
            with torch.autocast(hidden.device.type, enabled=False):
                raw = torch.tanh(self.controls(hidden.float()))
                own = raw * raw.new_tensor((ACCELERATION, YAW_RATE))
                state = bicycle.step(state, own[..., 0], own[..., 1], self.interval)
            poses.append(state[..., :3])
            controls.append(own)
        return torch.stack(poses, dim=2), torch.stack(controls, dim=2), hidden
