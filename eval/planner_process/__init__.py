"""Planners in processes of their own: whatever one does, it fails in its scenes alone.

A `ProcessPlanner` is a planner that forwards every call to a child process, in which the real one is loaded. A plan
that takes too long, or a process that ends, fails its scene; the process and those that it started are ended, and a new
one is started for the next scene. Observations reach the child through shared memory. What the child returns is JSON
and numbers, never pickles. This guards against mistakes, not against malice: the child has its user's rights.
"""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.planner_process.planner_limits import PlannerLimits
    from swerve.eval.planner_process.process_planner import LoadPlanner, PlannerInfo, ProcessPlanner

__all__ = ["LoadPlanner", "PlannerInfo", "PlannerLimits", "ProcessPlanner"]

make_lazy(__name__)
