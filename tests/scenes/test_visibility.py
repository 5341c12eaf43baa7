"""What is seen of boxes behind other boxes, by hand."""

import numpy as np
import pytest

from swerve.scenes import ObjectClass, Tracks
from swerve.scenes.visibility import visible_shares

EYE = np.array([[0.0, 0.0, 1.5]])


def boxes(*rows) -> Tracks:
    """Return tracks of one step: (x, y, heading, length, width, height), on the ground."""
    values = np.array(rows, float)
    count = len(values)
    return Tracks(
        ids=tuple(str(row) for row in range(count)),
        classes=np.full(count, ObjectClass.VEHICLE, np.uint8),
        positions=np.column_stack([values[:, :2], values[:, 5] / 2])[:, None],
        headings=values[:, 2:3],
        sizes=values[:, None, 3:],
        velocities=np.zeros((count, 1, 2)),
        valid=np.ones((count, 1), bool),
    )


PEDESTRIAN = (20.0, 0.0, 0.0, 0.6, 0.6, 1.8)
VAN = (12.0, 0.0, 0.0, 6.0, 2.0, 2.8)


def test_a_van_hides_who_stands_behind_it_and_is_seen_itself():
    np.testing.assert_array_equal(visible_shares(boxes(PEDESTRIAN, VAN), EYE)[:, 0], [0.0, 1.0])


def test_who_stands_beside_the_line_through_a_van_is_seen():
    aside = (20.0, 3.0, *PEDESTRIAN[2:])
    np.testing.assert_array_equal(visible_shares(boxes(aside, VAN), EYE)[:, 0], [1.0, 1.0])


def test_a_turned_van_hides_as_much_as_it_is_wide():
    """Across, its near side reaches 3 m to each side at 11 m, which is 5.45 m at 20 m."""
    aside, across = (20.0, 4.5, *PEDESTRIAN[2:]), (12.0, 0.0, np.pi / 2, *VAN[3:])
    assert visible_shares(boxes(aside, across), EYE)[0, 0] == 0.0
    assert visible_shares(boxes((20.0, 5.9, *PEDESTRIAN[2:]), across), EYE)[0, 0] == 1.0


def test_heads_are_seen_over_what_is_lower_than_the_eye():
    """A wall of 1 m at 10 m hides what is below 0.5 m at 20 m: the lowest of 0.36, 0.9 and 1.71 m."""
    wall = (10.0, 0.0, np.pi / 2, 6.0, 0.2, 1.0)
    assert visible_shares(boxes(PEDESTRIAN, wall), EYE)[0, 0] == pytest.approx(2 / 3)


def test_a_corner_is_hidden_by_what_is_farther_than_the_middle_of_its_box():
    """Of a bus across at 10 m, a corner at (9, 7.2) is 11.5 m away: a post before it, 10.9 m away, hides its points."""
    bus, post = (10.0, 0.0, np.pi / 2, 18.0, 2.5, 3.0), (9.0 * 0.95, 7.2 * 0.95, 0.0, 0.1, 0.1, 4.0)
    assert visible_shares(boxes(bus, post), EYE)[0, 0] == pytest.approx(12 / 15)


def test_what_is_far_or_not_there_is_not_seen():
    tracks = boxes(PEDESTRIAN, (0.0, 15.0, 0.0, 4.0, 2.0, 1.5))
    np.testing.assert_array_equal(visible_shares(tracks, EYE, reach=16.0)[:, 0], [0.0, 1.0])
    tracks.valid[1] = False
    np.testing.assert_array_equal(visible_shares(tracks, EYE)[:, 0], [1.0, 0.0])


def test_a_van_that_is_not_there_hides_nobody():
    tracks = boxes(PEDESTRIAN, VAN)
    tracks.valid[1] = False
    assert visible_shares(tracks, EYE)[0, 0] == 1.0
