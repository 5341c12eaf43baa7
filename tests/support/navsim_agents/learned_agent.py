"""Learned agent with feature builders, a checkpoint and the inherited compute_trajectory."""

import torch
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, Scene, SensorConfig
from navsim.planning.training.abstract_feature_target_builder import AbstractFeatureBuilder, AbstractTargetBuilder
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling


class StatusBuilder(AbstractFeatureBuilder):
    """Ego state and command."""

    def __init__(self):
        pass

    def get_unique_name(self) -> str:
        return "status"

    def compute_features(self, agent_input: AgentInput) -> dict[str, torch.Tensor]:
        status = agent_input.ego_statuses[-1]
        parts = (status.ego_velocity, status.ego_acceleration, status.driving_command)
        return {"status": torch.cat([torch.tensor(part) for part in parts])}


class HistoryBuilder(AbstractFeatureBuilder):
    """Past poses."""

    def get_unique_name(self) -> str:
        return "history"

    def compute_features(self, agent_input: AgentInput) -> dict[str, torch.Tensor]:
        poses = [torch.tensor(status.ego_pose) for status in agent_input.ego_statuses]
        return {"history": torch.stack(poses)}


class TargetBuilder(AbstractTargetBuilder):
    """The human's future."""

    def get_unique_name(self) -> str:
        return "target"

    def compute_targets(self, scene: Scene) -> dict[str, torch.Tensor]:
        return {"trajectory": torch.tensor(scene.get_future_trajectory().poses)}


class EgoMlpAgent(AbstractAgent):
    """MLP on the ego's state and history; dropout shows whether it runs in evaluation mode."""

    def __init__(
        self,
        hidden: int,
        lr: float,
        trajectory_sampling: TrajectorySampling,
        checkpoint_path: str | None = None,
    ):
        super().__init__(trajectory_sampling)
        self.lr, self.checkpoint_path = lr, checkpoint_path
        self.batches: list[int] = []
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8 + 12, hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.5),
            torch.nn.Linear(hidden, trajectory_sampling.num_poses * 3),
        )

    def name(self) -> str:
        return "ego_mlp"

    def initialize(self) -> None:
        if self.checkpoint_path:
            state = torch.load(self.checkpoint_path, map_location="cpu")["state_dict"]
            self.load_state_dict({key.removeprefix("agent."): value for key, value in state.items()})

    def get_sensor_config(self) -> SensorConfig:
        return SensorConfig.build_no_sensors()

    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        return [StatusBuilder(), HistoryBuilder()]

    def get_target_builders(self) -> list[AbstractTargetBuilder]:
        return [TargetBuilder()]

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self.batches.append(len(features["status"]))
        inputs = torch.cat([features["status"].float(), features["history"].flatten(1)], dim=1)
        return {"trajectory": self.layers(inputs).reshape(-1, self._trajectory_sampling.num_poses, 3)}


class SqueezingAgent(EgoMlpAgent):
    """Its predictions fit only a batch of one."""

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"trajectory": super().forward(features)["trajectory"][:1]}
