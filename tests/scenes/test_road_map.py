"""Properties derived from outlines and centrelines."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.scenes import Area, Lane

SQUARE = np.array([[1.0, 2, 7], [5, 2, 7], [5, 6, 7], [1, 6, 7]])
HOLE = np.array([[2.0, 3, 7], [3, 3, 7], [3, 4, 7]])
LINE = np.array([[0.0, 0, 1], [3, 4, 1], [3, 6, 9]])


def test_edges_close_every_ring():
    edges = Area("a", SQUARE, (HOLE,)).edges
    assert edges.tolist() == [
        [1, 2, 5, 2],
        [5, 2, 5, 6],
        [5, 6, 1, 6],
        [1, 6, 1, 2],
        [2, 3, 3, 3],
        [3, 3, 3, 4],
        [3, 4, 2, 3],
    ]


def test_bounds_are_of_the_outline():
    assert Area("a", SQUARE, (HOLE - 100,)).bounds.tolist() == [1, 2, 5, 6]


def test_a_lane_knows_lengths_and_headings_of_its_centerline():
    lane = Lane("a", LINE, SQUARE)
    assert lane.lengths.tolist() == [0, 5, 7]
    assert lane.headings == pytest.approx([np.arctan2(4, 3), np.pi / 2, np.pi / 2])


def test_a_changed_lane_forgets_what_followed_from_the_old_one():
    lane = Lane("a", LINE, SQUARE)
    before = lane.lengths, lane.edges, lane.bounds
    moved = replace(lane, centerline=2 * LINE, polygon=2 * SQUARE)
    assert moved.lengths.tolist() == [0, 10, 14]
    assert moved.edges.tolist() == (2 * before[1]).tolist()
    assert moved.bounds.tolist() == (2 * before[2]).tolist()
