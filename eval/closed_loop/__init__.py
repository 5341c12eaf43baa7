"""Closed loop: planners drive on from where they have got to, among others that may react."""

from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopOptions, Course, build_course
from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS, closed_loop_score
from swerve.eval.closed_loop.rollout import Planned, Rollout, drive, drive_course
from swerve.eval.closed_loop.rollout_views import RolloutViews

__all__ = [
    "ROLLOUT_METRICS",
    "ClosedLoopOptions",
    "Course",
    "Planned",
    "Rollout",
    "RolloutViews",
    "build_course",
    "closed_loop_score",
    "drive",
    "drive_course",
]
