import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from swerve.eval import State
from swerve.eval.scoring.comfort import (
    QUANTITIES,
    comfort_bounds_kept,
    extended_comfort,
    history_states,
    plan_differences,
    smoothed,
)


@given(
    st.integers(0, 2**31),
    st.sampled_from([36, 41, 55, 56]),
    st.sampled_from([(8, 2, 0), (15, 2, 1), (5, 3, 2), (5, 2, 2)]),
)
def test_filters_are_scipys(seed, length, window):
    values = np.random.default_rng(seed).normal(size=(3, length))
    size, order, derivative = window
    known = savgol_filter(values, size, order, deriv=derivative, delta=0.1, axis=1)
    np.testing.assert_allclose(smoothed(values, size, order, derivative), known, atol=1e-10)


def still(**columns):
    states = np.zeros((1, 41, 11))
    for name, value in columns.items():
        states[..., State[name]] = value
    return states


def kept(states):
    history = np.zeros((14, 11))
    return dict(zip(QUANTITIES, comfort_bounds_kept(states, history)[0], strict=True))


def test_each_bound_by_itself():
    ramp = np.linspace(0, 1, 41)
    assert all(kept(still()).values())
    assert not kept(still(ACCELERATION=3.0 * ramp))["longitudinal acceleration"]
    assert kept(still(ACCELERATION=-3.9 * ramp))["longitudinal acceleration"]
    assert not kept(still(LATERAL_ACCELERATION=6.0 * ramp))["lateral acceleration"]
    assert not kept(still(HEADING=4.0 * ramp))["yaw rate"]
    assert kept(still(HEADING=3.0 * np.cumsum(np.minimum(ramp * 4, 1)) / 41))["yaw rate"]
    assert not kept(still(HEADING=0.5 * np.sin(2 * np.pi * 2 * ramp)))["yaw acceleration"]


def test_a_bound_is_strict_after_rounding():
    constant = np.full((1, 41, 11), 0.0)
    constant[..., State.LATERAL_ACCELERATION] = 4.89
    assert not comfort_bounds_kept(constant, constant[0, :14])[0, 1]
    constant[..., State.LATERAL_ACCELERATION] = 4.8899
    assert comfort_bounds_kept(constant, constant[0, :14])[0, 1]


def test_turning_adds_to_longitudinal_acceleration_as_the_original_does():
    states = still(YAW_RATE=1.3)
    assert not kept(states)["longitudinal acceleration"]
    assert 1.461 * 1.3**2 > 2.4


def test_without_history_nothing_is_uncomfortable():
    assert comfort_bounds_kept(still(ACCELERATION=9.0), None).all()


@pytest.mark.parametrize(("span", "samples"), [(1_500_000, 14), (1_500_001, 15), (1_499_000, 14), (1_600_001, 16)])
def test_the_jitter_of_time_stamps_decides_how_long_history_is(span, samples):
    times = np.array([0, 500_000, 1_000_000, span])
    assert len(history_states(times, np.zeros((4, 3)), np.zeros((4, 2)))) == samples


def test_history_is_interpolated_by_the_shorter_turn():
    poses = np.array([[0, 0, 3.1], [1, 0, -3.1], [2, 0, -3.0], [3, 0, -2.9]])
    states = history_states(np.arange(4) * 500_000, poses, np.zeros((4, 2)))
    assert abs(states[3, State.HEADING]) > 3.1
    np.testing.assert_allclose(states[:, State.X], np.arange(14) * 0.2)


def test_a_plan_continued_is_comfortable_and_a_changed_mind_is_not():
    long = np.zeros((1, 46, 11))
    long[..., State.ACCELERATION] = np.sin(np.arange(46) / 9)
    before, now = long[:, :41], long[:, 5:]
    np.testing.assert_allclose(plan_differences(now, before, 5)[0, [2, 3]], 0, atol=1e-12)
    assert extended_comfort(now, before, 5)[0] == 1.0
    assert extended_comfort(now + 1.0, before, 5)[0] == 0.0
