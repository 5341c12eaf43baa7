"""Orders recorded from `numpy.argsort(values, kind="quicksort")` of NumPy 1.23.4."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.sources.nuplan.unstable_argsort import argsort_as_numpy_1

RECORDED = {
    "2303122130112100": [2, 9, 14, 15, 4, 7, 10, 11, 13, 0, 5, 6, 12, 1, 3, 8],
    "00030230111303330": [0, 12, 7, 4, 16, 2, 1, 9, 10, 8, 5, 6, 15, 11, 13, 14, 3],
    "3646660959238103618325888307770053492532": [
        *(31, 30, 26, 6, 14, 17, 13, 39, 36, 20, 10, 33, 25, 38, 15, 0, 19, 11, 34, 2, 37, 8, 21, 32, 1, 3, 4, 16),
        *(5, 28, 29, 27, 24, 23, 22, 18, 12, 7, 35, 9),
    ],
}


@pytest.mark.parametrize("digits", RECORDED)
def test_equal_values_stand_in_the_recorded_order(digits):
    values = np.array([float(digit) for digit in digits])
    assert argsort_as_numpy_1(values).tolist() == RECORDED[digits]


@given(st.lists(st.integers(0, 9), max_size=300))
def test_sorts(values):
    values = np.array(values, dtype=float)
    order = argsort_as_numpy_1(values)
    assert sorted(order.tolist()) == list(range(len(values)))
    assert (np.diff(values[order]) >= 0).all()
