"""Sampling order of batches."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.stream import ImageFit, Part, StreamOptions
from swerve.data.stream.order import PartOrder, batch_start
from swerve.data.stream.stream_options import shared_out
from swerve.scenes import SwerveError

FIT = ImageFit((64, 36))
ROWS = np.arange(100, 117)


@pytest.mark.parametrize(
    ("total", "shares", "counts"),
    [
        (10, (0.5, 0.3, 0.2), (5, 3, 2)),
        (10, (1.0, 1.0, 1.0), (4, 3, 3)),
        (16, (0.15, 0.48, 0.015, 0.355), (2, 8, 0, 6)),  # 2.4, 7.68, 0.24, 5.68: the two seats go to .68
        (7, (3.0, 3.0, 1.0), (3, 3, 1)),
        (3, (0.1, 0.2, 0.7), (0, 1, 2)),  # 0.3, 0.6, 2.1
    ],
)
def test_largest_remainders_by_hand(total, shares, counts):
    assert shared_out(total, shares) == counts


@given(st.integers(1, 300), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_shares_are_met_to_less_than_one_sample(total, shares):
    counts = shared_out(total, shares)
    assert sum(counts) == total
    assert (np.abs(counts - total * np.array(shares) / np.sum(shares)) < 1).all()


@given(st.integers(0, 200), st.integers(1, 40))
def test_every_pass_takes_every_sample_once(first, count):
    order = PartOrder(Part("recovery"), ROWS, seed=3)
    passes = [order.at(turn * len(ROWS), len(ROWS)) for turn in range(-(-(first + count) // len(ROWS)))]
    assert all(sorted(one) == ROWS.tolist() for one in passes)
    np.testing.assert_array_equal(order.at(first, count), np.concatenate(passes)[first : first + count])


def test_passes_parts_and_seeds_have_orders_of_their_own():
    orders = [PartOrder(Part(name), ROWS, seed) for name in ("recovery", "cross_agent") for seed in (0, 1)]
    seen = {tuple(order.at(turn * len(ROWS), len(ROWS))) for order in orders for turn in range(3)}
    assert len(seen) == 12


def test_ranks_share_a_pass_without_overlap():
    order, count, world = PartOrder(Part("recovery"), np.arange(24), 0), 2, 3
    taken = Counter()
    for step in range(4):
        for rank in range(world):
            taken.update(order.at(batch_start(step, rank, world, count), count).tolist())
    assert taken == Counter(range(24))


def test_a_limit_takes_some_of_those_of_a_larger_limit():
    chosen = [set(PartOrder(Part("recovery", limit=n), ROWS, 5).at(0, n).tolist()) for n in (3, 8, 17)]
    assert [len(one) for one in chosen] == [3, 8, 17]
    assert chosen[0] < chosen[1] < chosen[2]
    assert chosen[0] != set(PartOrder(Part("recovery", limit=3), ROWS, 6).at(0, 3).tolist())
    assert len(PartOrder(Part("recovery", limit=99), ROWS, 5)) == len(ROWS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": ()}, "at least one part"),
        ({"parts": (Part("paired"), Part("paired"))}, "a part is named twice in paired, paired"),
        ({"parts": (Part("paired"),), "cameras": ("a", "a")}, "a camera is named twice"),
        ({"parts": (Part("paired"), Part("recovery", 0.01)), "batch_size": 8}, "no room for the share of recovery"),
    ],
)
def test_options_that_make_no_batch_are_refused(arguments, message):
    with pytest.raises(SwerveError, match=message):
        StreamOptions(fit=FIT, **arguments)


@pytest.mark.parametrize("arguments", [{"share": 0.0}, {"limit": 0}, {"share": float("nan")}])
def test_numbers_of_a_part_are_positive(arguments):
    with pytest.raises(SwerveError, match="must be above 0"):
        Part("paired", **arguments)
