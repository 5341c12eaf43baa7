"""Rater feedback score: cases worked by hand, and the official function where it is at hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.check_rfs_oracle import compare, official_function
from swerve.eval.rater_feedback.displacement import average_displacements
from swerve.eval.rater_feedback.rater_feedback_score import padded_ratings, rater_feedback, tolerances
from swerve.scenes import SwerveError
from tests.golden.check_rfs import check_file
from tests.golden.check_rfs import main as check_rfs
from tests.golden.tally import Tally

FAST = 11.0  # full size of the trust region: 1.0 and 1.8 m across, 4.0 and 7.2 m along


def ahead(speed=8.0):
    """A straight drive along x: at 3 s it is 3 times the speed away."""
    return np.stack([0.25 * speed * np.arange(1, 21), np.zeros(20)], axis=1)


def scored(predictions, rated, labels, speed=FAST, probabilities=None):
    predictions = np.array(predictions)
    predictions = predictions[None] if predictions.ndim == 2 else predictions
    chances = np.full(len(predictions), 1 / len(predictions)) if probabilities is None else np.array(probabilities)
    points, scores = padded_ratings(rated, labels)
    found = rater_feedback(predictions[None], chances[None], points[None], scores[None], np.array([speed]))
    return found.scores[0], found.inside[0].tolist()


def moved(points, three=(0.0, 0.0), five=(0.0, 0.0)):
    made = points.copy()
    made[11] += three
    made[19] += five
    return made


def test_equal_to_a_rated_trajectory_gives_its_label():
    assert scored(ahead(), [ahead(), ahead(2.0)], [7.0, 3.0]) == (7.0, [True])


@pytest.mark.parametrize(
    ("speed", "scale"), [(0.0, 0.5), (1.39, 0.5), (1.4, 0.5), (6.2, 0.75), (11.0, 1.0), (11.1, 1.0), (40.0, 1.0)]
)
def test_tolerances_grow_with_speed(speed, scale):
    lateral, longitudinal = tolerances(np.array([speed]))
    np.testing.assert_allclose(lateral[0], [1.0 * scale, 1.8 * scale], rtol=1e-15)
    np.testing.assert_allclose(longitudinal[0], [4.0 * scale, 7.2 * scale], rtol=1e-15)


def test_exactly_on_the_boundary_is_inside():
    on = moved(ahead(), three=(4.0, -1.0), five=(-7.0, 1.8))
    assert scored(on, [ahead()], [9.0]) == (9.0, [True])
    beyond = moved(ahead(), three=(0.0, np.nextafter(1.0, 2.0)))
    score, inside = scored(beyond, [ahead()], [9.0])
    assert score == pytest.approx(9.0)
    assert inside == [False]


def test_decays_by_a_tenth_per_tolerance_beyond_the_region():
    # At 3 s one and a half tolerances to the left: 10 * 0.1^0.5; at 5 s inside: 10.
    score, inside = scored(moved(ahead(), three=(0.0, 1.5)), [ahead()], [10.0])
    assert score == pytest.approx((10 * 0.1**0.5 + 10) / 2)
    assert inside == [False]
    # The larger of both directions counts: along 12 m of 4 is three tolerances, across 1.5.
    score, _ = scored(moved(ahead(), three=(12.0, 1.5)), [ahead()], [10.0])
    assert score == pytest.approx((10 * 0.1**2 + 10) / 2)


def test_outside_scores_at_least_four_and_inside_may_score_less():
    far = moved(ahead(), three=(0.0, 50.0), five=(0.0, 50.0))
    assert scored(far, [ahead()], [10.0]) == (4.0, [False])
    assert scored(ahead(), [ahead()], [2.0]) == (2.0, [True])
    assert scored(far, [ahead()], [2.0]) == (4.0, [False])


def test_best_rater_is_chosen_at_each_time_but_one_alone_must_contain_both():
    left = moved(ahead(), three=(0.0, 20.0))
    # At 3 s the prediction is the first rater's, at 5 s both raters': 6 and max(6, 10).
    assert scored(ahead(), [ahead(), left], [6.0, 10.0]) == (8.0, [True])
    low, high = moved(ahead(), five=(0.0, 40.0)), moved(ahead(), three=(0.0, 40.0))
    # Each contains the prediction at one time only: (6 + 8) / 2, and not inside.
    assert scored(ahead(), [low, high], [6.0, 8.0]) == (7.0, [False])


def test_directions_of_standing_raters():
    still = np.zeros((20, 2))
    beside, before = moved(still, three=(0.0, 0.6)), moved(still, three=(0.6, 0.0))
    # Standing from the start: forward is x. Half tolerances at standstill: 0.5 across, 2 along.
    assert scored(beside, [still], [10.0], speed=0.0)[1] == [False]
    assert scored(before, [still], [10.0], speed=0.0)[1] == [True]
    # Who drove to the left and then stopped keeps facing left: x is across.
    stopped = np.stack([np.zeros(20), np.minimum(np.arange(1, 21), 4.0)], axis=1)
    assert scored(moved(stopped, three=(0.6, 0.0)), [stopped], [10.0], speed=0.0)[1] == [False]
    assert scored(moved(stopped, three=(0.0, 0.6)), [stopped], [10.0], speed=0.0)[1] == [True]


def test_direction_is_that_of_the_step_at_the_time():
    turning = np.concatenate([ahead()[:11], ahead()[10] + np.stack([np.zeros(9), 2.0 * np.arange(1, 10)], axis=1)])
    # The step to 3 s leads to the left: 3 m along y are inside, 3 m along x are three tolerances.
    assert scored(moved(turning, three=(0.0, 3.0)), [turning], [10.0])[1] == [True]
    assert scored(moved(turning, three=(3.0, 0.0)), [turning], [10.0])[0] == pytest.approx((0.1 + 10) / 2)


def test_fewer_raters_repeat_the_last_and_more_are_cut():
    points, labels = padded_ratings([ahead(1.0), ahead(2.0)], [5.0, 6.0])
    np.testing.assert_array_equal(points, [ahead(1.0), ahead(2.0), ahead(2.0)])
    assert labels.tolist() == [5.0, 6.0, 6.0]
    # The fourth, which is exactly the prediction, does not count.
    assert scored(ahead(), [ahead(30.0)] * 3 + [ahead()], [1.0, 1.0, 1.0, 10.0]) == (4.0, [False])


def test_short_trajectories_stay_where_they_end_and_long_ones_are_cut():
    short, long = ahead()[:12], np.concatenate([ahead(), [[1e3, 1e3]]])
    points, _ = padded_ratings([short, long], [1.0, 1.0])
    np.testing.assert_array_equal(points[0, 12:], np.repeat(ahead()[11:12], 8, axis=0))
    np.testing.assert_array_equal(points[1], ahead())
    # At 5 s the short one is still at 24 m, facing x: 16 m are 16/7.2 tolerances.
    assert scored(ahead(), [short], [10.0])[0] == pytest.approx((10 + 10 * 0.1 ** (16 / 7.2 - 1)) / 2)


def test_several_predictions_are_weighted_by_probability():
    far = moved(ahead(), three=(0.0, 50.0), five=(0.0, 50.0))
    score, inside = scored([ahead(), far], [ahead()], [10.0], probabilities=[0.75, 0.25])
    assert score == pytest.approx(0.75 * 10 + 0.25 * 4)
    assert inside == [True, False]
    assert scored([ahead()], [ahead()], [10.0], probabilities=[0.5])[0] == 5.0  # not normalised, as the official one


def test_wrong_input_is_refused():
    with pytest.raises(SwerveError, match="20 points"):
        scored(ahead()[:16], [ahead()], [1.0])
    with pytest.raises(SwerveError, match="predictions are not finite"):
        scored(moved(ahead(), three=(np.nan, 0)), [ahead()], [1.0])
    with pytest.raises(SwerveError, match="one or more"):
        padded_ratings([], [])
    with pytest.raises(SwerveError, match="1 trajectories with 2 scores"):
        padded_ratings([ahead()], [1.0, 2.0])
    with pytest.raises(SwerveError, match="trajectory 1 has no points"):
        padded_ratings([ahead(), ahead()[:0]], [1.0, 2.0])


def test_average_displacements():
    # 0.1 m more at each step: means of 0.1, ..., 1.2 and of 0.1, ..., 2.0.
    off = ahead() + np.stack([np.zeros(20), 0.1 * np.arange(1, 21)], axis=1)
    np.testing.assert_allclose(average_displacements(off, ahead()), [0.65, 1.05])
    batch = average_displacements(np.stack([off, ahead()]), np.stack([ahead(), np.full((20, 2), np.nan)]))
    np.testing.assert_allclose(batch, [[0.65, 1.05], [np.nan, np.nan]])


def test_golden_file(test_data):
    file = test_data.parent / "golden" / "rfs" / "rfs.json.gz"
    if not file.is_file():
        pytest.skip(f"no golden file {file}")
    tally = Tally()
    check_file(file, tally)
    assert tally.lines
    assert not tally.mismatches, tally.table()


def golden_file(path, score, schema="ps-golden-rfs/1"):
    """A file with the hand-worked case of half a tolerance too far at 3 s."""
    case = {
        "initial_speed": FAST,
        "predictions": [moved(ahead(), three=(0.0, 1.5)).tolist()],
        "probabilities": [1.0],
        "rated": [ahead().tolist()],
        "labels": [10.0],
        "score": score,
    }
    path.write_text(json.dumps({"schema": schema, "cases": [case]}))
    return str(path)


def test_golden_check_ends_with_one_where_a_score_differs(tmp_path, capsys):
    right = (10 * 0.1**0.5 + 10) / 2
    assert check_rfs([golden_file(tmp_path / "a.json", right)]) == 0
    assert "0 mismatches in 1 files" in capsys.readouterr().out
    assert check_rfs([golden_file(tmp_path / "b.json", right + 2e-9), golden_file(tmp_path / "a.json", right)]) == 1
    assert "2.0e-09" in capsys.readouterr().out
    assert check_rfs([golden_file(tmp_path / "c.json", float("nan"))]) == 1
    with pytest.raises(SystemExit, match="not a file of schema"):
        check_rfs([golden_file(tmp_path / "d.json", right, "ps-golden/1")])
    (tmp_path / "e.json").write_text('{"schema": "ps-golden-rfs/1", "cases": []}')
    assert check_rfs([str(tmp_path / "e.json")]) == 1


def test_official_function_on_random_and_edge_cases():
    named = os.environ.get("SWERVE_RFS_ORACLE")
    official = official_function(Path(named) if named else None)
    if official is None:
        pytest.skip("SWERVE_RFS_ORACLE does not name Waymo's rater_feedback_utils.py, and no installed package has it")
    assert {kind: wrong for kind, (_, wrong, _) in compare(official, 1500, seed=1).items() if wrong} == {}
