"""Simulate, score and weigh what a planner would have done."""

from swerve.eval.aggregate import Frames, FrameScores, Group, Table, one_stage, proximity_weights, two_stage, weigh
from swerve.eval.context import Context, build_context
from swerve.eval.evaluate import score_frames
from swerve.eval.judge import METRIC_NAMES, Metric
from swerve.eval.lane_agents import lane_agents
from swerve.eval.navsim_agents import navsim_agents
from swerve.eval.pdms import PdmsScores, pdms
from swerve.eval.reasons import Reason, reasons
from swerve.eval.score import Scores, Yardstick, epdms, score, score_by, yardstick
from swerve.eval.simulate import State, simulate
from swerve.eval.situation import Situation
from swerve.eval.store import load_context, save_context
from swerve.eval.tensors import TensorScores, score_tensor

__all__ = [
    "METRIC_NAMES",
    "Context",
    "FrameScores",
    "Frames",
    "Group",
    "Metric",
    "PdmsScores",
    "Reason",
    "Scores",
    "Situation",
    "State",
    "Table",
    "TensorScores",
    "Yardstick",
    "build_context",
    "epdms",
    "lane_agents",
    "load_context",
    "navsim_agents",
    "one_stage",
    "pdms",
    "proximity_weights",
    "reasons",
    "save_context",
    "score",
    "score_by",
    "score_frames",
    "score_tensor",
    "simulate",
    "two_stage",
    "weigh",
    "yardstick",
]
