from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.eval import GroupTokens, ScoredScenes, epdms, one_stage, proximity_weights, two_stage
from swerve.eval.scoring.aggregate import COLUMNS
from swerve.eval.scoring.score_tables import one_stage_rows, provenance, two_stage_rows, write_rows
from swerve.scenes import SwerveError

SCORE, COMFORT = COLUMNS.index("score"), COLUMNS.index("two_frame_extended_comfort")


def frames(tokens, metrics=None, times=None, starts=None, ends=None):
    count = len(tokens)
    states = np.zeros((count, 41, 11))
    states[:, :, 0] = np.arange(41)
    return ScoredScenes(
        tuple(tokens),
        ("log",) * count,
        np.array(times if times is not None else np.arange(count) * 10**7, np.int64),
        np.ones((count, 8)) if metrics is None else np.array(metrics, float),
        states,
        np.zeros((count, 2)) if starts is None else np.array(starts, float),
        np.zeros((count, 2)) if ends is None else np.array(ends, float),
    )


def hand_worked():
    """One group with two pairs; the second pair's scene now collides, and lies 0.3 m from the plan's end."""
    metrics = np.ones((6, 8))
    metrics[4, 0] = 0.0
    times = np.array([500_000, 0, 4_500_000, 4_000_000, 4_500_000, 4_000_000])
    starts = np.array([[0, 0], [0, 0], [10, 0], [10, 0], [10.3, 0], [10.3, 0]])
    ends = np.array([[10, 0], [10, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    group = GroupTokens("now", "before", (("a", "b"), ("c", "d")))
    return frames(["now", "before", "a", "b", "c", "d"], metrics, times, starts, ends), group


def test_two_stages_by_hand():
    table = two_stage(hand_worked()[0], [hand_worked()[1]])
    near, far = 1.0, np.exp(-0.09 / 0.2)
    share = near / (near + far)
    assert table.weights.tolist() == pytest.approx([1, 1, share, share, 1 - share, 1 - share])
    assert table.score == pytest.approx((share + 1.0) / 2)
    assert table.effective_sample_sizes[0] == pytest.approx([1 / (share**2 + (1 - share) ** 2)] * 2)
    assert (table.values[:, COMFORT] == 1.0).all()


def test_the_order_of_frames_does_not_matter():
    given_frames, group = hand_worked()
    order = [3, 0, 5, 1, 4, 2]
    shuffled = ScoredScenes(
        tuple(given_frames.tokens[row] for row in order),
        given_frames.logs,
        *(getattr(given_frames, name)[order] for name in ("times_us", "metrics", "states", "starts", "ends")),
    )
    np.testing.assert_array_equal(two_stage(given_frames, [group]).combined, two_stage(shuffled, [group]).combined)


def test_far_from_all_scenes_the_shipped_weights_are_uniform_and_the_stable_ones_are_not():
    starts = np.array([[2.0, 0.0], [2.1, 0.0], [9.0, 0.0]])
    shipped = proximity_weights(np.zeros(2), starts, "navsim-exact")
    assert shipped.tolist() == pytest.approx([1 / 3] * 3)
    stable = proximity_weights(np.zeros(2), starts, "stable")
    assert stable[0] == pytest.approx(1 / (1 + np.exp(-(2.1**2 - 4) / 0.2)))
    assert stable[2] < 1e-30


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8))
def test_close_by_both_weightings_agree(starts):
    a, b = (proximity_weights(np.zeros(2), np.array(starts), name) for name in ("navsim-exact", "stable"))
    np.testing.assert_allclose(a, b, atol=1e-12)
    assert a.sum() == pytest.approx(1.0)


def test_missing_frames_are_named():
    """NAVSIM finds an incomplete set only at the end, with a KeyError or without any table."""
    given_frames, group = hand_worked()
    larger = GroupTokens("now", "before", (*group.follow_ups, ("lost1", "lost2")))
    with pytest.raises(SwerveError, match="2 scenes have no scores: lost1, lost2"):
        two_stage(given_frames, [larger])


def test_invalid_frames_are_named():
    """One failed frame makes NAVSIM's whole run end without a table."""
    given_frames, group = hand_worked()
    metrics = given_frames.metrics.copy()
    metrics[3, 2] = np.nan
    with pytest.raises(SwerveError, match="1 scenes have sub-scores that are not finite: b"):
        two_stage(replace(given_frames, metrics=metrics), [group])
    with pytest.raises(SwerveError, match="not finite: b"):
        one_stage(replace(given_frames, metrics=metrics))


def test_pairs_that_are_no_neighbours_and_repeated_tokens_are_refused():
    given_frames, group = hand_worked()
    with pytest.raises(SwerveError, match=r"scenes before and now are 4\.000 s apart"):
        two_stage(replace(given_frames, times_us=given_frames.times_us + np.array([3_500_000, 0, 0, 0, 0, 0])), [group])
    with pytest.raises(SwerveError, match="used more than once: a, b"):
        two_stage(given_frames, [GroupTokens("now", "before", (("a", "b"), ("a", "b")))])
    with pytest.raises(SwerveError, match="no groups"):
        two_stage(given_frames, [])


def test_single_stage_compares_neighbours_only():
    times = [0, 500_000, 1_000_000, 3_000_000]
    table = one_stage(frames("abcd", times=times))
    assert np.isnan(table.values[:, COMFORT]).tolist() == [True, False, False, True]
    assert table.combined[COMFORT] == 1.0
    assert table.score == 1.0


def test_epdms_weights():
    metrics = np.array([1, 1, 1, 1, 0.5, 1, 0, 1.0])
    assert epdms(metrics, np.array(0.0)) == pytest.approx((2.5 + 5 + 2) / 16)
    assert epdms(metrics, np.array(np.nan)) == pytest.approx((2.5 + 5 + 2) / 14)
    metrics[2] = 0.5
    assert epdms(metrics, np.array(1.0)) == pytest.approx(0.5 * (2.5 + 5 + 2 + 2) / 16)


def test_tables_have_navsims_columns(tmp_path):
    given_frames, group = hand_worked()
    rows = two_stage_rows(two_stage(given_frames, [group]), {"now", "before"})
    assert [row["token"] for row in rows[-3:]] == [
        "extended_pdm_score_stage_one",
        "extended_pdm_score_stage_two",
        "extended_pdm_score_combined",
    ]
    assert rows[0]["lane_keeping_stage_two"] is None
    write_rows(tmp_path / "two.csv", rows, provenance("log-replay", "stable"))
    head, first = (tmp_path / "two.csv").read_text().splitlines()[:2]
    assert head.startswith(",token,valid,no_at_fault_collisions_stage_one,")
    assert first.startswith("0,now,True,1.0,")
    write_rows(tmp_path / "one.parquet", one_stage_rows(one_stage(given_frames)), provenance("log-replay", None))
    assert (tmp_path / "one.parquet").stat().st_size > 0
    with pytest.raises(SwerveError, match=r"written as \.csv or \.parquet"):
        write_rows(tmp_path / "one.txt", rows, {})
