"""Observations of planners during a rollout: driven history, driving command and, if privileged, ground truth."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.dataset.targets import ego_history
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS, hash_token
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.context.scene_context import locate_on_route
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.thresholds import FRAMES, HISTORY_STEP_US, STEP, STEPS_PER_FRAME
from swerve.eval.scoring.trajectories import to_ego, to_world
from swerve.eval.traffic.traffic import Traffic, red_lights
from swerve.scenes import SwerveError
from swerve.scenes.causal_motion import planar_motion
from swerve.scenes.planning import History, Observation
from swerve.scenes.polyline import arc_lengths, heading_at, interpolate_at, to_frenet
from swerve.scenes.viewpoints import Command, driving_command
from swerve.scenes.viewpoints.command import point_ahead

# The projection onto the human's path is searched up to this far past the distance driven: paths may cross themselves.
_SEARCH: Final = 20.0
_LOOK_AHEAD: Final = 20.0
# Routes are this long, metres, as AlpaSim's are.
ROUTE_LENGTH: Final = 80.0


@dataclass(frozen=True)
class DrivenHistory:
    """The ego's states every 0.1 s over the 1.5 s up to the start; fields as in `History`, poses in the world frame.

    `measured` is that of the log's ego.
    """

    poses: Float[np.ndarray, "h 3"]
    velocity: Float[np.ndarray, "h 2"]
    acceleration: Float[np.ndarray, "h 2"]
    yaw_rate: Float[np.ndarray, "h"]
    measured: bool = False


def initial_history(closed_loop_scene: ClosedLoopScene) -> DrivenHistory:
    """Return the ego's history before the rollout.

    Raises:
        SwerveError: the scene covers less than 1.5 s.
    """
    history, valid = ego_history(closed_loop_scene.viewpoint, HISTORY_SECONDS)
    if not valid.all():
        raise SwerveError(f"scene {closed_loop_scene.context.token}: has less than {HISTORY_SECONDS} s of history")
    poses = to_world(history.poses, closed_loop_scene.context.ego[:3])
    measured = closed_loop_scene.viewpoint.causal_ego.measured
    return DrivenHistory(poses, history.velocity, history.acceleration, history.yaw_rate, measured)


def observation_at(
    closed_loop_scene: ClosedLoopScene,
    past: DrivenHistory,
    states: Float[np.ndarray, "t 11"],
    step: int,
    privileged_input: PrivilegedInput | None,
    with_route: bool = False,
) -> Observation:
    """Return the observation, without images, at a step.

    Args:
        closed_loop_scene: see `build_closed_loop_scene`.
        past: see `initial_history`.
        states: the ego's, simulated up to the step.
        step: current step.
        privileged_input: for privileged planners, see `privileged_input_at`.
        with_route: whether the observation has the route, see `route_at`.
    """
    viewpoint = closed_loop_scene.viewpoint
    return Observation(
        token=hash_token(closed_loop_scene.context.token),
        time_us=closed_loop_scene.context.start_us + step * HISTORY_STEP_US,
        vehicle=viewpoint.vehicle,
        history=history_at(past, states[: step + 1]),
        command=command_at(closed_loop_scene, states[: step + 1]),
        privileged=privileged_input,
        route=route_at(closed_loop_scene, states[: step + 1]) if with_route else None,
    )


def history_at(past: DrivenHistory, states: Float[np.ndarray, "k 11"]) -> History:
    """Return the last 1.5 s up to the last of the states, of which the first is the start.

    Motion is derived as in training: from the poses up to each step, see `planar_motion`; if the log's is measured, it
    is the simulated vehicle's own.
    """
    count = len(past.poses)
    driven = _own_motion(states[1:]) if past.measured else _motion_by_poses(past, states)
    velocity, acceleration, yaw_rate = (
        np.concatenate([before, after])[-count:]
        for before, after in zip((past.velocity, past.acceleration, past.yaw_rate), driven, strict=True)
    )
    poses = np.concatenate([past.poses, states[1:, : State.HEADING + 1]])[-count:]
    history = History(STEP * np.arange(1 - count, 1), to_ego(poses, poses[-1]), velocity, acceleration, yaw_rate)
    for values in vars(history).values():
        values.setflags(write=False)
    return history


def _own_motion(states: Float[np.ndarray, "k 11"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return velocity, acceleration (with the centripetal one) and yaw rate of the bicycle model, without side slip."""
    speed, yaw_rate = states[:, State.VELOCITY], states[:, State.YAW_RATE]
    velocity = np.column_stack([speed, np.zeros_like(speed)])
    return velocity, np.column_stack([states[:, State.ACCELERATION], speed * yaw_rate]), yaw_rate


