"""Correlations and their intervals, against scipy, loops, and what is drawn anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from swerve.eval.study.cluster_bootstrap import (
    Estimate,
    clusters_of,
    difference_interval,
    draw_resamples,
    half_width,
    interval_of,
    pearson,
    ranks,
    resample,
    without_family_means,
)
from swerve.eval.study.correlation import agreements, difference


def planted(generator, planners, cases, correlation, noise=0.0):
    """A measure and a truth whose means have a given correlation, both with independent noise in each scene group."""
    x = generator.normal(size=planners)
    y = correlation * x + np.sqrt(1 - correlation**2) * generator.normal(size=planners)
    shape = (planners, cases)
    return tuple(v[:, None] + noise * generator.normal(size=shape) for v in (x, y))


def families_and_logs(planners, cases, families=20):
    return [f"family{i % families}" for i in range(planners)], [f"log{i}" for i in range(cases)]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=3, max_size=12))
def test_correlations_are_scipys_of_repeated_values(rows):
    """A weight of 2 is the value twice, a weight of 0 its absence."""
    x, y, weights = np.array(rows, float).T
    if weights.sum() == 0:
        return
    times = weights.astype(int)
    many_x, many_y = np.repeat(x, times), np.repeat(y, times)
    ranked = [ranks(values, weights) for values in (x, y)]
    for own, repeated in zip(ranked, (many_x, many_y), strict=True):
        np.testing.assert_array_equal(np.repeat(own, times), stats.rankdata(repeated))
    if np.ptp(many_x) and np.ptp(many_y):
        assert pearson(x, y, weights) == pytest.approx(stats.pearsonr(many_x, many_y).statistic, abs=1e-12)
        assert pearson(*ranked, weights) == pytest.approx(stats.spearmanr(many_x, many_y).statistic, abs=1e-12)
    else:
        assert np.isnan(pearson(x, y, weights))


def test_ranks_of_many_rows_at_once():
    values = np.random.default_rng(0).integers(0, 9, (50, 20)).astype(float)
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values, axis=1))


def test_a_planted_correlation_is_found_within_its_interval():
    x, y = planted(np.random.default_rng(1), 400, 30, 0.8, noise=0.1)
    found = agreements({"planted": x, "other way": -x}, y, *families_and_logs(400, 30))
    r = found["planted"].pearson["joint"]
    assert r.value == pytest.approx(stats.pearsonr(x.mean(1), y.mean(1)).statistic)
    assert r.low < 0.8 < r.high
    assert found["planted"].r2["joint"].value == pytest.approx(
        stats.linregress(x.mean(1), y.mean(1)).rvalue ** 2, abs=1e-12
    )
    assert found["other way"].pearson["joint"].value == pytest.approx(-r.value)
    assert found["other way"].r2["joint"].low == pytest.approx(found["planted"].r2["joint"].low)
    assert found["planted"].r2["joint"].low == pytest.approx(r.low**2)


def test_a_resample_is_the_mean_of_what_was_drawn():
    """By loops, against the matrix product."""
    values = np.random.default_rng(2).normal(size=(5, 4))
    drawn = draw_resamples(clusters_of(list("vvwxy"), list("abcd")), "joint", 7, seed=3)
    times = np.rint(drawn.group_weights * 4).astype(int)
    assert (times.sum(axis=1) == 4).all()
    for means, counts in zip(resample(values, drawn), times, strict=True):
        np.testing.assert_allclose(means, values[:, np.repeat(np.arange(4), counts)].mean(axis=1))


def test_each_kind_of_interval_draws_what_it_says():
    clusters = clusters_of(list("uuvvwx"), list("abcde"))
    planners, cases, both = (draw_resamples(clusters, side, 9, 0) for side in ("planners", "scene_groups", "joint"))
    assert (planners.group_weights == 0.2).all()
    assert (cases.planner_weights == 1.0).all()
    assert len(np.unique(cases.group_weights)) > 2
    assert len(np.unique(planners.planner_weights, axis=0)) > 4
    assert (planners.clusters, cases.clusters, both.clusters) == (4, 5, 4)


def test_families_and_logs_are_drawn_whole():
    clusters = clusters_of(list("vvwwx"), [f"log{i // 2}" for i in range(8)])
    drawn = draw_resamples(clusters, "joint", 50, seed=0)
    np.testing.assert_array_equal(drawn.group_weights[:, ::2], drawn.group_weights[:, 1::2])
    np.testing.assert_array_equal(drawn.planner_weights[:, [0, 2]], drawn.planner_weights[:, [1, 3]])
    np.testing.assert_allclose(drawn.group_weights.sum(axis=1), 1.0)
    assert (drawn.planner_weights[:, [0, 2, 4]].sum(axis=1) == 3).all()


def test_a_single_family_or_log_is_drawn_by_its_members():
    clusters = clusters_of(["f"] * 5, ["log"] * 4)
    assert (clusters.planners, clusters.scene_groups, clusters.counts) == ("planners", "scene groups", (5, 4))


def test_an_interval_is_worked_by_hand():
    """Of three clusters: t(0.975, 2) = 4.302653, times sqrt 3, times the deviation of artanh of the samples."""
    samples = np.tanh([0.1, 0.3, np.nan])
    assert half_width(3) == pytest.approx(4.302653 * 3**0.5)
    half = 4.302653 * 3**0.5 * np.std([0.1, 0.3], ddof=1)
    found = interval_of(0.5, samples, 3)
    assert (found.low, found.high) == pytest.approx((np.tanh(np.arctanh(0.5) - half), np.tanh(np.arctanh(0.5) + half)))
    assert np.isnan(interval_of(0.5, samples, 2).low)


def test_an_interval_of_a_difference_is_worked_by_hand():
    """Zou (2007): of uncorrelated estimates the errors add up in squares, of equal ones they subtract."""
    first, second = Estimate(0.7, 0.5, 0.8), Estimate(0.4, 0.1, 0.6)
    ups, downs = np.tanh([0.5, 0.5, 0.7, 0.7]), np.tanh([0.1, 0.3, 0.1, 0.3])
    found = difference_interval(first, second, ups, downs)
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - np.hypot(0.2, 0.2))
    assert found.high == pytest.approx(0.3 + np.hypot(0.1, 0.3))
    alike = difference_interval(first, second, ups, ups)
    assert (alike.low, alike.high) == pytest.approx((0.3, 0.5))


def test_the_difference_is_paired():
    generator = np.random.default_rng(6)
    good, y = planted(generator, 80, 20, 0.9, noise=0.2)
    worse = good + 0.8 * generator.normal(size=(80, 1))
    same = good * 3.0 + 1.0
    found = agreements({"good": good, "worse": worse, "same": same}, y, *families_and_logs(80, 20))
    made = difference(found["good"], found["worse"])
    for gap in (made.pearson, made.spearman, made.within):
        assert 0 < gap.low < gap.value < gap.high
        assert gap.excludes_zero
    assert made.spearman != made.pearson
    nothing = difference(found["good"], found["same"])
    for gap in (nothing.pearson, nothing.spearman, nothing.within):
        # Not exactly 0, because the intervals of r are not symmetric.
        assert -0.06 < gap.low < 1e-9
        assert -1e-9 < gap.high < 0.06


def test_what_families_explain_is_told_apart():
    """Two families that differ, and inside which nothing agrees."""
    generator = np.random.default_rng(7)
    family = np.repeat([0.0, 5.0], 100)
    x, y = (family + generator.normal(size=200) for _ in range(2))
    found = agreements({"x": x[:, None]}, y[:, None], [f"{v}" for v in family], ["log"], count=10)
    assert found["x"].pearson["joint"].value > 0.8
    assert abs(found["x"].within.value) < 0.2
    rows = np.array([[1.0, 3.0, 7.0], [2.0, 2.0, 5.0]])
    found = without_family_means(rows, np.array([0, 0, 1]))
    np.testing.assert_allclose(found, [[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def test_r_within_families_is_that_of_the_differences_from_their_means():
    generator = np.random.default_rng(10)
    x, y = planted(generator, 60, 12, 0.7, noise=0.3)
    families, logs = families_and_logs(60, 12, families=6)
    found = agreements({"x": x}, y, families, logs, count=200)["x"].within
    parts = [np.arange(start, 60, 6) for start in range(6)]
    left = [np.concatenate([v.mean(1)[rows] - v.mean(1)[rows].mean() for rows in parts]) for v in (x, y)]
    assert found.value == pytest.approx(stats.pearsonr(*left).statistic)
    assert found.low < found.value < found.high


def test_a_measure_that_does_not_vary_has_no_correlation():
    closed = np.random.default_rng(8).normal(size=(10, 4))
    found = agreements({"constant": np.full((10, 4), 0.3)}, closed, ["f"] * 10, ["log"] * 4, count=20)["constant"]
    assert np.isnan(found.pearson["joint"].value)
    assert np.isnan(found.within.value)
    assert np.isnan(difference(found, found).pearson.value)


def test_families_that_explain_everything_leave_nothing_to_agree():
    """0.1 + 0.1 + 0.1 divided by 3 is not 0.1: rounding must not count as variation between planners."""
    values, families = np.repeat([0.1, 0.7, 1.1], 3), ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert (np.repeat(np.bincount(np.repeat(range(3), 3), values) / 3, 3) != values).any()
    assert not without_family_means(values, np.repeat(range(3), 3)).any()
    found = agreements({"x": values[:, None]}, 2 * values[:, None], families, ["log"], count=5)["x"]
    assert found.pearson["planners"].value == pytest.approx(1.0)
    assert np.isnan(found.within.value)


def test_one_scene_group_or_two_logs_say_nothing_about_others():
    x, y = planted(np.random.default_rng(9), 30, 4, 0.7)
    families = families_and_logs(30, 4, families=5)[0]
    alone = agreements({"x": x[:, :1]}, y[:, :1], families, ["log"], count=50)["x"]
    two = agreements({"x": x}, y, families, ["one", "one", "two", "two"], count=50)["x"]
    for found in (alone, two):
        for side in ("joint", "scene_groups"):
            assert np.isfinite(found.pearson[side].value)
            assert np.isnan([found.pearson[side].low, found.r2[side].high, found.spearman[side].low]).all()
        assert found.pearson["planners"].low < found.pearson["planners"].value < found.pearson["planners"].high
        assert np.isnan(difference(found, found).pearson.low)
