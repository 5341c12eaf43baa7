"""Scores do not depend on a scene's position in the world, or on the order of its tracks."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swerve.data.sources.neutral.log_origin import origin_of, seen_from
from swerve.data.sources.neutral.neutral_source import load_scenes
from swerve.eval import build_context, score
from swerve.eval.context.planar_geometry_kernels import well_inside
from swerve.eval.scoring.thresholds import OUTLINE
from swerve.scenes import Scene
from tests.support.moved_log import moved_log
from tests.support.neutral_document import document_of, shifted
from tests.support.random_log import random_log
from tests.support.simple_log import simple_log

FAR = (5e6, 5e6)
PLANS = np.stack(
    [
        np.column_stack([speed * time, side * np.minimum(time / 2.0, 1.0), np.zeros(8)])
        for time in [0.5 * np.arange(1, 9)]
        for speed in (0.5, 4.0, 8.0, 13.0, 20.0)
        for side in (0.0, 1.7, -2.3)
    ]
)
POLICIES = ("log-replay", "navsim-reactive", "lane-following")


def check_same_scores(scene, other, policy):
    one, two = (score(build_context(each), PLANS, policy=policy) for each in (scene, other))
    np.testing.assert_allclose(one.metrics, two.metrics, atol=1e-6)
    discrete = [column for column in range(one.raw.shape[1]) if set(np.unique(one.raw[:, column])) <= {0.0, 0.5, 1.0}]
    np.testing.assert_array_equal(one.raw[:, discrete], two.raw[:, discrete])
    np.testing.assert_allclose(one.pdm_score, two.pdm_score, atol=1e-6)


def rotated(log, by):
    """The log with its tracks' rows in another order."""
    rows = np.roll(np.arange(len(log.tracks)), by)
    return replace(log, tracks=log.tracks.select_tracks(rows))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_scene_far_away_scores_the_same(policy):
    log = simple_log()
    here, there = (Scene(one, 30, 20, 45) for one in (log, moved_log(rotated(log, 2), 0.0, FAR)))
    check_same_scores(here, there, policy)


@pytest.mark.parametrize("shift", [(0.0, 0.0), FAR, (664_430.37, 3_997_650.91)])
def test_what_is_on_a_slanting_outline_is_not_inside_wherever_it_is(shift):
    corners = np.array([[0.0, 0.0], [30.1, 7.3], [28.7, 11.9], [-1.4, 4.6]]) + shift
    edges = np.concatenate([corners, np.roll(corners, -1, axis=0)], axis=1)
    for share in np.linspace(0.0, 1.0, 101):
        x, y = corners[0] + share * (corners[1] - corners[0])
        assert not well_inside(edges, x, y, OUTLINE)
    middle = corners.mean(axis=0)
    assert well_inside(edges, middle[0], middle[1], OUTLINE)


@given(st.integers(0, 2**31), st.sampled_from(POLICIES))
@example(24, "navsim-reactive")  # a vehicle on a lane's outline
@example(105, "navsim-reactive")
@settings(max_examples=25, deadline=None)
def test_strange_scenes_far_away_score_the_same(seed, policy):
    log = random_log(seed)
    check_same_scores(Scene(log, 15, 15, 50), Scene(moved_log(log, 0.0, FAR), 15, 15, 50), policy)


def written(document, folder, name):
    """The only scene of a document that is written to a file and read again."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    (found,) = load_scenes(path).values()
    return found.scene


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 24, 105])
@pytest.mark.parametrize("shift", [FAR, (664_430.37, 3_997_650.91)])
def test_neutral_files_score_the_same_wherever_their_world_lies(seed, shift, tmp_path):
    """From the file to reactive scores: one file near zero, the same far from it with its tracks in another order."""
    log = simple_log() if seed is None else random_log(seed)
    near = document_of(log, ("0123456789abcdef", 20, 4, 8))
    far = shifted(near, shift)
    for frame in far["frames"]:
        frame["objects"] = frame["objects"][::-1]
    scenes = written(near, tmp_path, "near"), written(far, tmp_path, "far")
    tracks = scenes[1].log.tracks
    assert np.abs(tracks.positions[tracks.valid]).max(initial=0.0) < 1e5 < np.abs(far["frames"][0]["ego"]["x"])
    for policy in ("navsim-reactive", "lane-following"):
        check_same_scores(*scenes, policy)


@given(st.integers(0, 2**31), st.sampled_from(POLICIES), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_no_scene_depends_on_the_order_of_its_tracks(seed, policy, by):
    log = random_log(seed)
    check_same_scores(Scene(log, 15, 15, 50), Scene(rotated(log, by), 15, 15, 50), policy)


def test_a_far_log_is_seen_from_an_origin_of_whole_metres():
    log = simple_log()
    far = moved_log(log, 0.0, (664_430.3, 3_997_650.7))
    origin = origin_of(far.road_map.lanes[0].centerline[0])
    before = copy.deepcopy(far)
    near = seen_from(far, origin)
    np.testing.assert_array_equal(origin, np.round(origin))
    np.testing.assert_array_equal(near.origin, origin)
    np.testing.assert_allclose(near.ego.positions + origin, far.ego.positions, atol=1e-8)
    np.testing.assert_array_equal(far.ego.positions, before.ego.positions)
    for one, other in zip(near.road_map.lanes, far.road_map.lanes, strict=True):
        np.testing.assert_allclose(one.polygon + origin, other.polygon, atol=1e-8)
    assert np.abs(near.tracks.positions).max() < 1000.0
    assert seen_from(log, origin_of(log.road_map.lanes[0].centerline[0])) is log