def _motion_by_poses(
    past: DrivenHistory, states: Float[np.ndarray, "k 11"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derive velocity, acceleration and yaw rate at the driven poses from the poses up to each."""
    observed = min(len(states) - 1, len(past.poses))
    poses = np.concatenate([past.poses, states[1:, : State.HEADING + 1]])[-observed - len(past.poses) :]
    velocity, acceleration, yaw_rate = planar_motion(poses, HISTORY_STEP_US * np.arange(len(poses)))
    first = len(poses) - observed
    return velocity[first:], acceleration[first:], yaw_rate[first:]


def command_at(closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "k 11"]) -> Command:
    """Return the viewpoint's command at the start, then that of the human's path ahead of the ego's projection."""
    if len(states) == 1:
        return closed_loop_scene.viewpoint.command
    log = closed_loop_scene.viewpoint.scene.log
    return driving_command(*_path_ahead(closed_loop_scene, states, _LOOK_AHEAD), log.road_map, log.route)


def route_at(closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "k 11"]) -> Float[np.ndarray, "_ 2"]:
    """Return the way ahead relative to the ego: the human's path from beside it on, 80 m or until the log ends.

    Where the path ends before 20 m, it goes on along its lane, as for the command. It is empty where the command is
    unknown, because the way forks there.
    """
    log = closed_loop_scene.viewpoint.scene.log
    if command_at(closed_loop_scene, states) is Command.UNKNOWN:
        return np.zeros((0, 2))
    path, heading = _path_ahead(closed_loop_scene, states, ROUTE_LENGTH)
    known = float(arc_lengths(path)[-1])
    if known < _LOOK_AHEAD:
        farther = np.append(np.arange(known + 1.0, _LOOK_AHEAD, 1.0), _LOOK_AHEAD)
        beyond = [point_ahead(path, heading, log.road_map, log.route, float(one)) for one in farther]
        path = np.concatenate([path, *(one[None] for one in beyond if one is not None)])
    return to_ego(np.column_stack([path, np.zeros(len(path))]), states[-1, :3])[:, :2]


def _path_ahead(
    closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "k 11"], length: float
) -> tuple[Float[np.ndarray, "_ 2"], float]:
    """Return the human's path ahead of the ego's projection onto it, in points half a metre apart, and its heading."""
    human_path = closed_loop_scene.human_path
    if len(human_path) < 2:
        return human_path, float(closed_loop_scene.human_poses[0, 2])
    lengths = arc_lengths(human_path)
    driven = float(arc_lengths(states[:, :2])[-1])
    near = max(int(np.searchsorted(lengths, driven + _SEARCH)), 2)
    along, _ = to_frenet(human_path[:near], states[-1:, :2])
    heading = float(heading_at(human_path, along)[0])
    reach = np.linspace(along[0], min(along[0] + length, lengths[-1]), round(2 * length) + 1)
    return interpolate_at(human_path, reach), heading


def privileged_input_at(
    closed_loop_scene: ClosedLoopScene, traffic: Traffic, states: Float[np.ndarray, "t 11"], step: int
) -> PrivilegedInput:
    """Return the ground truth at a step; at the start it is the scene's own, as in open loop.

    The ego's state has NAVSIM's information: velocity and acceleration as float32, neither steering nor yaw rate.
    `human` is the human's path at these times, relative to the current ego pose; beyond the log it continues straight
    on at its last speed.

    Args:
        closed_loop_scene: see `build_closed_loop_scene`.
        traffic: the other agents at all steps.
        states: the ego's, simulated up to the step.
        step: current step.
    """
    context, state = closed_loop_scene.context, states[step]
    human = _human(closed_loop_scene, state[:3], step)
    if step == 0:
        return replace(context.privileged_input, human=human if context.human is None else context.human)
    scene = closed_loop_scene.viewpoint.scene
    place = locate_on_route(scene.log, context.scoring_map.surfaces, state[:3])
    frame = step // STEPS_PER_FRAME
    lights = red_lights(scene, closed_loop_scene.frames[frame : frame + 1], place.route_lanes)
    here = traffic.at(step).of(np.flatnonzero(traffic.present[step]))
    return PrivilegedInput(_observed_state(state), place.scoring_map, here, lights, place.speed_limit, human)


def _observed_state(state: Float[np.ndarray, "11"]) -> Float[np.ndarray, "11"]:
    observed = np.zeros_like(state)
    observed[:3] = state[:3]
    lateral_acceleration = state[State.VELOCITY] * state[State.YAW_RATE]
    known = [state[State.VELOCITY], state[State.LATERAL_VELOCITY], state[State.ACCELERATION], lateral_acceleration]
    observed[State.VELOCITY : State.STEERING] = np.array(known).astype(np.float32)
    return observed


def _human(closed_loop_scene: ClosedLoopScene, ego: Float[np.ndarray, "3"], step: int) -> Float[np.ndarray, "8 3"]:
    return to_ego(closed_loop_scene.human_poses_at(step + STEPS_PER_FRAME * np.arange(1, FRAMES)), ego)
