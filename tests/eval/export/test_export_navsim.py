"""Benchmarks exported as NAVSIM's data: read back and evaluated, the result is the direct one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from swerve.data import open_source
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.eval.benchmark.benchmark_store import Benchmark, open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.context.scene_context import build_context
from swerve.eval.export.export_navsim import export_navsim
from swerve.eval.scoring.sub_scores import Metric
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from tests.support.command import invoke
from tests.support.exported_benchmark import largest_differences, read_back, split_of, tokens_of

# 8 s after a scene group lie within the town's 20 s; two groups, of unequal phase among frames 0.5 s apart.
OPTIONS = BuildOptions(
    scene_interval=5.2,
    min_follow_ups=2,
    max_follow_ups=2,
    traffic="log-replay",
    size=(64, 36),
    cameras=("front", "back"),
)
EXACT = [metric for metric in Metric if metric != Metric.EGO_PROGRESS]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    build([open_source("town:1")], folder / "bench", OPTIONS, 1)
    return folder / "bench"


@pytest.fixture(scope="module")
def exported(town):
    calls = []
    done = export_navsim(open_benchmark(town), town.parent / "out", progress=lambda *counts: calls.append(counts))
    total = group_count(town)
    assert total > 1
    assert calls == [(number, total) for number in range(1, total + 1)]
    return done


def group_count(folder):
    """Scene groups of a benchmark."""
    benchmark = open_benchmark(folder)
    return sum(len(benchmark.scene_groups(log)) for log in benchmark.logs)


def check_scores(benchmark, root, policy="log-replay", last=None):
    """Sub-scores are equal; progress differs by the rounding of velocities to float32 in NAVSIM's files."""
    for log in benchmark.logs:
        for name in benchmark.scene_groups(log)[:last]:
            found = largest_differences(benchmark, root, name, policy)
            assert found[EXACT].max() == 0.0, name
            assert found[Metric.EGO_PROGRESS] < 1e-6, name


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "last"), [("log-replay", None), ("navsim-reactive", 1)])
def test_a_town_scores_as_before(town, exported, policy, last):
    check_scores(open_benchmark(town), exported.folder.root, policy, last)


@pytest.mark.slow
def test_the_whole_evaluation_is_that_of_the_benchmark(town, exported, tmp_path):
    root, scores = exported.folder.root, []
    words = ["--traffic", "log-replay", "--workers", 1, "--no-report", "--planners", "constant-velocity", "pdm-closed"]
    for number, source in enumerate(([town], [f"navsim:{root}", "--split", split_of(root)])):
        result = invoke("evaluate", source[0], tmp_path / str(number), *source[1:], *words)
        assert result.exit_code == 0, result.output
        summary = json.loads((tmp_path / str(number) / "summary.json").read_text())
        scores.append({name: row["score"] for name, row in summary["planners"].items()})
    assert scores[0] == pytest.approx(scores[1], abs=1e-7)
    assert len(set(scores[0].values())) == 2


@pytest.mark.slow
def test_argoverse_scores_as_before(test_data, tmp_path):
    """Its maps are not in nuPlan's form: lanes follow lanes, connectors end nowhere."""
    options = replace(OPTIONS, scene_interval=6.0, views=(), cameras=())
    build([open_source(f"av2:{test_data / 'av2'}")], tmp_path / "bench", options, 1)
    benchmark = open_benchmark(tmp_path / "bench")
    done = export_navsim(benchmark, tmp_path / "out", images=False)
    assert len(done.notes) == len(benchmark.logs) == 2
    assert "pieces of 5 cm" in done.notes[0]
    check_scores(benchmark, tmp_path / "out")


def test_planners_observe_the_same(town, exported):
    """Command, motion now, cameras and images of a scene group. The history between frames cannot be kept."""
    direct, other, tokens = open_benchmark(town), read_back(exported.folder.root), tokens_of(exported.folder.root)
    seeing = Everything()
    names = {"front": "cam_f0", "back": "cam_b0"}
    for group in direct.scene_groups(direct.logs[0])[:1]:
        own = direct.scene_group(group)
        back = other.scene_group(tokens[own.group.now])
        for token, scene in own.scenes.items():
            first, second = (
                observation_of(
                    one.scenes[name],
                    build_context(one.scenes[name].viewpoint.scene, name, one.scenes[name].follow_up),
                    seeing,
                    one.views,
                )
                for one, name in ((own, token), (back, tokens[token]))
            )
            assert first.command == second.command
            for field in ("poses", "velocity", "acceleration"):
                np.testing.assert_allclose(
                    getattr(second.history, field)[-1], getattr(first.history, field)[-1], atol=1e-6
                )
            assert set(second.images) == {names[name] for name in first.images}
            for name, image in first.images.items():
                np.testing.assert_array_equal(second.images[names[name]], image)
            check_cameras(first.cameras, second.cameras, names)
            assert scene.follow_up == back.scenes[tokens[token]].follow_up


