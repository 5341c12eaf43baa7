"""Closed-loop rollouts of planners, with non-reactive or reactive agents."""

from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopOptions, ClosedLoopScene, build_closed_loop_scene
from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS, closed_loop_score
from swerve.eval.closed_loop.rollout import ExecutedPlan, Rollout, drive, drive_prepared
from swerve.eval.closed_loop.rollout_views import RolloutViews

__all__ = [
    "ROLLOUT_METRICS",
    "ClosedLoopOptions",
    "ClosedLoopScene",
    "ExecutedPlan",
    "Rollout",
    "RolloutViews",
    "build_closed_loop_scene",
    "closed_loop_score",
    "drive",
    "drive_prepared",
]
