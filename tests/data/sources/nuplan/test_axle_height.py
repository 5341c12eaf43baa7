"""The height of the rear axle, from the bottoms of vehicles near the driven path."""

import numpy as np
import pytest

from swerve.data.sources.nuplan.axle_height import estimate_axle_height

PATH = np.column_stack([np.arange(50.0), np.zeros(50), np.full(50, 10.0)])


def test_it_is_the_median_over_tracks_of_the_path_above_the_bottoms():
    tracks = ["a"] * 10 + ["b", "c"]
    heights = np.array([0.30] * 10 + [0.34, 0.50])
    bottoms = np.column_stack([np.linspace(5, 40, 12), np.full(12, 3.0), 10.0 - heights])
    assert estimate_axle_height(PATH, bottoms, tracks) == pytest.approx(0.34)


def test_far_vehicles_tell_nothing():
    bottoms = np.array([[20.0, 5.1, 9.7], [-10.0, 0.0, 9.7]])
    assert estimate_axle_height(PATH, bottoms, ["a", "b"]) == 0.36
    assert estimate_axle_height(PATH, np.zeros((0, 3)), []) == 0.36


@pytest.mark.parametrize(("above", "expected"), [(-1.0, 0.2), (3.0, 0.6)])
def test_it_is_a_wheels(above, expected):
    assert estimate_axle_height(PATH, np.array([[20.0, 1.0, 10.0 - above]]), ["a"]) == expected