class Everything:
    """Planner that uses all cameras."""

    def plan(self, observation):
        return Trajectory(np.zeros((8, 3)), 0.5)


def check_cameras(first, second, names):
    known = {camera.name: camera for camera in second}
    for camera in first:
        read = known[names[camera.name]]
        assert (read.width, read.height) == (camera.width, camera.height)
        np.testing.assert_allclose(
            [read.fx, read.fy, read.cx, read.cy], [camera.fx, camera.fy, camera.cx, camera.cy], atol=1e-9
        )
        np.testing.assert_allclose(read.ego_from_camera[:3, :3], camera.ego_from_camera[:3, :3], atol=1e-12)
        np.testing.assert_allclose(read.ego_from_camera[:3, 3], camera.ego_from_camera[:3, 3], atol=0.25)
        np.testing.assert_array_equal(read.lens.coefficients, camera.lens.coefficients)


def test_the_files_are_navsims(town, exported):
    """Two series of frames, since groups are 5.2 s apart; tokens of 16 and 17 digits; follow-ups of final frames."""
    root, benchmark = exported.folder.root, open_benchmark(town)
    split = read_split(split_of(root))
    index = index_scenes(navsim_folders(str(root)), split)
    assert (len(index.logged), len(index.synthetic)) == (4, exported.scenes - 4)
    assert not index.missing
    assert {len(token) for token in index.logged} == {16}
    assert {len(token) for token in index.synthetic} == {17}
    assert sorted(index.per_log()) == ["town-000000", "town-000000_2"]
    for group in split.mapping:
        for token, pair in ((group.now, 0), (group.before, 1)):
            final = index.load(token).frames[-1]
            for follow_up in group.follow_ups:
                scene = index.load(follow_up[pair])
                assert scene.original_scene == final.token
                assert scene.current.timestamp_us == final.timestamp_us
                assert scene.log_name == index.load(token).log_name
    assert exported.images == 2 * benchmark.info["counts"]["scenes"]
    assert "run_pdm_score.py" in (root / "README.txt").read_text()


def test_nothing_is_overwritten(town, exported, tmp_path):
    benchmark = open_benchmark(town)
    with pytest.raises(SwerveError, match=r"not empty\. Nothing is overwritten"):
        export_navsim(benchmark, exported.folder.root)
    (tmp_path / "new.part").mkdir()
    with pytest.raises(SwerveError, match=r"new\.part: is of an export that runs or was killed"):
        export_navsim(benchmark, tmp_path / "new")
    for split in ("a/b", "..", ".hidden", "maps"):
        with pytest.raises(SwerveError, match="letters, digits"):
            export_navsim(benchmark, tmp_path / "other", split=split)


def test_an_error_leaves_nothing(town, tmp_path, monkeypatch):
    """A light over a lane that is no connector cannot be said in NAVSIM's files."""
    benchmark = open_benchmark(town)
    log = benchmark.log(benchmark.logs[0])
    lane = next(lane.id for lane in log.road_map.lanes if not lane.is_connector)
    lights = replace(log.lights, lane_ids=(lane, *log.lights.lane_ids[1:]))
    monkeypatch.setattr(Benchmark, "log", lambda self, name: replace(log, lights=lights))
    with pytest.raises(SwerveError, match=f"a light controls {lane}, which is no connector"):
        export_navsim(benchmark, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_command(town, tmp_path):
    (tmp_path / "out").mkdir()
    result = invoke("export", "navsim", town, tmp_path / "out", "--no-images", "--split", "mine")
    assert result.exit_code == 0, result.output
    assert f"{group_count(town)} scene groups" in result.output
    assert "0 images" in result.output
    assert split_of(tmp_path / "out").name == "mine.yaml"
    assert not (tmp_path / "out" / "sensor_blobs").exists()
    assert invoke("export", "navsim", town, tmp_path / "out").exit_code == 2
    assert invoke("export", "navsim", tmp_path, tmp_path / "other").exit_code == 2
