"""Builders of features and targets, in place of `navsim.planning.training.abstract_feature_target_builder`."""

from abc import abstractmethod

from torch import Tensor

from swerve.planners.navsim.compatibility.dataclasses import AgentInput, Scene


class AbstractFeatureBuilder:
    """Builder of an agent's features."""

    @abstractmethod
    def get_unique_name(self) -> str:
        """Return the name of the features."""

    @abstractmethod
    def compute_features(self, agent_input: AgentInput) -> dict[str, Tensor]:
        """Return tensors by name, without a batch axis."""


class AbstractTargetBuilder:
    """Builder of an agent's training targets."""

    @abstractmethod
    def get_unique_name(self) -> str:
        """Return the name of the targets."""

    @abstractmethod
    def compute_targets(self, scene: Scene) -> dict[str, Tensor]:
        """Return tensors by name, without a batch axis."""
