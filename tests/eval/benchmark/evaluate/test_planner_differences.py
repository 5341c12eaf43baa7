"""Paired differences of planners, and means by log."""

import numpy as np
import pytest
from scipy.stats import t as students_t

from swerve.eval.benchmark.evaluate.planner_differences import means_by, planner_differences
from swerve.eval.report.comparison_tables import between_planners, by_log, by_source, few_scenes_warning
from swerve.eval.study.cluster_bootstrap import clusters_of, draw_resamples, resampled_means

HOSTILE = "<b>x</b>"
LOGS = ["a", "a", "b", "b", "c", "c", "d", "d"]
BASE = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


def test_with_logs_of_one_size_the_interval_is_student_s_of_the_logs_means():
    gains = np.array([0.1, 0.1, 0.3, 0.1, 0.0, 0.0, 0.2, 0.0])
    (found,) = planner_differences({"worse": BASE, "better": BASE + gains}, LOGS)
    assert (found.first, found.second, found.drawn, found.clusters) == ("better", "worse", "logs", 4)
    assert found.score == pytest.approx(0.1)
    means = gains.reshape(4, 2).mean(axis=1)
    half = students_t.ppf(0.975, 3) * means.std(ddof=1) / 2
    # The bootstrap's error: 2000 resamples.
    assert (found.low, found.high) == (pytest.approx(0.1 - half, abs=0.02), pytest.approx(0.1 + half, abs=0.02))
    assert (found.better, found.worse, found.groups) == (5, 0, 8)
    assert not found.is_certain


def test_means_of_resamples_are_those_of_the_study():
    clusters = clusters_of([""] * 8, ["a", "a", "a", "b", "c", "c", "d", "d"])
    drawn = draw_resamples(clusters, "scene_groups", 50, 3)
    np.testing.assert_allclose(resampled_means(BASE, clusters, 50, 3), drawn.group_weights @ BASE, rtol=1e-12)


def test_scores_that_differ_by_rounding_are_equal():
    (found,) = planner_differences({"one": BASE + 1e-9 * (-1.0) ** np.arange(8), "other": BASE}, LOGS)
    assert (found.better, found.worse) == (0, 0)


def test_what_is_hard_for_both_cancels_out():
    """Paired: the scores vary from 0.1 to 0.8, and their difference hardly at all."""
    gains = 0.05 + 0.001 * np.arange(8)
    (found,) = planner_differences({"one": BASE + gains, "other": BASE}, LOGS)
    assert found.is_certain
    assert found.high - found.low < 0.02


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """In 400 worlds of six logs, each with an effect of its own."""
    rng, logs = np.random.default_rng(0), [name for name in "abcdef" for _ in range(5)]
    held = 0
    for _ in range(400):
        gains = 0.1 + np.repeat(rng.normal(0, 0.2, 6), 5) + rng.normal(0, 0.1, 30)
        (found,) = planner_differences({"one": gains, "other": np.zeros(30)}, logs)
        low, high = (found.low, found.high) if found.first == "one" else (-found.high, -found.low)
        held += low <= 0.1 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_scene_groups_of_a_single_log_are_drawn_themselves():
    (found,) = planner_differences({"one": BASE, "other": BASE[::-1]}, ["a"] * 8)
    assert (found.drawn, found.clusters) == ("scene groups", 8)


def test_of_two_logs_nothing_is_known():
    (found,) = planner_differences({"one": BASE, "other": BASE - 0.1}, ["a"] * 4 + ["b"] * 4)
    assert np.isnan([found.low, found.high]).all()
    assert found.as_json()["low"] is None
    assert not found.is_certain
    assert "With 2 logs, intervals are unknown: three are needed." in between_planners((found,), ["one", "other"])
    assert "<td>unknown</td><td>unknown</td>" in between_planners((found,), ["one", "other"])


def test_means_are_those_of_the_groups():
    means = means_by({"one": BASE, "other": 1 - BASE}, LOGS)
    assert [(one.name, one.groups) for one in means] == [("a", 2), ("b", 2), ("c", 2), ("d", 2)]
    assert means[1].scores == {"one": pytest.approx(0.35), "other": pytest.approx(0.65)}


def test_pages_tell_all_pairs_of_few_planners_and_those_with_the_first_of_many():
    few = {f"p{number}": BASE + 0.01 * number for number in range(3)}
    assert between_planners(planner_differences(few, LOGS), ["p2", "p1", "p0"]).count("<tr>") == 1 + 3
    many = {f"p{number}": BASE + 0.01 * number for number in range(7)}
    told = between_planners(planner_differences(many, LOGS), [f"p{number}" for number in range(6, -1, -1)])
    assert told.count("<tr>") == 1 + 6
    assert "21 pairs exist" in told
    assert between_planners((), ["alone"]) == ""


def test_pages_escape_names_and_sort_logs_by_difficulty():
    means = means_by({HOSTILE: BASE}, [HOSTILE if name == "a" else name for name in reversed(LOGS)])
    told = by_log(means, [HOSTILE])
    assert HOSTILE not in told
    assert told.index("<td>d</td>") < told.index("<td>c</td>") < told.index("&lt;b&gt;x&lt;/b&gt;</td>")
    assert by_source(means_by({"p": BASE}, ["town"] * 8), ["p"]).endswith("<p>All scene groups are of source town.</p>")


@pytest.mark.parametrize(("groups", "warned"), [(1, True), (9, True), (10, False)])
def test_few_scene_groups_are_warned_of(groups, warned):
    assert ("too few to compare planners" in few_scenes_warning(groups)) == warned
