"""NAVSIM's splits as benchmarks: complete, partial and damaged; and the command's tables against NAVSIM's."""

import csv
import html
import shutil
from dataclasses import replace

import numpy as np
import pytest

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scoring_map import CONNECTOR_POLYGONS
from swerve.data.sources.nuplan.map_objects import MapLayer
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.data.storage.files import safe_name
from swerve.eval.benchmark.evaluate.results import read_one_stage_results, read_results
from swerve.eval.benchmark.navsim_benchmark import open_navsim_benchmark
from swerve.eval.planner_process import PlannerLimits
from swerve.evaluation import evaluate_planners
from swerve.options.evaluate import EvaluateOptions
from swerve.planners.baselines.kinematic import Stationary
from swerve.scenes import LogError, SwerveError, notices
from swerve.scenes.viewpoints import Command
from tests.support.nuplan_files import nuplan_archives, unpack
from tests.support.seeing_planners import Reddish

NOW = "adcf7d18f0020000"


@pytest.fixture(scope="module")
def archives():
    return nuplan_archives()


@pytest.fixture(scope="module")
def whole(archives, tmp_path_factory):
    return unpack(archives, tmp_path_factory.mktemp("navsim"))


@pytest.fixture
def root(whole, tmp_path, monkeypatch):
    """A copy whose files may be taken away."""
    monkeypatch.delenv("NUPLAN_MAPS_ROOT", raising=False)
    return shutil.copytree(whole, tmp_path / "root")


def split_of(archives, name="oracle_two_stage"):
    return read_split(archives / "config" / "train_test_split" / f"{name}.yaml")


def opened(archives, root, name="oracle_two_stage"):
    return open_navsim_benchmark(navsim_folders(str(root)), split_of(archives, name))


class Seeing(Stationary):
    """Planner that wants one camera."""

    cameras = ("cam_f0",)


def test_groups_scenes_and_images_are_there(archives, whole):
    benchmark = opened(archives, whole)
    assert [len(benchmark.scene_groups(log)) for log in benchmark.logs] == [1, 1]
    assert not benchmark.notes
    group = benchmark.scene_group(NOW)
    assert len(group.scenes) == 8
    for token, scene in group.scenes.items():
        assert scene.follow_up is (len(token) == 17)
        assert scene.viewpoint.command in (Command.LEFT, Command.STRAIGHT)
        cameras = group.views.cameras(scene)
        assert len(cameras) == 8
        images = group.views.images(scene, ["cam_f0", "cam_b0"])
        sizes = {camera.name: (camera.height, camera.width, 3) for camera in cameras}
        assert {name: image.shape for name, image in images.items()} == {name: sizes[name] for name in images}
    starts = {token: scene.viewpoint.world_from_ego[:2, 3] for token, scene in group.scenes.items()}
    assert max(np.abs(start).max() for start in starts.values()) < 100


def test_nothing_is_scored_without_its_map(archives, root):
    shutil.rmtree(root / "maps" / "us-ma-boston")
    with pytest.raises(SwerveError, match=r"us-ma-boston.*Nothing is scored without its map.*NUPLAN_MAPS_ROOT"):
        opened(archives, root)
    shutil.rmtree(root / "maps")
    with pytest.raises(SwerveError, match=r"nuplan-maps-v1\.0\.json"):
        opened(archives, root, "oracle_one_stage")


def test_another_version_of_the_map_is_one_error(archives, root):
    (folder,) = (root / "maps" / "us-ma-boston").iterdir()
    folder.rename(folder.with_name("1.0.0"))
    with pytest.raises(SwerveError, match=r"There is version 1\.0\.0 instead"):
        opened(archives, root)


