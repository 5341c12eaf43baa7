"""Planners, and how to load them by name."""

from swerve.planners.disturbed import Disturbed
from swerve.planners.ego_mlp import EgoMlp, load_ego_mlp, save_ego_mlp
from swerve.planners.kinematic import ConstantAcceleration, ConstantVelocity, Stationary
from swerve.planners.load import Named, describe_planners, load_planner
from swerve.planners.population import population
from swerve.planners.privileged import Idm, LoggedHuman, PdmClosed

__all__ = [
    "ConstantAcceleration",
    "ConstantVelocity",
    "Disturbed",
    "EgoMlp",
    "Idm",
    "LoggedHuman",
    "Named",
    "PdmClosed",
    "Stationary",
    "describe_planners",
    "load_ego_mlp",
    "load_planner",
    "population",
    "save_ego_mlp",
]
