"""A plan follows from its pilot by arithmetic, and a pilot's plan for its own parts is what the job makes."""

from dataclasses import replace

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.augment_plan import Pilot, plan_augment, run_pilot
from tests.support.simple_source import SimpleSource

PILOT = Pilot(
    logs=2,
    parts=4,
    scenes=16,
    samples=64,
    open_seconds=2.0,
    part_seconds=8.0,
    part_bytes=1_600_000.0,
    record_bytes=6_000.0,
    log_scenes=40.0,
    row_seconds=1e-4,
)


def test_one_core_by_hand():
    """40 logs of 40 scenes at 2 s and 4 samples each; parts of 8 scenes, twice the pilot's, 5 for each log."""
    plan = plan_augment(PILOT, 40, None, 8, 1, 1)
    assert (plan.logs, plan.scenes, plan.parts, plan.samples) == (40, 1600, 200, 6400)
    assert plan.bytes == pytest.approx(6400 * 1.6e6 * 4 / 64)
    assert plan.core_seconds == pytest.approx(1600 * 2.0 + 40 * 2.0)
    assert plan.finish_seconds == pytest.approx(0.64)
    assert plan.wall_seconds == pytest.approx(plan.core_seconds + 0.64)
    assert plan.gets == 240


def test_more_workers_than_parts_are_of_no_use():
    few, many = (plan_augment(PILOT, 40, None, 8, nodes, 10) for nodes in (20, 200))
    assert few.wall_seconds == pytest.approx(16.0 + 2.0 + 0.64)  # one part, one log
    assert many.wall_seconds == pytest.approx(few.wall_seconds)


def test_large_shards_are_put_in_pieces():
    small = plan_augment(PILOT, 40, None, 8, 1, 1)
    large = plan_augment(replace(PILOT, part_bytes=2e8), 40, None, 8, 1, 1)
    assert large.puts - small.puts == 200 * 9  # of 400 MB: eight pieces of 50 MiB and two more, not one


def test_other_numbers_of_scenes_scale():
    once, twice = (plan_augment(PILOT, 40, scenes, 8, 1, 1) for scenes in (1600, 3200))
    assert twice.samples == 2 * once.samples
    assert twice.bytes == pytest.approx(2 * once.bytes)


def test_a_pilot_of_all_parts_counts_what_the_job_makes(tmp_path):
    source, options = SimpleSource(("train-a", "val-b")), AugmentOptions(scene_interval=4.0, shard_scenes=1)
    pilot = run_pilot([source], tmp_path / "pilot", options, 100)
    plan = plan_augment(pilot, 2, None, 1, 1, 1)
    report = augment([source], tmp_path / "set", options, workers=1)
    assert plan.samples == report.summary["samples"]
    assert plan.parts == pilot.parts == report.summary["shards"]
    assert plan.bytes == pytest.approx(report.summary["bytes"])
    assert pilot.part_seconds > 0
    assert plan.core_seconds > pilot.parts * pilot.part_seconds
