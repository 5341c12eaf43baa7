"""Simulate, score and weigh what a planner would have done."""

from swerve.eval.aggregate import Frames, Group, Table, one_stage, proximity_weights, two_stage
from swerve.eval.context import Context, build_context
from swerve.eval.judge import METRIC_NAMES, Metric
from swerve.eval.navsim_agents import navsim_agents
from swerve.eval.score import Scores, epdms, score
from swerve.eval.simulate import State, simulate

__all__ = [
    "METRIC_NAMES",
    "Context",
    "Frames",
    "Group",
    "Metric",
    "Scores",
    "State",
    "Table",
    "build_context",
    "epdms",
    "navsim_agents",
    "one_stage",
    "proximity_weights",
    "score",
    "simulate",
    "two_stage",
]
