"""Intervals of differences between views are those of differences between planners."""

import numpy as np
import pytest

from swerve.eval.benchmark.evaluate.planner_differences import planner_differences, resampled_interval
from swerve.eval.benchmark.evaluate.view_differences import PlannerViews, differences, group_scores
from swerve.eval.scoring.aggregate import GroupTokens, SceneScores, aggregate_two_stage

LOGS = ["a", "a", "b", "b", "b", "c"]
GROUPS = tuple(GroupTokens(f"n{row}", f"b{row}", ((f"fn{row}", f"fb{row}"),)) for row in range(len(LOGS)))


def scored(seed: int):
    tokens = tuple(token for group in GROUPS for token in group.tokens)
    values = np.random.default_rng(seed).uniform(size=(len(tokens), 10))
    return aggregate_two_stage(
        SceneScores(tokens, values, np.zeros((len(tokens), 2)), np.zeros((len(tokens), 2))), GROUPS, "stable"
    )


def test_views_and_planners_of_the_same_scores_have_the_same_interval():
    tables = {"one": scored(0), "other": scored(1)}
    seen = {"one": PlannerViews("p", "raster"), "other": PlannerViews("p", "photo")}
    (views,) = differences(tables, GROUPS, LOGS, seen)
    (planners,) = planner_differences({label: group_scores(table, GROUPS) for label, table in tables.items()}, LOGS)
    sign = 1.0 if planners.first == "other" else -1.0
    assert views.score == pytest.approx(sign * planners.score)
    assert sorted(sign * end for end in views.interval) == pytest.approx([planners.low, planners.high])
    gains = group_scores(tables["other"], GROUPS) - group_scores(tables["one"], GROUPS)
    assert views.interval == resampled_interval(gains, LOGS)


def test_logs_and_not_scene_groups_are_drawn():
    """Scene groups of one log that are all alike tell no more than one of them does."""
    gains = np.array([0.0, 0.1, 0.5])
    alone = resampled_interval(gains, ["a", "b", "c"])
    assert resampled_interval(np.repeat(gains, 20), np.repeat(["a", "b", "c"], 20).tolist()) == pytest.approx(alone)