def test_incomplete_groups_are_left_out_and_told(archives, root):
    (root / "navhard_two_stage" / "synthetic_scene_pickles" / "adcf7d18b00200001.pkl").unlink()
    benchmark = opened(archives, root)
    assert [name for log in benchmark.logs for name in benchmark.scene_groups(log)] == ["3b3570b4f0040000"]
    assert len(benchmark.notes) == 2
    assert "1 of 10 synthetic scenes are missing, such as adcf7d18b00200001" in benchmark.notes[0]
    assert f"1 of 2 scene groups are incomplete and left out, such as {NOW}" in benchmark.notes[1]
    assert benchmark.identity()["left_out"] == list(benchmark.notes)
    with pytest.raises(SwerveError, match="none of its 1 scene groups is complete"):
        opened(archives, root, "oracle_two_stage_small")


def test_a_missing_log_is_told(archives, root):
    next((root / "navsim_logs" / "test").glob("*3b3570b4.pkl")).unlink()
    benchmark = opened(archives, root, "oracle_one_stage")
    assert len(benchmark.index.logged) == 8
    assert "1 of 2 logs are missing" in benchmark.notes[0]


def test_missing_images_are_one_error_for_planners_that_need_them(archives, root):
    benchmark = opened(archives, root)
    benchmark.check_images([Seeing()])
    shutil.rmtree(root / "navhard_two_stage" / "sensor_blobs" / "adcf7d18a00150001")
    with pytest.raises(SwerveError, match=r"1 of 14 images that the planners need are missing, such as .*CAM_F0"):
        benchmark.check_images([Seeing()])
    benchmark.check_images([Stationary()])


def test_damaged_and_hostile_scenes_are_one_error(archives, root, tmp_path):
    path = root / "navhard_two_stage" / "synthetic_scene_pickles" / "adcf7d18b00200001.pkl"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LogError, match=r"adcf7d18b00200001\.pkl: pickle: cannot be read"):
        opened(archives, root)
    path.write_bytes(b"cbuiltins\neval\n(S'open(\"" + str(tmp_path / "marker").encode() + b'","w")\'\ntR.')
    with pytest.raises(LogError, match=r"refers to builtins\.eval"):
        opened(archives, root)
    assert not (tmp_path / "marker").exists()


def test_another_split_is_one_error(archives, root):
    (root / "navsim_logs" / "test").rename(root / "navsim_logs" / "mini")
    with pytest.raises(SwerveError, match="Splits that are there: mini"):
        opened(archives, root)


def check_outputs(folder, summary, one_stage):
    """Both kinds of evaluation have a page, and a table with a row per scene."""
    page = (folder / "index.html").read_text()
    assert page.count('<section class="planner"') == 1
    assert ("Follow-up with the largest loss" in page) is not one_stage
    assert "All scenes are of source navsim." in page or "All scene groups are of source navsim." in page
    results = (read_one_stage_results if one_stage else read_results)(folder)
    rows = results.of("constant-velocity").to_pylist()
    assert len(rows) == summary["scenes"]
    if one_stage:
        assert np.mean([row["score"] for row in rows]) == pytest.approx(
            summary["planners"]["constant-velocity"]["score"]
        )
        assert {(row["stage"], row["frame"], row["index"], row["weight"]) for row in rows} == {(1, "now", -1, 1.0)}
        assert all(row["group_token"] == row["token"] for row in rows)
        with pytest.raises(SwerveError, match="in one stage"):
            read_results(folder)
        assert page.count('<article class="group frame">') == 3
        worst = min(rows, key=lambda row: row["score"])
        assert html.escape(worst["token"]) in page
    assert summary["by_source"]["navsim"]["scene_groups"] == (len(rows) if one_stage else summary["scene_groups"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "traffic", "table"),
    [
        ("oracle_one_stage", None, "one_stage_constant_velocity_agent"),
        ("oracle_two_stage", "log-replay", "two_stage_log_replay_constant_velocity_agent"),
    ],
)
def test_the_command_writes_the_official_table(archives, whole, tmp_path, split, traffic, table):
    options = EvaluateOptions(split=str(archives / "config" / "train_test_split" / f"{split}.yaml"), traffic=traffic)
    done = evaluate_planners(f"navsim:{whole}", ["constant-velocity"], tmp_path, options, workers=1)
    assert not done.failures
    rows, known = (
        {row["token"]: row for row in csv.DictReader(path.read_text().splitlines())}
        for path in (tmp_path / "scores" / "constant-velocity.csv", archives / "answers" / "cli" / f"{table}.csv")
    )
    assert rows.keys() == known.keys()
    for token, row in known.items():
        assert list(rows[token]) == list(row)
        for column in list(row)[3:]:
            np.testing.assert_allclose(float(rows[token][column] or "nan"), float(row[column] or "nan"), atol=1e-6)
    check_outputs(tmp_path, done.summary, split == "oracle_one_stage")
    again = evaluate_planners(f"navsim:{whole}", ["constant-velocity"], tmp_path, options, workers=1)
    assert again.timing["plans"] == 0
    assert again.summary == done.summary


