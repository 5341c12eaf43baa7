"""Closed-loop rollouts: a planner replans repeatedly, each time from the simulated ego state."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_planner
from swerve.eval.benchmark.evaluate.observations import declared_cameras
from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene, build_closed_loop_scene
from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS, ClosedLoopScores, score_rollout
from swerve.eval.closed_loop.dynamic_bicycle import DynamicBicycle
from swerve.eval.closed_loop.nuplan_metrics import NUPLAN_METRICS, nuplan_scores
from swerve.eval.closed_loop.rollout_observations import (
    DrivenHistory,
    initial_history,
    observation_at,
    privileged_input_at,
)
from swerve.eval.closed_loop.rollout_views import RolloutViews
from swerve.eval.scoring.reasons import Reason
from swerve.eval.scoring.simulate import simulate
from swerve.eval.scoring.thresholds import HISTORY_STEP_US, STEP
from swerve.eval.scoring.trajectories import references_of
from swerve.eval.traffic.policies import rollout_agents
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import SwerveError, Vehicle
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.errors import PlannerError
from swerve.scenes.planning import Observation, Planner, Trajectory
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class ExecutedPlan:
    """A plan that was executed.

    Attributes:
        seconds: time of the plan from the start, seconds.
        trajectory: relative to the ego's pose at that time.
        planning_seconds: planning time, seconds.
    """

    seconds: float
    trajectory: Trajectory
    planning_seconds: float


@dataclass(frozen=True)
class Rollout:
    """A rollout of a planner, and its scores.

    Attributes:
        token: name of the scene.
        log: name of its log.
        states: the ego's every 0.1 s from the start on, columns as in simulate.State; if the planner failed, up to that
            step.
        traffic: the other agents at these steps.
        plans: the executed plans.
        metrics: sub-scores by name, see `metric_names`; all 0 if the planner failed.
        score: closed-loop score, see `score_rollout` and `nuplan_scores`; 0 if the planner failed.
        reasons: causes of sub-scores below 1.
        progress: metres along the route.
        human_progress: the same of the human; both 0 if the planner failed.
        error: error message and time; empty if the planner did not fail.
    """

    token: str
    log: str
    states: Float[np.ndarray, "t 11"]
    traffic: Traffic
    plans: tuple[ExecutedPlan, ...]
    metrics: Mapping[str, float]
    score: float
    reasons: tuple[Reason, ...]
    progress: float
    human_progress: float
    error: str

    @property
    def failed(self) -> bool:
        """Return whether the planner raised, or returned anything but a valid trajectory."""
        return bool(self.error)

    @property
    def times(self) -> Float[np.ndarray, "t"]:
        """Return the times of the states from the start, seconds."""
        return STEP * np.arange(len(self.states))


def drive(
    viewpoint: Viewpoint, planner: Planner, options: ClosedLoopOptions, views: RolloutViews | None = None
) -> Rollout:
    """Simulate a planner in closed loop from a viewpoint, until the log ends or the options' seconds are over.

    For several planners on one scene, prepare the scene once, and use `drive_prepared`.

    Args:
        viewpoint: logged, or a follow-up.
        planner: of the rollout.
        options: rate, length and traffic.
        views: renders the cameras' images; None if there are none.

    Raises:
        SwerveError: the scene cannot be scored or driven for 4 s, or the planner needs images that are not available.
    """
    return drive_prepared(build_closed_loop_scene(viewpoint, options), planner, views)


def drive_prepared(closed_loop_scene: ClosedLoopScene, planner: Planner, views: RolloutViews | None = None) -> Rollout:
    """Simulate a planner in closed loop on a prepared scene.

    At each replanning the planner's trajectory, from the ego's pose on, becomes the reference of the tracker, which
    starts from the ego's full state; its motion until the next plan is kept. Reactive agents see the ego's motion up to
    the previous step.

    Raises:
        SwerveError: the planner needs images that are not available, or the scene has less than 1.5 s of history.
    """
    announce_compilation()
    observed = _ObservedPlanner(closed_loop_scene, planner, views, initial_history(closed_loop_scene))
    others = rollout_agents(closed_loop_scene.options.traffic, closed_loop_scene.context)
    states, plans = np.zeros((closed_loop_scene.steps, 11)), list[ExecutedPlan]()
    states[0] = closed_loop_scene.context.ego
    for step in range(0, closed_loop_scene.steps - 1, closed_loop_scene.options.stride):
        output = observed.output(others.until(step, states), states, step)
        if output.plan is None:
            return _failed(closed_loop_scene, states[: step + 1], others.until(step, states), plans, output.error)
        plans.append(ExecutedPlan(round(step * STEP, 1), output.plan, output.seconds))
        count = min(closed_loop_scene.options.stride, closed_loop_scene.steps - 1 - step)
        states[step + 1 : step + count + 1] = _followed(closed_loop_scene, states[step], output.plan, step)[
            1 : count + 1
        ]
    traffic = others.until(closed_loop_scene.steps - 1, states)
    scores = _graded(closed_loop_scene, states, traffic)
    return Rollout(
        closed_loop_scene.context.token,
        closed_loop_scene.context.log,
        states,
        traffic,
        tuple(plans),
        **vars(scores),
        error="",
    )


@dataclass(frozen=True)
class _ObservedPlanner:
    """A planner on a prepared scene, and its observations."""

    closed_loop_scene: ClosedLoopScene
    planner: Planner
    views: RolloutViews | None
    past: DrivenHistory

    def output(self, traffic: Traffic, states: Float[np.ndarray, "t 11"], step: int) -> PlannerOutput:
        """Return what the planner plans at a step, or its failure."""
        try:
            observed = self.observation(traffic, states, step)
        except PlannerError as error:
            return PlannerOutput(None, str(error), 0.0)
        return call_planner(self.planner, [observed])[0]

    def observation(self, traffic: Traffic, states: Float[np.ndarray, "t 11"], step: int) -> Observation:
        """Return the planner's observation at a step."""
        privileged = getattr(self.planner, "privileged", False)
        privileged_input = privileged_input_at(self.closed_loop_scene, traffic, states, step) if privileged else None
        with_route = bool(getattr(self.planner, "route", False))
        observation_now = observation_at(self.closed_loop_scene, self.past, states, step, privileged_input, with_route)
        drawn = self.views.cameras(self.closed_loop_scene) if self.views else ()
        place = self.views.placement(self.closed_loop_scene, traffic, states, step) if self.views else None
        token, lacking = self.closed_loop_scene.context.token, "there is no renderer. Give views"
        cameras = declared_cameras(self.planner, drawn, token, lacking, place, observation_now)
        if self.views is None or not cameras:
            return observation_now
        return replace(
            observation_now,
            cameras=cameras,
            images=self.views.images(self.closed_loop_scene, cameras, traffic, states, step),
        )


