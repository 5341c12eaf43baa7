"""Which sub-scores make the difference between two planners is said in a sentence."""

import numpy as np
import pytest

from swerve.eval.benchmark.evaluate.planner_differences import resampled_interval
from swerve.eval.benchmark.evaluate.results import logs_of
from swerve.eval.report.ranking import rankings, stage_values
from swerve.eval.report.sub_score_gaps import gap_sentence
from tests.support.reported import results

STAGES = ("stage one", "stage two")


def values(**columns):
    """Return sub-scores of 1 in two stages, but those given by column: "NC" of stage two is `NC2`."""
    found = np.ones((2, 9))
    names = ("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC")
    for name, value in columns.items():
        found[int(name[-1]) - 1, names.index(name[:-1])] = value
    return found


def test_differences_count_by_their_weight_in_the_score():
    # A factor by itself; extended comfort by 2 of 16: 0.6 * 2 / 16 = 0.075 < 0.1 < 0.4 * 5 / 16 = 0.125.
    first, second = values(), values(NC2=0.9, EC2=0.4, TTC1=0.6, LK1=0.99)
    assert gap_sentence(first, second, "idm", STAGES) == (
        "compared with idm, its sub-scores are higher in time to collision in stage one (1.00 against 0.60), "
        "no at-fault collision in stage two (1.00 against 0.90) and extended comfort in stage two (1.00 against 0.40)."
    )


def test_what_is_lower_is_said_too():
    told = gap_sentence(values(DAC1=0.7), values(NC1=0.5), "it", STAGES)
    assert told == (
        "compared with it, its sub-scores are higher in no at-fault collision in stage one (1.00 against 0.50); "
        "lower in drivable area in stage one (0.70 against 1.00)."
    )


@pytest.mark.parametrize("nothing", [1.0, np.nan])
def test_nothing_to_say(nothing):
    first = values(EC1=nothing)
    assert gap_sentence(first, values(LK2=0.97), "it", STAGES) == "no sub-score differs much from that of it."


def test_one_stage_is_not_named():
    assert "at-fault collision (1.00 against 0.80)" in gap_sentence(np.ones((1, 9)), values(NC1=0.8)[:1], "it", ())


def test_numbers_differ_where_the_sub_scores_do():
    told = gap_sentence(values(NC1=0.9949), values(NC1=0.9895), "it", STAGES)
    assert "higher in no at-fault collision in stage one (0.995 against 0.990)" in told


def test_means_of_the_stages_of_groups_are_those_of_the_table():
    whole = results()
    for one in rankings(whole, "navsim-exact"):
        found = stage_values(one.table, whole.groups)
        np.testing.assert_allclose(found.mean(axis=1), [one.table.stage_one, one.table.stage_two], atol=1e-12)
        expected = resampled_interval(found[1, :, 5], logs_of(whole.table, whole.groups))
        np.testing.assert_array_equal(one.stage_intervals[1, 5], expected)