class ByRole(Reddish):
    """Planner that asks for NAVSIM's front camera by its role."""


class ByName(ByRole):
    """The same by NAVSIM's name."""

    cameras = ("cam_f0",)

    def plan(self, observation):
        return super().plan(replace(observation, images={"front": observation.images["cam_f0"]}))


class Beneath(Reddish):
    """Planner that wants a camera that no data set has."""

    cameras = ("beneath",)


@pytest.mark.parametrize("split", ["oracle_one_stage", "oracle_two_stage_small"])
def test_cameras_by_role_are_those_of_the_data(archives, whole, tmp_path, monkeypatch, caplog, split):
    monkeypatch.setattr(notices, "_SAID", set())
    options = EvaluateOptions(
        split=str(archives / "config" / "train_test_split" / f"{split}.yaml"),
        traffic="log-replay",
        report=split == "oracle_two_stage_small",
        limits=PlannerLimits(in_process=True),
    )
    names = [f"{__name__}:{planner.__name__}" for planner in (ByRole, ByName)]
    done = evaluate_planners(f"navsim:{whole}", names, tmp_path, options, workers=1)
    tables = [(tmp_path / "scores" / f"{safe_name(name)}.csv").read_text() for name in names]
    assert tables[0] == tables[1]
    assert not done.failures
    assert caplog.messages == ["note: cameras of ByRole, which are here by other names: front is cam_f0"]
    with pytest.raises(SwerveError, match=r"has no camera beneath; it has cam_f0, .* or else roles"):
        evaluate_planners(f"navsim:{whole}", [f"{__name__}:Beneath"], tmp_path / "none", options, workers=1)


def test_a_split_and_photographs_are_asked_for(whole, tmp_path):
    with pytest.raises(SwerveError, match="--split"):
        evaluate_planners(f"navsim:{whole}", ["constant-velocity"], tmp_path, EvaluateOptions())
    options = EvaluateOptions(split="x", views=("raster",))
    with pytest.raises(SwerveError, match="photographs only"):
        evaluate_planners(f"navsim:{whole}", ["constant-velocity"], tmp_path, options)


def test_connectors_come_in_the_order_of_their_polygons(archives, whole):
    """Reactive vehicles take the first of connectors that begin alike, in that order."""
    benchmark = opened(archives, whole, "oracle_two_stage_small")
    lanes = benchmark.scene_group(NOW).scenes[NOW].viewpoint.scene.log.road_map.lanes
    nuplan_map = load_nuplan_map(whole / "maps", "us-pa-pittsburgh-hazelwood")
    rows, polygons = nuplan_map.ids(MapLayer.LANE_CONNECTOR), nuplan_map.table(CONNECTOR_POLYGONS)
    order = [str(own) for own in polygons.column("lane_connector_fid")]
    connectors = [lane.id for lane in lanes if lane.is_connector]
    assert connectors == [id_ for id_ in order if id_ in connectors]
    assert connectors != [id_ for id_ in rows if id_ in connectors]
    assert [lane.id for lane in lanes if not lane.is_connector] == list(nuplan_map.ids(MapLayer.LANE))
