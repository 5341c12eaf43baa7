"""NAVSIM agents as Swerve planners."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Final, Literal

from swerve.planners.navsim.agent_inputs import NOW, agent_input_of
from swerve.planners.navsim.agent_outputs import compute_trajectories, swerve_trajectory
from swerve.planners.navsim.agent_scenes import agent_scene_of, agent_scene_of_recording
from swerve.planners.navsim.agent_types import Agent, AgentInput, AgentScene
from swerve.planners.navsim.camera_roles import ROLES, cameras_by_role
from swerve.planners.navsim.navsim_modules import DATACLASSES, navsim_modules
from swerve.planners.navsim.scene_inputs import agent_input_of_scene
from swerve.scenes import Camera, SwerveError
from swerve.scenes.planning import CameraChoice, Observation, Trajectory

# How names of modules begin of which Swerve provides some.
_PROVIDED: Final = ("navsim", "nuplan", "swerve.planners.navsim.compatibility")
PastImages = Literal["refuse", "empty"]


class NavsimPlanner:
    """Planner that asks a NAVSIM agent.

    Attributes:
        agent: the agent, initialized.
        sensors: its sensor config.
        past_images: for an agent that asks for images of earlier frames, which observations do not have: "refuse", or
            "empty" to give it empty cameras there.
        source_files: of the agent's class, its config and its checkpoints.
        privileged: whether the agent requires a scene.
        recording: NAVSIM's own scenes are given to the agent as they are, with all sensors.
    """

    recording: ClassVar[bool] = True

    def __init__(self, agent: Agent, past_images: PastImages = "refuse", source_files: Sequence[Path] = ()) -> None:
        self.agent, self.past_images, self.source_files = agent, past_images, tuple(source_files)
        self.privileged = bool(getattr(agent, "requires_scene", False))
        with navsim_modules():
            self.sensors = agent.get_sensor_config()
            agent.initialize()

    @property
    def name(self) -> str:
        """Name of the agent's class."""
        return type(self.agent).__name__

    @property
    def cameras(self) -> CameraChoice:
        """Cameras of the roles that the agent asks for; a function of the rig, because rigs name them differently."""
        asks = any(self.sensors.get_sensors_at_iteration(frame) for frame in range(NOW + 1))
        return self._choose_cameras if asks else ()

    def plan(self, observation: Observation) -> Trajectory:
        """Return the agent's trajectory.

        Raises:
            SwerveError: the history is shorter than 1.5 s, the agent asks for sensors that observations do not have,
                or its trajectory is not finite.
        """
        return self.plan_batch([observation])[0]

    def plan_batch(self, observations: Sequence[Observation]) -> list[Trajectory]:
        """Return one trajectory per observation, see `plan`; as one batch if the agent allows it."""
        with navsim_modules(), missing_modules_as_errors(self.name):
            classes = import_module(DATACLASSES)
            inputs = [self._input(one, classes) for one in observations]
            if not self.privileged:
                return [swerve_trajectory(one) for one in compute_trajectories(self.agent, inputs)]
            scenes = [_scene(*pair, classes) for pair in zip(observations, inputs, strict=True)]
            return [
                swerve_trajectory(self.agent.compute_trajectory(*pair)) for pair in zip(inputs, scenes, strict=True)
            ]

    def _input(self, observation: Observation, classes: ModuleType) -> AgentInput:
        """Return the agent's input: of the recording if there is one, else of what is observed."""
        recording = observation.recording
        if recording is None:
            self.check_sensors()
            return agent_input_of(observation, self.sensors, classes)
        return agent_input_of_scene(recording.scene, recording.folder, self.sensors, classes)

    def _choose_cameras(self, cameras: Sequence[Camera]) -> tuple[str, ...]:
        """Return the names of the cameras that the agent asks for now.

        Raises:
            SwerveError: it asks for cameras of which the rig has none.
        """
        asked = [one for one in self.sensors.get_sensors_at_iteration(NOW) if one in ROLES]
        by_role = cameras_by_role(cameras)
        chosen = tuple(by_role[role].name for role in asked if role in by_role)
        if asked and not chosen:
            raise SwerveError(
                f"{self.name} asks for {', '.join(asked)}, and no camera looks there. There are: "
                f"{', '.join(camera.name for camera in cameras)}"
            )
        return chosen

    def check_sensors(self) -> None:
        """Check that the agent asks for no sensors that observations do not have.

        Raises:
            SwerveError: it asks for point clouds, or for images of earlier frames, which are not to be empty.
        """
        past = sorted({one for frame in range(NOW) for one in self.sensors.get_sensors_at_iteration(frame)})
        if "lidar_pc" in [*past, *self.sensors.get_sensors_at_iteration(NOW)]:
            raise SwerveError(f"{self.name} asks for lidar_pc: Swerve's scenes have no point clouds")
        if past and self.past_images == "refuse":
            raise SwerveError(
                f"{self.name} asks for {', '.join(past)} of earlier frames: Swerve's scenes have images of the current "
                "frame only. If it does not use the earlier ones, give past_images=empty"
            )


def _scene(observation: Observation, agent_input: AgentInput, classes: ModuleType) -> AgentScene:
    """Return the scene of an agent that requires one."""
    if observation.recording is not None:
        return agent_scene_of_recording(observation.recording.scene, agent_input, classes)
    return agent_scene_of(observation, agent_input, classes)


@contextmanager
def missing_modules_as_errors(who: str) -> Iterator[None]:
    """Explain an import of a NAVSIM or nuPlan module that Swerve does not provide.

    Raises:
        SwerveError: replaces the ImportError of such a module, also where it caused a SwerveError.
    """
    try:
        yield
    except (ImportError, SwerveError) as error:
        cause = error if isinstance(error, ImportError) else error.__cause__
        if not isinstance(cause, ImportError) or not (cause.name or "").startswith(_PROVIDED):
            raise
        raise SwerveError(
            f"{who} imports what Swerve does not provide ({cause}). Install NAVSIM in this environment: "
            "https://github.com/autonomousvision/navsim"
        ) from error
