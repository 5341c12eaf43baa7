"""Agents without learned parts: constant velocity, human, camera."""

from __future__ import annotations

import numpy as np
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, Scene, SensorConfig, Trajectory
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

DEFAULT = TrajectorySampling(time_horizon=4, interval_length=0.5)


class ConstantVelocity(AbstractAgent):
    """Drives straight at its speed."""

    requires_scene = False

    def __init__(self, trajectory_sampling: TrajectorySampling = DEFAULT, factor: float = 1.0):
        super().__init__(trajectory_sampling)
        self.factor = factor

    def name(self) -> str:
        return "constant_velocity"

    def initialize(self) -> None:
        self.initialized = True

    def get_sensor_config(self) -> SensorConfig:
        return SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        assert self.initialized
        speed = self.factor * np.hypot(*agent_input.ego_statuses[-1].ego_velocity)
        sampling = self._trajectory_sampling
        poses = np.zeros((sampling.num_poses, 3), np.float32)
        poses[:, 0] = speed * sampling.interval_length * np.arange(1, sampling.num_poses + 1)
        return Trajectory(poses, sampling)


class VersionOne(ConstantVelocity):
    """As agents of NAVSIM v1: no sampling, and the trajectory's default."""

    def __init__(self):
        AbstractAgent.__init__(self, requires_scene=False)

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        poses = np.zeros((8, 3), np.float32)
        poses[:, 0] = 0.5 * agent_input.ego_statuses[-1].ego_velocity[0] * np.arange(1, 9)
        return Trajectory(poses)


class Human(AbstractAgent):
    """Returns the human's future; without `super().__init__`, as NAVSIM's own human agent."""

    requires_scene = True

    def __init__(self, trajectory_sampling: TrajectorySampling = DEFAULT):
        self._trajectory_sampling = trajectory_sampling

    def name(self) -> str:
        return "human"

    def initialize(self) -> None:
        pass

    def get_sensor_config(self) -> SensorConfig:
        return SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput, scene: Scene) -> Trajectory:
        return scene.get_future_trajectory(self._trajectory_sampling.num_poses)


class AskingMap(Human):
    """Uses the map."""

    def compute_trajectory(self, agent_input: AgentInput, scene: Scene) -> Trajectory:
        return scene.map_api.get_proximal_map_objects(None, 1.0, [])


class Seeing(ConstantVelocity):
    """Its speed is the mean grey of its cameras; it keeps its inputs."""

    def __init__(self, front: bool = True, back: bool = False, past: bool = False, lidar: bool = False):
        super().__init__(DEFAULT)
        self.front, self.back, self.past, self.lidar = front, back, past, lidar
        self.seen: list[AgentInput] = []

    def get_sensor_config(self) -> SensorConfig:
        config = SensorConfig.build_no_sensors()
        config.cam_f0 = True if self.past else [3] if self.front else False
        config.cam_b0 = [3] if self.back else False
        config.lidar_pc = self.lidar
        return config

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        self.seen.append(agent_input)
        now = agent_input.cameras[-1]
        speed = (now.cam_f0 if self.front else now.cam_b0).image.mean() / 10
        poses = np.zeros((8, 3), np.float32)
        poses[:, 0] = speed * 0.5 * np.arange(1, 9)
        return Trajectory(poses)


class Importing(ConstantVelocity):
    """Imports a module of NAVSIM that Swerve does not provide, when it plans."""

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        from navsim.common.dataloader import SceneLoader

        return SceneLoader()


class NotAnAgent:
    """Has no method of an agent."""
