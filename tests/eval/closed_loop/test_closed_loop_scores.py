import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.eval import build_context, score
from swerve.eval.closed_loop import ROLLOUT_METRICS, closed_loop_score
from swerve.eval.closed_loop.closed_loop_scores import progress_share
from swerve.scenes import Scene
from tests.support.simple_log import simple_log

ALL = dict.fromkeys(ROLLOUT_METRICS, 1.0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 1.0),
        ({"ego_progress": 0.5}, 13.5 / 16),
        ({"time_to_collision_within_bound": 0.0}, 11 / 16),
        ({"speed_limit_compliance": 0.25}, 13 / 16),
        ({"history_comfort": 0.0}, 14 / 16),
        ({"speed_limit_compliance": np.nan, "history_comfort": 0.0}, 10 / 12),
        ({"lane_keeping": 0.0}, 1.0),
        ({"no_at_fault_collisions": 0.5, "driving_direction_compliance": 0.5, "history_comfort": 0.0}, 0.25 * 14 / 16),
        ({"making_progress": 0.0}, 0.0),
        ({"drivable_area_compliance": 0.0}, 0.0),
        ({"traffic_light_compliance": 0.0}, 0.0),
    ],
)
def test_the_formula_by_hand(changed, expected):
    assert closed_loop_score({**ALL, **changed}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("made", "expert", "share"),
    [(40, 80, 0.5), (100, 80, 1.0), (0, 80, 2 / 80), (-1, 80, 2 / 80), (-3, 80, 0.0), (0.5, 1.0, 1.0), (0, 0, 1.0)],
)
def test_progress_as_nuplan_counts_it(made, expert, share):
    assert progress_share(float(made), float(expert)) == pytest.approx(share)


@given(st.lists(st.floats(0.0, 1.0), min_size=len(ROLLOUT_METRICS), max_size=len(ROLLOUT_METRICS)))
def test_a_score_lies_between_0_and_1_and_falls_with_each_sub_score(values):
    metrics = dict(zip(ROLLOUT_METRICS, values, strict=True))
    total = closed_loop_score(metrics)
    assert 0.0 <= total <= 1.0
    for name in ROLLOUT_METRICS:
        assert closed_loop_score({**metrics, name: metrics[name] / 2}) <= total


def test_a_context_of_more_steps_begins_as_the_short_one():
    log = simple_log()
    short, long = (build_context(Scene(log, 35, 20, 80), steps=steps) for steps in (41, 81))
    for name in ("poses", "velocities", "present"):
        np.testing.assert_array_equal(getattr(long.traffic, name)[:41], getattr(short.traffic, name))
    assert len(long.lights.active) == 81
    assert long.lane_graph_paths.gates.shape[2] == 81


def test_a_wider_map_changes_no_score():
    log = simple_log()
    plans = np.stack(
        [
            np.column_stack([np.arange(1, 9) * v, np.arange(1, 9) * side, np.zeros(8)])
            for v, side in ((5, 0), (7, -0.8), (2, 0.6))
        ]
    )
    near, far = (build_context(Scene(log, 70, 20, 45), radius=radius) for radius in (100.0, 250.0))
    assert len(far.scoring_map.surfaces.cell_starts) > len(near.scoring_map.surfaces.cell_starts)
    np.testing.assert_array_equal(score(near, plans).metrics, score(far, plans).metrics)
