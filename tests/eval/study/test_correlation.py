import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from swerve.eval.study.correlation import (
    agreements,
    difference,
    draw_resamples,
    pearson,
    ranks,
    resample,
    resampling_units,
    without_family_means,
)


def planted(generator, planners, cases, correlation, noise=0.0):
    """A measure and a truth whose means have a given correlation, both with independent noise in each scene group."""
    x = generator.normal(size=planners)
    y = correlation * x + np.sqrt(1 - correlation**2) * generator.normal(size=planners)
    shape = (planners, cases)
    return tuple(v[:, None] + noise * generator.normal(size=shape) for v in (x, y))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12))
def test_correlations_are_scipys(pairs):
    x, y = np.array(pairs, float).T
    np.testing.assert_array_equal(ranks(x), stats.rankdata(x))
    if np.ptp(x) and np.ptp(y):
        assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert pearson(ranks(x), ranks(y)) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    else:
        assert np.isnan(pearson(x, y))


def test_ranks_of_many_rows_at_once():
    values = np.random.default_rng(0).integers(0, 9, (50, 20)).astype(float)
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values, axis=1))


def test_a_planted_correlation_is_found_within_its_interval():
    x, y = planted(np.random.default_rng(1), 400, 30, 0.8, noise=0.1)
    found = agreements({"planted": x, "other way": -x}, y, ["one"] * 400, [f"log{i}" for i in range(30)])
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
    drawn = draw_resamples(5, ["a", "b", "c", "d"], "joint", 7, seed=3)
    times = np.rint(drawn.group_weights * 4).astype(int)
    assert (times.sum(axis=1) == 4).all()
    for means, rows, counts in zip(resample(values, drawn), drawn.planners, times, strict=True):
        cases = np.repeat(np.arange(4), counts)
        np.testing.assert_allclose(means, [values[row, cases].mean() for row in rows])


def test_each_kind_of_interval_resamples_what_it_says():
    planners, cases = (draw_resamples(6, ["x"] * 5, kind, 9, seed=0) for kind in ("planners", "scene_groups"))
    assert (planners.group_weights == 0.2).all()
    assert (cases.planners == np.arange(6)).all()
    assert len(np.unique(cases.group_weights)) > 2
    assert len(np.unique(planners.planners, axis=0)) == 9


def test_cases_of_a_log_are_drawn_together_where_logs_are_many():
    few, many = ["a", "b", "a"], [f"log{i // 2}" for i in range(20)]
    assert resampling_units(few).tolist() == [0, 1, 2]
    units = resampling_units(many)
    assert len(set(units)) == 10
    weights = draw_resamples(3, many, "scene_groups", 50, seed=0).group_weights
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_intervals_cover_what_they_should():
    """120 populations of a Gaussian model: 95 % intervals hold the truth in 88 to 99 % of them."""
    generator, hits = np.random.default_rng(4), 0
    for trial in range(120):
        x, y = planted(generator, 80, 1, 0.7)
        found = agreements({"x": x}, y, ["f"] * 80, ["log"], resampled=["planners"], count=200, seed=trial)
        interval = found["x"].pearson["planners"]
        hits += interval.low <= 0.7 <= interval.high
    assert 0.88 <= hits / 120 <= 0.99


def test_intervals_over_cases_cover_what_they_should():
    """Fixed population with known true means; only scene groups are resampled. Percentile intervals fail this test."""
    generator, hits = np.random.default_rng(5), 0
    x, y = planted(generator, 40, 1, 0.6)
    truth = stats.pearsonr(x[:, 0], y[:, 0]).statistic
    for trial in range(120):
        # Scene effects that all planners share cancel; those of single planners do not.
        shared = generator.normal(size=40)
        noisy = [v + shared + 0.6 * generator.normal(size=(40, 40)) for v in (x, y)]
        found = agreements({"x": noisy[0]}, noisy[1], ["f"] * 40, [f"{i}" for i in range(40)], count=200, seed=trial)
        interval = found["x"].pearson["scene_groups"]
        hits += interval.low <= truth <= interval.high
    assert 0.88 <= hits / 120 <= 0.99


def test_the_difference_is_paired():
    generator = np.random.default_rng(6)
    good, y = planted(generator, 80, 20, 0.9, noise=0.2)
    worse = good + 0.8 * generator.normal(size=(80, 1))
    same = good * 3.0 + 1.0
    logs = [f"{i}" for i in range(20)]
    found = agreements({"good": good, "worse": worse, "same": same}, y, ["f"] * 80, logs)
    made = difference(found["good"], found["worse"])
    for gap in (made.pearson, made.spearman):
        assert gap.share > 0.99
        assert 0 < gap.estimate.low < gap.estimate.value < gap.estimate.high
    assert made.spearman.estimate != made.pearson.estimate
    nothing = difference(found["good"], found["same"])
    for gap in (nothing.pearson, nothing.spearman):
        assert max(abs(gap.estimate.low), abs(gap.estimate.high)) < 1e-12


def test_what_families_explain_is_told_apart():
    """Two families that differ, and inside which nothing agrees."""
    generator = np.random.default_rng(7)
    family = np.repeat([0.0, 5.0], 100)
    x, y = (family + generator.normal(size=200) for _ in range(2))
    found = agreements({"x": x[:, None]}, y[:, None], [f"{v}" for v in family], ["log"], count=10)
    assert found["x"].pearson["joint"].value > 0.8
    assert abs(found["x"].within) < 0.2
    np.testing.assert_allclose(without_family_means(np.array([1.0, 3.0, 7.0]), ["a", "a", "b"]), [-1.0, 1.0, 0.0])


def test_a_measure_that_does_not_vary_has_no_correlation():
    closed = np.random.default_rng(8).normal(size=(10, 4))
    found = agreements({"constant": np.full((10, 4), 0.3)}, closed, ["f"] * 10, ["log"] * 4, count=20)["constant"]
    assert np.isnan(found.pearson["joint"].value)
    assert np.isnan(found.within)
    assert np.isnan(difference(found, found).pearson.share)


def test_families_that_explain_everything_leave_nothing_to_agree():
    """0.1 + 0.1 + 0.1 divided by 3 is not 0.1: rounding must not count as variation between planners."""
    values, families = np.repeat([0.1, 0.7, 1.1], 3), ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert (np.repeat(np.bincount(np.repeat(range(3), 3), values) / 3, 3) != values).any()
    assert not without_family_means(values, families).any()
    found = agreements({"x": values[:, None]}, 2 * values[:, None], families, ["log"], count=5)["x"]
    assert found.pearson["planners"].value == pytest.approx(1.0)
    assert np.isnan(found.within)


def test_a_single_case_says_nothing_about_others():
    x, y = planted(np.random.default_rng(9), 30, 1, 0.7)
    found = agreements({"x": x}, y, ["f"] * 30, ["log"], count=50)["x"]
    for kind in ("joint", "scene_groups"):
        assert np.isfinite(found.pearson[kind].value)
        assert np.isnan([found.pearson[kind].low, found.r2[kind].high, found.spearman[kind].low]).all()
    assert found.pearson["planners"].low < found.pearson["planners"].value < found.pearson["planners"].high
    assert np.isnan(difference(found, found).pearson.share)
