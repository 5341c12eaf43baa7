"""A NAVSIM agent as its users write it: it imports NAVSIM and torch, and knows nothing of Swerve."""

import torch
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, SensorConfig
from navsim.planning.training.abstract_feature_target_builder import AbstractFeatureBuilder
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling


class FrontBuilder(AbstractFeatureBuilder):
    """The current front image, and the speed."""

    def get_unique_name(self) -> str:
        """Return the name of the features."""
        return "front"

    def compute_features(self, agent_input: AgentInput) -> dict[str, torch.Tensor]:
        """Return the image (3, h, w) from 0 to 1, and the speed in m/s."""
        image = torch.tensor(agent_input.cameras[-1].cam_f0.image).permute(2, 0, 1) / 255
        return {"image": image, "speed": torch.tensor(agent_input.ego_statuses[-1].ego_velocity).norm()}


class BrakingAgent(AbstractAgent):
    """Drives straight on, the slower the darker the road ahead of it is."""

    def __init__(self, trajectory_sampling: TrajectorySampling, gain: float = 1.0) -> None:
        super().__init__(trajectory_sampling)
        self.gain = gain

    def name(self) -> str:
        """Return the agent's name."""
        return "braking_agent"

    def initialize(self) -> None:
        """Load no weights: a real agent loads its checkpoint here."""

    def get_sensor_config(self) -> SensorConfig:
        """Ask for the front camera at the current frame, of four."""
        config = SensorConfig.build_no_sensors()
        config.cam_f0 = [3]
        return config

    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        """Return the builder of what `forward` gets."""
        return [FrontBuilder()]

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return trajectories (b, 8, 3) of a batch."""
        rows = features["image"].shape[2]
        brightness = features["image"][:, :, rows // 2 :].mean(dim=(1, 2, 3))
        seconds = self._trajectory_sampling.interval_length * torch.arange(1, self._trajectory_sampling.num_poses + 1)
        driven = (features["speed"] * (self.gain * brightness).clamp(0, 1))[:, None] * seconds
        return {"trajectory": torch.stack([driven, torch.zeros_like(driven), torch.zeros_like(driven)], dim=2)}
