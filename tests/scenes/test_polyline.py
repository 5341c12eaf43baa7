"""Polylines and their Frenet frame."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swerve.scenes.polyline import (
    arc_lengths,
    from_frenet,
    heading_at,
    interpolate_at,
    offset_line,
    remove_duplicate_points,
    resample,
    to_frenet,
)

CORNER = np.array([[0.0, 0.0, 1.0], [10.0, 0.0, 2.0], [10.0, 5.0, 3.0]])


def test_by_hand():
    np.testing.assert_allclose(arc_lengths(CORNER), [0, 10, 15])
    np.testing.assert_allclose(
        interpolate_at(CORNER, np.array([-1.0, 5.0, 12.0, 99.0])), [[0, 0, 1], [5, 0, 1.5], [10, 2, 2.4], [10, 5, 3]]
    )
    along, lateral = to_frenet(CORNER, np.array([[3.0, 1.0], [11.0, 3.0], [-2.0, -1.0]]))
    np.testing.assert_allclose(along, [3, 13, 0])
    np.testing.assert_allclose(lateral, [1, -1, -np.sqrt(5)])


def test_repeated_points_go_and_no_points_stay_none():
    np.testing.assert_array_equal(remove_duplicate_points(np.repeat(CORNER, 3, axis=0)), CORNER)
    assert remove_duplicate_points(CORNER[:1]).tolist() == CORNER[:1].tolist()
    assert remove_duplicate_points(CORNER[:0]).shape == (0, 3)


def test_resampled_lines_keep_ends_and_spacing():
    line = resample(CORNER, 0.4)
    np.testing.assert_allclose(line[[0, -1]], CORNER[[0, -1]])
    assert np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1).max() <= 0.4 + 1e-9


@given(st.floats(1.0, 30.0), st.floats(-3.0, 3.0))
def test_beside_inverts_frenet_on_an_arc(along, lateral):
    """On an arc of 40 m radius; vertices every 0.2 m put the chords within 0.1 mm of it."""
    angle = np.arange(0.0, 1.0, 0.2 / 40)
    arc = 40 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1)
    point = from_frenet(arc, np.array([along]), np.array([lateral]))
    back_along, back_lateral = to_frenet(arc, point)
    np.testing.assert_allclose([back_along[0], back_lateral[0]], [along, lateral], atol=0.01)
    np.testing.assert_allclose(heading_at(arc, np.array([along])), along / 40, atol=1e-3)


def test_an_offset_line_keeps_its_distance():
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    np.testing.assert_allclose(offset_line(square, 1.0), [[0, 1], [9, 1], [9, 10]])
