"""Result tables: lossless round trip, and aggregation with other weightings."""

import json
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.eval import aggregate_two_stage, two_stage
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.results import RESULTS_VERSION, SCHEMA, read_results, result_rows
from swerve.eval.scoring.aggregate import COLUMNS
from swerve.scenes import SwerveError
from tests.support.simple_planners import Cruise, FailsAt
from tests.support.simple_scene_group import GROUP, simple_scene_group


@cache
def scene_groups():
    return evaluate_group(
        simple_scene_group(), {"cruise": Cruise(), "fails": FailsAt("now2", lambda: None)}, "log-replay"
    )


@pytest.fixture
def folder(tmp_path):
    pq.write_table(result_rows(scene_groups(), "navsim-exact"), tmp_path / "results.parquet")
    (tmp_path / "provenance.json").write_text(json.dumps({"version": RESULTS_VERSION, "planners": {"cruise": "a:B"}}))
    return tmp_path


@pytest.mark.parametrize("weighting", ["navsim-exact", "stable"])
def test_weighed_anew(folder, weighting):
    results = read_results(folder)
    assert results.planners == ("cruise", "fails")
    assert results.groups == (GROUP,)
    for scene_group in scene_groups():
        known = two_stage(scene_group.scenes, [GROUP], weighting)
        table = aggregate_two_stage(results.scores(scene_group.planner), results.groups, weighting)
        assert table.tokens == known.tokens
        for name in ("values", "weights", "stage_one", "stage_two", "combined", "effective_sample_sizes"):
            assert np.array_equal(getattr(table, name), getattr(known, name), equal_nan=True), name


def test_every_column(folder):
    scene_group, rows = scene_groups()[0], read_results(folder).of("cruise").to_pylist()
    table = two_stage(scene_group.scenes, [GROUP])
    assert [row["token"] for row in rows] == list(GROUP.tokens)
    assert [row["stage"] for row in rows] == [1, 1] + [2] * 10
    assert [row["frame"] for row in rows] == ["now", "before"] * 6
    assert [row["index"] for row in rows] == [-1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert {(row["planner"], row["log"], row["group_token"]) for row in rows} == {("cruise", "simple", "now")}
    for index, row in enumerate(rows):
        assert [row[name] for name in COLUMNS] == list(table.values[index])
        assert [row[f"raw_{name}"] for name in COLUMNS[:8]] == list(scene_group.raw[index])
        assert [row[f"human_filtered_{name}"] for name in COLUMNS[:8]] == list(scene_group.human_filtered[index])
        assert row["weight"] == table.weights[index]
        assert np.allclose([row["start_x"], row["start_y"], row["start_heading"]], scene_group.origins[index])
        assert np.allclose([row["end_x"], row["end_y"]], scene_group.scenes.ends[index])
        assert np.array_equal(np.reshape(row["path"], (41, 3)), scene_group.scenes.states[index, :, :3])
        assert np.array_equal(np.reshape(row["plan"], (8, 3)), scene_group.plans[index].poses)
        assert (row["plan_interval"], row["failed"], row["error"]) == (0.5, False, "")
        assert row["plan_seconds"] == scene_group.seconds[index]
        assert [reason["text"] for reason in row["reasons"]] == [reason.text for reason in scene_group.reasons[index]]
    assert rows[0]["reasons"][0]["metric"] == "traffic_light_compliance"


def test_a_failure_has_no_plan(folder):
    row = next(row for row in read_results(folder).of("fails").to_pylist() if row["failed"])
    assert row["token"] == "now2"
    assert "NoneType" in row["error"]
    assert (row["plan"], row["path"], row["plan_interval"], row["reasons"], row["score"]) == ([], [], None, [], 0.0)
    assert (row["end_x"], row["end_y"]) == (row["start_x"], row["start_y"])


def test_what_is_no_evaluation_is_an_error(tmp_path, folder):
    with pytest.raises(SwerveError, match="no results of planner 'nobody'; there are: cruise, fails"):
        read_results(folder).of("nobody")
    (folder / "provenance.json").unlink()
    with pytest.raises(SwerveError, match="no results of an evaluation"):
        read_results(folder)
    with pytest.raises(SwerveError, match="Run `swerve evaluate` first"):
        read_results(tmp_path / "nowhere")


def test_an_evaluation_of_another_version_is_refused(folder):
    path, message = folder / "provenance.json", f"this is version {RESULTS_VERSION}. Evaluate again into another folder"
    path.write_text(json.dumps({"version": RESULTS_VERSION + 1}))
    with pytest.raises(SwerveError, match=f"evaluation of version {RESULTS_VERSION + 1}, {message}"):
        read_results(folder)
    path.rename(folder / "provenance.json")
    (folder / "provenance.json").write_text(json.dumps({"planners": {"cruise": "a:B"}}))
    with pytest.raises(SwerveError, match=f"evaluation of version 1, {message}"):
        read_results(folder)


def test_no_column_without_meaning():
    """Every column is explained."""
    from pathlib import Path

    text = (Path(__file__).parents[4] / "docs" / "evaluate.md").read_text()
    plain = [name for name in SCHEMA.names if not name.startswith(("raw_", "human_filtered_")) and name not in COLUMNS]
    assert [name for name in plain if f"`{name}`" not in text] == []
