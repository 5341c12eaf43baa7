"""Ego-status MLP as a network of the shared trainer: proposals and sub-scores from the ego's motion alone."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.inputs import PAST, STATUS, ModelInput
from swerve.planners.learning.layers import mlp
from swerve.planners.learning.model import ModelOutput, PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class EgoMlpConfig(ModelConfig):
    """Sizes of the ego-status MLP; it has no cameras, and fields of images have no effect.

    Attributes:
        proposals: number of proposed trajectories.
    """

    family: ClassVar[str] = "ego-mlp"
    cameras: tuple[str, ...] = ()
    mlp_dim: int = 256
    proposals: int = 8
    poses: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.proposals < 1:
            raise SwerveError(f"ego-mlp: proposals is {self.proposals}, it must be above 0")

    def _check_cameras(self) -> None:
        if self.cameras:
            raise SwerveError(f"ego-mlp: cameras are {list(self.cameras)}; it has none")

    @classmethod
    def _small(cls) -> dict[str, Any]:
        return {**super()._small(), "cameras": (), "mlp_dim": 64, "proposals": 4}


class EgoMlpModel(PlannerModel):
    """Network from the ego's status and past to proposals with sub-scores."""

    family: ClassVar[str] = "ego-mlp"
    config_class: ClassVar[type[ModelConfig]] = EgoMlpConfig
    config: EgoMlpConfig
    scale: torch.Tensor

    def __init__(self, config: EgoMlpConfig, weights: bool = True) -> None:
        super().__init__(config)
        self.encoder = nn.Sequential(mlp(STATUS + 3 * len(PAST), config.mlp_dim, config.mlp_dim), nn.GELU())
        self.head = mlp(config.mlp_dim, config.mlp_dim, config.proposals * config.poses * 3)
        self.scorer = mlp(config.mlp_dim, config.mlp_dim, config.proposals * len(Metric))
        seconds = config.interval * torch.arange(1, config.poses + 1)
        # Usual rates: 10 m/s forward, 4 m/s laterally, 0.3 rad/s.
        self.register_buffer("scale", seconds[:, None] * torch.tensor((10.0, 4.0, 0.3)), persistent=False)

    def forward(self, inputs: ModelInput) -> ModelOutput:
        """Compute proposals and their sub-scores."""
        past = inputs.past / inputs.past.new_tensor((10.0, 1.0, 0.3))
        encoded = self.encoder(torch.cat([inputs.status, past.flatten(1)], dim=1))
        shape = (self.config.proposals, self.config.poses, 3)
        poses = self.head(encoded).float().unflatten(1, shape) * self.scale
        logits = self.scorer(encoded.detach()).float().unflatten(1, (self.config.proposals, len(Metric)))
        return ModelOutput(poses[None], logits)
