"""One scene group: chosen starts, dropped groups, and lossless storage."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.build.make_scene_group import build_scene_group
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.schedule import scene_at
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import logged
from swerve.scenes.viewpoints.follow_up import FollowUpOptions, build_trajectory_bank, follow_ups
from tests.support.geometries import geometry_of
from tests.support.simple_source import small_log
from tests.support.town_logs import moments_by_command, town

NOW = 20
GRID = FollowUpOptions()


@cache
def road():
    """One log for all tests, with its path and geometry computed once."""
    return small_log()


def made(log, options=None):
    geometry = geometry_of(log)
    return build_scene_group(
        NOW, geometry, build_trajectory_bank(geometry, GRID), options or BuildOptions(traffic="log-replay"), Stopwatch()
    )


def test_every_start_point_is_used_or_rejected():
    log = road()
    geometry = geometry_of(log)
    found = follow_ups(scene_at(log, NOW), geometry, build_trajectory_bank(geometry, GRID), GRID)
    for most in (5, 10, 1000):
        scene_group = made(log, BuildOptions(traffic="log-replay", max_follow_ups=most))
        used = [start.index for start in scene_group.record.starts]
        assert used == sorted(used)
        assert len(used) <= most
        assert sorted(used + [index for index, _ in scene_group.rejected]) == [one.index for one in found]
        assert ("over_cap" in {reason for _, reason in scene_group.rejected}) == (len(used) == most)


def test_those_with_a_human_history_come_first_and_the_seed_chooses_among_equals():
    log = road()
    everything = made(log, BuildOptions(traffic="log-replay", max_follow_ups=1000)).record.starts
    human = sum(start.origin == "bank" for start in everything)
    assert 0 < human < len(everything) - 3
    few = BuildOptions(traffic="log-replay", max_follow_ups=human + 3)
    chosen = [
        {(start.index, start.origin) for start in made(log, replace(few, seed=seed)).record.starts}
        for seed in (0, 0, 1)
    ]
    for starts in chosen:
        assert sum(origin == "bank" for _, origin in starts) == human
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_car_where_the_starts_are_rejects_them_and_too_few_are_no_case():
    """A vehicle of 100 m, across all rows of the grid. At the group's own step it is absent: else it would be left
    out."""
    log = road()
    positions, sizes = log.tracks.positions.copy(), log.tracks.sizes.copy()
    positions[3], sizes[3] = [*log.ego.positions[NOW + 40, :2], 1.0], [100.0, 6.0, 2.0]
    blocked = replace(log, tracks=replace(log.tracks, positions=positions, sizes=sizes))
    valid = log.tracks.valid.copy()
    valid[3, : NOW + 30] = False
    blocked = replace(blocked, tracks=replace(blocked.tracks, valid=valid))
    scene_group = made(blocked)
    assert (scene_group.record, scene_group.drop_reason) == (None, "few_follow_ups")
    assert {reason for _, reason in scene_group.rejected} - {"infeasible", "beyond_log", "no_match"} == {"collision"}


def test_a_moment_that_cannot_be_scored_says_why():
    scene_group = made(replace(road(), route=("nowhere",)))
    assert (scene_group.record, scene_group.drop_reason, scene_group.rejected) == (None, "unscorable", ())
    assert "no lane group of the route is in the map" in scene_group.message


def test_only_tracks_that_are_there_are_kept():
    log = road()
    valid = log.tracks.valid.copy()
    valid[4, NOW + 10 :] = False
    scene_group = made(replace(log, tracks=replace(log.tracks, valid=valid)))
    assert scene_group.record.tracks.ids == tuple(np.delete(np.array(log.tracks.ids), 4))
    assert scene_group.record.tracks.valid.shape[1] == 61


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"min_follow_ups": 0}, "min_follow_ups: 0 must lie between 1 and"),
        ({"min_follow_ups": 6, "max_follow_ups": 5}, "min_follow_ups: 6 must .* max_follow_ups, 5"),
        ({"scene_interval": 0.0}, "scene_interval: 0.0 must lie between"),
        ({"size": (0, 10)}, "size: 0x10 must be"),
        ({"follow_up": FollowUpOptions(horizon=5.0)}, "horizon of a benchmark must be 4 s"),
    ],
)
def test_options_out_of_range_are_refused(wrong, complaint):
    with pytest.raises(SwerveError, match=complaint):
        BuildOptions(**wrong)


def test_the_command_at_the_experts_own_end_is_what_the_log_is_told_there():
    log = town(0)
    geometry = geometry_of(log)
    bank, ends = build_trajectory_bank(geometry, GRID), moments_by_command(geometry)
    assert len(ends) > 1  # a command that never changes would be told right by chance
    for command, moment in ((command, end - 40) for command, end in ends.items()):
        scene_group = build_scene_group(moment, geometry, bank, BuildOptions(traffic="log-replay"), Stopwatch())
        own = scene_group.record.starts[0]
        assert (own.index, own.parameters["lateral"], own.parameters["longitudinal"]) == (0, 0.0, 0.0)
        assert own.command == logged(scene_at(log, moment + 40), geometry).command
        assert own.previous_command == logged(scene_at(log, moment + 35), geometry).command
        assert own.command == command
