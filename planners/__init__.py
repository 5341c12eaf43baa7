"""Planners, and loading of planners by name."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.study.population import population
    from swerve.planners.baselines.disturbed import DisturbedPlanner
    from swerve.planners.baselines.kinematic import ConstantAcceleration, ConstantVelocity, Stationary
    from swerve.planners.baselines.privileged import Idm, LoggedHuman, PdmClosed
    from swerve.planners.load_planner import LoadedPlanner, describe_planners, load_planner

__all__ = [
    "ConstantAcceleration",
    "ConstantVelocity",
    "DisturbedPlanner",
    "Idm",
    "LoadedPlanner",
    "LoggedHuman",
    "PdmClosed",
    "Stationary",
    "describe_planners",
    "load_planner",
    "population",
]

make_lazy(__name__)
