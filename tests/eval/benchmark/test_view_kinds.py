"""Several kinds of views of the same frames: built, read, planned on, compared; and splats under the gate."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from swerve.data.jobs.log_digest import log_digest
from swerve.data.splats.photo_poses import read_training_poses, write_training_poses
from swerve.eval.benchmark.benchmark_store import Benchmark, group_path, load_group, open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build.splat_gate import unfit_starts, without_starts
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.evaluate_job import check_cameras, evaluate
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.benchmark.splat_renderer import SplatRenderer, check_fitted
from swerve.eval.benchmark.view_renderers import RasterRenderer
from swerve.eval.scoring.aggregate import COLUMNS, aggregate_two_stage
from swerve.planners.load_planner import load_planner
from swerve.scenes import SwerveError
from tests.support.flat_renderer import FlatRenderer
from tests.support.simple_source import SimpleSource, small_log
from tests.support.splat_fits import write_fits

LOGS = ("train-0", "none-0")
OPTIONS = BuildOptions(
    scene_interval=2.0,
    min_follow_ups=2,
    max_follow_ups=3,
    size=(32, 18),
    traffic="log-replay",
    views=("raster", "photo"),
)
RENDERERS = {"raster": RasterRenderer("surfaces"), "photo": FlatRenderer(synthetic=True)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    report = build([SimpleSource(LOGS)], folder, OPTIONS, 1, renderers=RENDERERS)
    assert not report.failures
    return folder


def made(spec):
    """Importable by workers."""
    return load_planner(spec).planner


def seeing(label, kind):
    return PlannerSpec(label, "tests.support.seeing_planners:Reddish", f"1 sees {kind}", "reddish", kind)


def test_kinds_are_stored_beside_each_other_of_the_same_frames(built):
    benchmark = open_benchmark(built)
    assert benchmark.info["views"] == {
        "photo": {"renderer": "flat", "synthetic": True},
        "raster": {"renderer": "raster-surfaces", "synthetic": False},
    }
    assert not (built / "views-splat").exists()
    scene_group = benchmark.scene_group(benchmark.scene_groups("train-0")[0])
    assert (scene_group.view_kind, list(scene_group.views_by_kind)) == ("raster", ["raster", "photo"])
    frame = scene_group.scenes[scene_group.group.follow_ups[0][0]]
    other = open_benchmark(built, "photo").scene_group(benchmark.scene_groups("train-0")[0])
    assert (other.view_kind, list(other.views_by_kind)) == ("photo", ["photo", "raster"])
    images = {kind: views.images(frame, ["front"])["front"] for kind, views in scene_group.views_by_kind.items()}
    assert len(np.unique(images["photo"].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(images["raster"].reshape(-1, 3), axis=0)) > 3
    np.testing.assert_array_equal(other.views.images(frame, ["front"])["front"], images["photo"])
    np.testing.assert_array_equal(
        scene_group.with_views("photo").views.images(frame, ["front"])["front"], images["photo"]
    )
    with pytest.raises(SwerveError, match="has no splat views; it has raster, photo"):
        scene_group.with_views("splat")


def test_what_is_not_stored_is_drawn_or_refused(built, tmp_path):
    with pytest.raises(SwerveError, match="stores no splat views, and no renderer is given for them"):
        open_benchmark(built, "splat")
    fits = write_fits(tmp_path / "fits", *(small_log(name) for name in LOGS))
    scene_group = open_benchmark(built, "splat", splats=fits).scene_group("train-0-00000")
    frame = scene_group.scenes[scene_group.group.follow_ups[0][0]]
    assert scene_group.views.images(frame, ["front"])["front"].shape == (18, 32, 3)
    shutil.rmtree(fits / "none-0")
    with pytest.raises(SwerveError, match="log none-0: no splat scene"):
        open_benchmark(built, "splat", splats=fits)
    bare = tmp_path / "bare"
    build([SimpleSource(LOGS[:1])], bare, replace(OPTIONS, views=()), 1)
    assert open_benchmark(bare).view_kind == "raster"
    with pytest.raises(SwerveError, match="synthetic photos exist for town"):
        open_benchmark(bare, "photo")


def test_planners_are_compared_on_two_kinds(built, tmp_path):
    """The same as two evaluations, one on each; the difference is theirs."""
    benchmark = open_benchmark(built).with_views("raster", "photo")
    blind = PlannerSpec("blind", "constant-velocity", "1")
    entries = [seeing("reddish@raster", "raster"), blind, seeing("reddish@photo", "photo")]
    summary = evaluate(benchmark, entries, made, tmp_path / "both", "log-replay", "navsim-exact", 1).summary
    alone = {
        kind: evaluate(
            open_benchmark(built, kind),
            [seeing("reddish", kind)],
            made,
            tmp_path / kind,
            "log-replay",
            "navsim-exact",
            1,
        ).summary["planners"]["reddish"]
        for kind in ("raster", "photo")
    }
    (found,) = summary["differences"]
    assert (found["planner"], found["before"], found["after"]) == ("reddish", "raster", "photo")
    for kind, one in alone.items():
        both = summary["planners"][f"reddish@{kind}"]
        assert {**both, "seconds_per_plan": 0} == {**one, "seconds_per_plan": 0}
    assert found["score"] == pytest.approx(alone["photo"]["score"] - alone["raster"]["score"])
    assert found["interval"] == [None, None], "two logs are too few for one"
    for stage in ("stage_one", "stage_two"):
        for name in COLUMNS:
            assert found[stage][name] == pytest.approx(alone["photo"][stage][name] - alone["raster"][stage][name])
    assert abs(found["stage_one"]["ego_progress"]) > 0.01, "it drives by what it sees"
    results = read_results(tmp_path / "both")
    assert results.planners == ("reddish@raster", "blind", "reddish@photo")
    assert results.provenance["views"]["reddish@photo"] == {"planner": "reddish", "kind": "photo"}
    gain = [
        aggregate_two_stage(results.scores(f"reddish@{kind}"), results.groups).score for kind in ("photo", "raster")
    ]
    assert found["score"] == pytest.approx(gain[0] - gain[1])


def test_cameras_of_every_log_are_looked_at(built):
    class Odd(Benchmark):
        def scene_group(self, name):
            scene_group = super().scene_group(name)
            return replace(scene_group, views=None) if scene_group.log == "train-0" else scene_group

    benchmark = open_benchmark(built)
    planner = made("tests.support.seeing_planners:Reddish")
    check_cameras(benchmark, [planner])
    assert benchmark.logs[0] == "none-0"
    with pytest.raises(SwerveError, match="Reddish needs images, and this benchmark has none"):
        check_cameras(Odd(benchmark.folder, benchmark.info, benchmark.renderers), [planner])


@pytest.mark.parametrize("gate", ["flag", "drop", "off"])
def test_splats_that_disagree_are_flagged_or_dropped_and_counted(gate, tmp_path):
    """Balls instead of cars, and no ground: nothing passes."""
    log = small_log("train-0")
    fits = write_fits(tmp_path / "fits", log, without=log.tracks.ids[:1])
    options = replace(OPTIONS, views=("raster", "splat"), gate=gate, scene_interval=4.0)
    folder = tmp_path / "benchmark"
    report = build([SimpleSource(("train-0",))], folder, options, 1, splats=fits)
    counts = report.counts
    assert not report.failures
    assert counts["tracks_without_gaussians"] == 1
    if gate == "drop":
        assert counts["scene_groups"] == 0
        assert counts["dropped_scene_groups"]["few_follow_ups"] >= 1
        assert counts["rejected_starts"]["unfit_splats"] == counts["unfit_follow_ups"] > 0
        assert not list((folder / "views-splat").iterdir())
        return
    benchmark = open_benchmark(folder)
    unfit = benchmark.scenes()["unfit"].to_pylist()
    assert len(list((folder / "views-splat").iterdir())) == len(list((folder / "views-raster").iterdir())) > 0
    if gate == "off":
        assert not any(unfit)
        assert (counts["unfit_follow_ups"], counts["unfit_reasons"]) == (0, {})
    else:
        assert all("covered" in text for text in unfit)
        assert counts["unfit_follow_ups"] == counts["follow_ups"] == counts["unfit_reasons"]["covered"]
        scene_group = benchmark.scene_group(benchmark.scene_groups("train-0")[0])
        assert list(scene_group.views_by_kind) == ["raster", "splat"]
        with open(folder / "views-splat" / f"{benchmark.scene_groups('train-0')[0]}.tar", "rb") as tar:
            assert tar.read(4)
        frame = scene_group.scenes[scene_group.group.now]
        np.testing.assert_array_equal(
            scene_group.views_by_kind["splat"].images(frame, ["front"])["front"],
            open_benchmark(folder, "splat", splats=fits)
            .scene_group(benchmark.scene_groups("train-0")[0])
            .views.images(frame, ["front"])["front"],
        )


def test_by_default_views_far_from_all_photos_are_flagged_and_kept(tmp_path):
    """Photos that were taken 30 m beside: distance and visibility tell, whatever the images show."""
    log = small_log("train-0")
    folder, fits = tmp_path / "benchmark", write_fits(tmp_path / "fits", log)
    aside = np.eye(4)
    aside[1, 3] = 30.0
    poses = read_training_poses(fits / "train-0")
    write_training_poses(
        fits / "train-0", tuple(replace(one, world_from_ego=one.world_from_ego @ aside) for one in poses)
    )
    options = replace(OPTIONS, views=("raster", "splat"), scene_interval=4.0)
    assert BuildOptions().gate == options.gate == "flag"
    counts = build([SimpleSource(("train-0",))], folder, options, 1, splats=fits).counts
    assert counts["follow_ups"] == counts["unfit_follow_ups"] == counts["unfit_reasons"]["distance"] > 0
    assert all("distance" in text for text in open_benchmark(folder).scenes()["unfit"].to_pylist())


def test_thresholds_are_named_and_starts_fall_for_either_frame(built):
    benchmark = open_benchmark(built)
    name = benchmark.scene_groups("train-0")[0]
    scene_group, record = benchmark.scene_group(name), load_group(group_path(built, name))
    (first, second), *_ = scene_group.group.follow_ups
    missed = dict.fromkeys(scene_group.scenes, ()) | {scene_group.group.now: ("covered",), second: ("covered",)}
    unfit = unfit_starts(record, scene_group.scenes.values(), missed)
    index = scene_group.scenes[first].viewpoint.index
    assert unfit == {index: ("covered",)}
    assert [start.index for start in without_starts(record, unfit).starts] == [
        start.index for start in record.starts if start.index != index
    ]


def test_damage_is_one_clear_error_or_made_again(built, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(built, folder)
    info = json.loads((folder / "benchmark.json").read_bytes())
    del info["scene_groups"]
    (folder / "benchmark.json").write_text(json.dumps(info))
    with pytest.raises(SwerveError, match=r"benchmark\.json: scene_groups: is missing. Build the benchmark again"):
        open_benchmark(folder)
    damaged = folder / "records" / "train-0-00000.json"
    whole = damaged.read_bytes()
    for content in ("{", "{}", "[]", '{"log": "train-0"}'):
        damaged.write_text(content)
        build([SimpleSource(LOGS)], folder, OPTIONS, 1, renderers=RENDERERS)
        assert damaged.read_bytes() == whole
    out = tmp_path / "out"
    blind = PlannerSpec("blind", "constant-velocity", "1")
    first = evaluate(open_benchmark(built), [blind], made, out, "log-replay", "navsim-exact", 1).summary
    record = next((out / "job" / "records").glob("*.parquet"))
    record.write_bytes(b"PAR1 and nothing else")
    again = evaluate(open_benchmark(built), [blind], made, out, "log-replay", "navsim-exact", 1).summary
    assert again["planners"]["blind"]["score"] == first["planners"]["blind"]["score"]


def test_splat_views_of_a_fit_of_another_version_of_the_log_are_refused(tmp_path):
    """Where scenes of a split are asked for, it is the same log."""
    log = small_log("train-0")
    fits = write_fits(tmp_path / "fits", log)
    renderer, record = SplatRenderer(fits), fits / log.name / "fit.json"
    options = json.loads(record.read_text())
    record.write_text(json.dumps({**options, "digest": log_digest(log)}))
    check_fitted(renderer, replace(log, scene_times_us=log.times_us[:1]))
    for kind, name in ((renderer, "other"), (RENDERERS["raster"], log.name)):
        check_fitted(kind, replace(log, name=name, route=("another",)))
    record.write_text(json.dumps({**options, "digest": "of before"}))
    splats = replace(OPTIONS, views=("splat",))
    with pytest.raises(SwerveError, match=r"is not that of log train-0 as its source gives it now.*Fit the log again"):
        build([SimpleSource(("train-0",))], tmp_path / "benchmark", splats, 1, splats=fits)


def test_splats_of_an_evaluation_are_of_the_log_that_the_benchmark_was_built_of(built, tmp_path):
    fits = tmp_path / "fits"
    for name in LOGS:
        write_fits(fits, small_log(name))
    record, source = fits / LOGS[0] / "fit.json", json.loads((built / "sources" / f"{LOGS[0]}-00000.json").read_text())
    options = json.loads(record.read_text())
    for digest in (source["digest"], source["whole"]):
        record.write_text(json.dumps({**options, "digest": digest}))
        assert open_benchmark(built, "splat", splats=fits).view_kind == "splat"
    record.write_text(json.dumps({**options, "digest": "of before"}))
    assert open_benchmark(built, "raster", splats=fits).view_kind == "raster"
    with pytest.raises(SwerveError, match=r"is not that of log train-0 as its source gives it now.*Fit the log again"):
        open_benchmark(built, "splat", splats=fits)
    with pytest.raises(SwerveError, match=r"is not that of log train-0"):
        open_benchmark(built, splats=fits).with_views("raster", "splat")