def _followed(
    closed_loop_scene: ClosedLoopScene, state: Float[np.ndarray, "11"], plan: Trajectory, step: int
) -> Float[np.ndarray, "t 11"]:
    """Return the states of the car, the first one given, while it tracks a plan at least until the next one."""
    if closed_loop_scene.options.simulation == "dynamic":
        poses = plan.poses.astype(np.float64)
        return DynamicBicycle(Vehicle.pacifica()).follow(state, poses, plan.interval, closed_loop_scene.options.stride)
    now_us = closed_loop_scene.context.start_us + step * HISTORY_STEP_US
    states: Float[np.ndarray, "t 11"] = simulate(
        state, references_of(plan.poses[None], state[:3], now_us, plan.interval)
    )[0]
    return states


def metric_names(options: ClosedLoopOptions) -> tuple[str, ...]:
    """Return the names of the metrics of rollouts, in the order of tables."""
    return NUPLAN_METRICS if options.scorer == "nuplan" else ROLLOUT_METRICS


def _graded(
    closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "t 11"], traffic: Traffic
) -> ClosedLoopScores:
    """Return the scores of a whole rollout by the scorer of its options."""
    if closed_loop_scene.options.scorer == "epdms":
        return score_rollout(closed_loop_scene, states, traffic)
    road_map = closed_loop_scene.viewpoint.scene.log.road_map
    if road_map is None:
        raise SwerveError(f"scene {closed_loop_scene.context.token}: nuPlan's metrics need a map, and its log has none")
    human = closed_loop_scene.human_poses_at(np.arange(len(states)))
    found = nuplan_scores(states, traffic, road_map, human, Vehicle.pacifica())
    return ClosedLoopScores(found.metrics, found.score, (), found.ego_progress, found.human_progress)


def _failed(
    closed_loop_scene: ClosedLoopScene,
    states: Float[np.ndarray, "k 11"],
    traffic: Traffic,
    plans: list[ExecutedPlan],
    error: str,
) -> Rollout:
    return Rollout(
        token=closed_loop_scene.context.token,
        log=closed_loop_scene.context.log,
        states=states.copy(),
        traffic=traffic.until(len(states)),
        plans=tuple(plans),
        metrics=dict.fromkeys(metric_names(closed_loop_scene.options), 0.0),
        score=0.0,
        reasons=(),
        progress=0.0,
        human_progress=0.0,
        error=f"after {(len(states) - 1) * STEP:.1f} s: {error}",
    )
