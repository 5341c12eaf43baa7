"""Agent whose features are the mean reds of its cameras, as those of the official answers about `camera_agent`."""

import torch
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, SensorConfig
from navsim.planning.training.abstract_feature_target_builder import AbstractFeatureBuilder
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

NAMES = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")


class RedBuilder(AbstractFeatureBuilder):
    """Mean red of every image that is loaded, camera by camera."""

    def get_unique_name(self) -> str:
        return "red"

    def compute_features(self, agent_input: AgentInput) -> dict[str, torch.Tensor]:
        images = [getattr(cameras, name).image for name in NAMES for cameras in agent_input.cameras]
        reds = [float(image[..., 0].mean()) for image in images if image is not None]
        speeds = [float((status.ego_velocity**2).sum()) ** 0.5 for status in agent_input.ego_statuses]
        return {"red": torch.tensor(reds, dtype=torch.float64), "speed": torch.tensor(speeds)}


class RedCameraAgent(AbstractAgent):
    """Drives straight at its speed."""

    def __init__(self, trajectory_sampling: TrajectorySampling):
        super().__init__(trajectory_sampling)
        self.inputs: list[AgentInput] = []

    def name(self) -> str:
        return "red_camera"

    def initialize(self) -> None:
        pass

    def get_sensor_config(self) -> SensorConfig:
        config = SensorConfig.build_no_sensors()
        config.cam_f0, config.cam_l0, config.cam_r0, config.cam_b0 = True, [3], [3], [0, 3]
        return config

    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        return [RedBuilder()]

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        steps = 0.5 * torch.arange(1, self._trajectory_sampling.num_poses + 1)
        poses = torch.zeros(len(features["speed"]), len(steps), 3)
        poses[:, :, 0] = features["speed"][:, -1:] * steps
        return {"trajectory": poses}
