"""Simulation of planned trajectories, and NAVSIM's EPDMS and PDMS."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.context.context_file import load_context, save_context
    from swerve.eval.context.privileged_input import PrivilegedInput
    from swerve.eval.context.scene_context import Context, build_context
    from swerve.eval.scoring.aggregate import (
        AggregatedScores,
        GroupTokens,
        SceneScores,
        ScoredScenes,
        aggregate_two_stage,
        one_stage,
        proximity_weights,
        two_stage,
    )
    from swerve.eval.scoring.batch import score_scenes
    from swerve.eval.scoring.pdms import PdmsScores, pdms
    from swerve.eval.scoring.reasons import Reason, reasons
    from swerve.eval.scoring.score import PreparedContext, Scores, epdms, prepare_context, score, score_prepared
    from swerve.eval.scoring.simulate import State, simulate
    from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric
    from swerve.eval.scoring.tensors import TensorScores, score_tensor
    from swerve.eval.traffic.lane_following_agents import lane_agents
    from swerve.eval.traffic.navsim_idm_agents import simulate_navsim_idm

__all__ = [
    "METRIC_NAMES",
    "AggregatedScores",
    "Context",
    "GroupTokens",
    "Metric",
    "PdmsScores",
    "PreparedContext",
    "PrivilegedInput",
    "Reason",
    "SceneScores",
    "ScoredScenes",
    "Scores",
    "State",
    "TensorScores",
    "aggregate_two_stage",
    "build_context",
    "epdms",
    "lane_agents",
    "load_context",
    "one_stage",
    "pdms",
    "prepare_context",
    "proximity_weights",
    "reasons",
    "save_context",
    "score",
    "score_prepared",
    "score_scenes",
    "score_tensor",
    "simulate",
    "simulate_navsim_idm",
    "two_stage",
]

make_lazy(__name__)
