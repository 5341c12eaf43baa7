"""Closed-loop rollouts of planners, with non-reactive or reactive agents."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
    from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene, build_closed_loop_scene
    from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS, closed_loop_score
    from swerve.eval.closed_loop.dynamic_bicycle import DynamicBicycle
    from swerve.eval.closed_loop.nuplan_metrics import NUPLAN_METRICS, nuplan_scores
    from swerve.eval.closed_loop.rollout import ExecutedPlan, Rollout, drive, drive_prepared, metric_names
    from swerve.eval.closed_loop.rollout_views import RolloutViews

__all__ = [
    "NUPLAN_METRICS",
    "ROLLOUT_METRICS",
    "ClosedLoopOptions",
    "ClosedLoopScene",
    "DynamicBicycle",
    "ExecutedPlan",
    "Rollout",
    "RolloutViews",
    "build_closed_loop_scene",
    "closed_loop_score",
    "drive",
    "drive_prepared",
    "metric_names",
    "nuplan_scores",
]

make_lazy(__name__)
