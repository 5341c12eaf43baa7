"""Base class of agents, in place of `navsim.agents.abstract_agent`."""

from abc import ABC, abstractmethod
from typing import Any

import torch

from swerve.planners.navsim.compatibility.abstract_feature_target_builder import (
    AbstractFeatureBuilder,
    AbstractTargetBuilder,
)
from swerve.planners.navsim.compatibility.dataclasses import (
    DEFAULT_SAMPLING,
    AgentInput,
    SensorConfig,
    Trajectory,
)
from swerve.planners.navsim.compatibility.trajectory_sampling import TrajectorySampling


class AbstractAgent(torch.nn.Module, ABC):
    """An agent: it says which sensors it wants, and computes a trajectory.

    Args:
        trajectory_sampling: of its trajectories; agents of NAVSIM v1, which have none, get 4 s at 0.5 s.
        requires_scene: whether it needs the `Scene`, which submissions do not allow.
    """

    def __init__(
        self, trajectory_sampling: TrajectorySampling = DEFAULT_SAMPLING, requires_scene: bool = False
    ) -> None:
        super().__init__()
        self.requires_scene = requires_scene
        self._trajectory_sampling = trajectory_sampling

    @abstractmethod
    def name(self) -> str:
        """Return the agent's name."""

    @abstractmethod
    def get_sensor_config(self) -> SensorConfig:
        """Return the sensors that the agent asks for."""

    @abstractmethod
    def initialize(self) -> None:
        """Load weights; called once before the first trajectory."""

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return predictions of a batch, among them "trajectory" (b, n, 3)."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        """Return the builders of the features that `forward` gets."""
        raise NotImplementedError(f"{type(self).__name__} has no feature builders")

    def get_target_builders(self) -> list[AbstractTargetBuilder]:
        """Return the builders of the training targets."""
        raise NotImplementedError(f"{type(self).__name__} has no target builders")

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """Return the trajectory of one input: features, a batch of one through `forward`, its "trajectory"."""
        self.eval()
        features: dict[str, torch.Tensor] = {}
        for builder in self.get_feature_builders():
            features.update(builder.compute_features(agent_input))
        with torch.no_grad():
            predictions = self.forward({name: tensor.unsqueeze(0) for name, tensor in features.items()})
        return Trajectory(predictions["trajectory"].squeeze(0).numpy(), self._trajectory_sampling)

    def compute_loss(
        self,
        features: dict[str, torch.Tensor],
        targets: dict[str, torch.Tensor],
        predictions: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """Return the training loss."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def get_optimizers(self) -> Any:  # noqa: ANN401 an optimizer, or a dict of it and a scheduler
        """Return the optimizer, or a dict of "optimizer" and "lr_scheduler"."""
        raise NotImplementedError(f"{type(self).__name__} has no optimizers")

    def get_training_callbacks(self) -> list[Any]:
        """Return callbacks of the trainer."""
        return []
