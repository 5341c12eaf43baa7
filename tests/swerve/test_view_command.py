"""`swerve view` finds out what it is given, and draws it without a browser."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from swerve.data.splats.photo_poses import PhotoPose, write_training_poses
from swerve.data.splats.splat_files import write_splats
from swerve.data.storage.checked_npz import read_npz
from swerve.data.storage.files import safe_name
from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
from swerve.eval.closed_loop.rollout_record import RecordedReason, displayed_record, load_rollout, save_rollout
from swerve.eval.report.ranking import chain_scores, group_rows
from swerve.options.shared import Shown
from swerve.planners.baselines.kinematic import ConstantVelocity
from swerve.rasterizer.splats import Gaussians, Sky, SplatScene
from swerve.scenes import SwerveError, extract_scenes
from swerve.scenes.viewpoints import build_log_geometry, logged
from swerve.set_reader import open_set
from swerve.views.benchmark_view import evaluation_view, score_color, weight_color
from swerve.views.log_view import ground_grid, log_view
from swerve.views.of_source import view_of
from swerve.views.rollout_view import view_of_rollout
from swerve.views.splat_view import with_splats
from tests.support.command import invoke
from tests.support.reported import HandMade, results
from tests.support.town_logs import town


@pytest.fixture(scope="module")
def driven():
    log = town(0)
    viewpoint = logged(extract_scenes(log, 1.5, 4.0, 4.0)[0], build_log_geometry(log))
    scene = build_closed_loop_scene(viewpoint, ClosedLoopOptions(seconds=4.0))
    rollout = drive_prepared(scene, ConstantVelocity())
    return scene, rollout, displayed_record("straight", scene, rollout)


def test_a_log_is_drawn_to_a_file(tmp_path):
    result = invoke("view", "town:1", "--once", tmp_path / "out" / "view.png", "--size", "320x240")
    assert result.exit_code == 0, result.exception
    picture = np.asarray(Image.open(tmp_path / "out" / "view.png"))
    assert picture.shape[1] == 320
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    assert "recovery viewpoints and their ways back" in result.output


def test_a_log_s_view_has_its_tracks_map_and_images():
    log = town(0)
    view = log_view(log, "town", 10)
    assert len(view) == len(log.times_us)
    assert view.tracks is log.tracks
    np.testing.assert_array_equal(view.world_from_ego, log.ego.world_from_ego)
    assert view.meshes[0].colors.shape == (len(view.meshes[0].triangles), 3)
    assert {one.camera.name for one in view.cameras} == {camera.name for camera in log.cameras}
    image = view.cameras[0].image(10)
    assert image is not None
    assert image.any()
    assert view.signals is None or len(view.signals(0).triangles)


def test_a_log_without_a_map_stands_on_a_grid():
    positions = np.stack([np.linspace(3.0, 97.0, 20), np.zeros(20), np.linspace(0.0, 9.4, 20)], axis=1)
    lines = ground_grid(positions)
    points = np.concatenate([one.points for one in lines])
    assert {one.group for one in lines} == {"ground, a line each 10 m"}
    assert points[:, 0].min() <= -27
    assert points[:, 0].max() >= 127
    assert points[:, 1].min() <= -30
    assert points[:, 1].max() >= 30
    np.testing.assert_array_equal(points[:, :2] % 10, 0)
    beside = points[(points[:, 0] == 50.0)]
    np.testing.assert_allclose(beside[:, 2], 4.7, atol=0.25)  # the height of the path there
    assert len(ground_grid(np.array([[0.0, 0.0, 0.0], [9000.0, 50.0, 0.0]]))) <= 2 * 62


def test_a_rollout_is_stored_whole(driven, tmp_path):
    scene, rollout, record = driven
    save_rollout(tmp_path / "one.npz", record)
    read = load_rollout(tmp_path / "one.npz")
    assert (read.planner, read.token, read.score) == ("straight", rollout.token, rollout.score)
    np.testing.assert_allclose(read.log.ego.positions[:, :2], rollout.states[:, :2], atol=1e-9)
    np.testing.assert_allclose(read.human, scene.human_poses_at(np.arange(len(rollout.states))))
    present = rollout.traffic.present[: len(rollout.states)]
    np.testing.assert_array_equal(read.log.tracks.valid, present.T)
    np.testing.assert_allclose(
        read.log.tracks.positions[..., :2][present.T],
        rollout.traffic.poses[: len(present), :, :2].swapaxes(0, 1)[present.T],
    )
    assert [plan.seconds for plan in read.plans] == [plan.seconds for plan in rollout.plans]
    assert len(read.reasons) == len(rollout.reasons)


def test_a_rollout_s_view_shows_one_plan_at_a_time(driven):
    *_, record = driven
    view = view_of_rollout(record, "test")
    plans = [path for path in view.paths if path.group == "plans"]
    assert len(plans) == len(record.plans)
    for step in range(len(view)):
        assert sum(plan.shown_at(step) for plan in plans) == 1
    events = [reason for reason in record.reasons if reason.seconds is not None]
    assert len(view.markers) == len(events)
    lost = RecordedReason("no_at_fault_collisions", 0.0, 1.0, "hits a wall")
    changed = view_of_rollout(replace(record, reasons=(lost,)), "test")
    curve = next(one for one in changed.curves if one.name == "no at fault collisions")
    assert curve.values[:10].tolist() == [1.0] * 10
    assert curve.values[10:].max() == 0.0
    assert changed.start == 10


def test_a_stored_rollout_can_be_viewed(driven, tmp_path):
    *_, record = driven
    (tmp_path / "worst").mkdir()
    save_rollout(tmp_path / "worst" / "straight-0.npz", record)
    assert view_of(str(tmp_path), Shown(at=1.0)).start == 10
    assert view_of(str(tmp_path / "worst" / "straight-0.npz"), Shown()).title.startswith("straight in ")
    with pytest.raises(SwerveError, match="no rollout 7 of any planner; it has straight-0"):
        view_of(str(tmp_path), Shown(scene=7))
    with pytest.raises(SwerveError, match="--splats has no meaning"):
        view_of(str(tmp_path), Shown(splats=tmp_path))


def test_mistakes_are_told(tmp_path):
    for arguments, said in (
        (("town:1", "--once", tmp_path / "x.jpg"), "pictures are written as .png"),
        (("town:1", "--scene", 2, "--once", tmp_path / "x.png"), "--scene has no meaning"),
        (("town:1", "--log", "none", "--once", tmp_path / "x.png"), "no log 'none'"),
        (("town:1", "--port", 0), "port: 0 must lie in"),
        (("--once", tmp_path / "x.png"), "SOURCE"),
    ):
        assert said in str(invoke("view", *arguments).exception), arguments


def test_colors_of_scores_and_weights_rise_in_brightness():
    for color in (score_color, weight_color):
        brightness = [np.dot(color(share), [0.3, 0.6, 0.1]) for share in np.linspace(0, 1, 6)]
        assert brightness == sorted(brightness)


def test_an_evaluation_s_view_has_its_plans_and_weights():
    known = results()
    chosen = known.planners[0]
    view = evaluation_view(HandMade(), known, 0, chosen)
    groups = {group.now: group_rows(known, chosen, group) for group in known.groups}
    worst = min(known.groups, key=lambda group: chain_scores(groups[group.now]).prod(axis=1).mean())
    assert view.title.startswith(worst.now)
    plans = {path.facts["plan"]: path for path in view.paths if path.group == "plans"}
    rows = {label: group_rows(known, label, worst)[0] for label in known.planners}
    assert set(plans) == {label for label, row in rows.items() if not row.failed}
    for label, path in plans.items():
        assert path.color == score_color(rows[label].score)
        assert path.facts["score"] == f"{rows[label].score:.3f}"
        pose = view.world_from_ego[view.start]
        ahead = (path.points[-1, :2] - pose[:2, 3]) @ pose[:2, :2]
        np.testing.assert_allclose(ahead, rows[label].plan[-1, :2], atol=0.05)
    weights = {row.token: row.weight for row in groups[worst.now] if row.follow_up and row.chain == 0}
    assert {marker.name: float(marker.facts["weight"]) for marker in view.markers} == pytest.approx(weights, abs=1e-4)
    with pytest.raises(SwerveError, match="there are scene groups 0 to 1"):
        evaluation_view(HandMade(), known, 5, None)


def test_splats_are_shown_where_the_scene_has_them(tmp_path):
    log = town(0)
    means = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    half = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    gaussians = Gaussians(
        means, np.stack([half, half]), np.log(np.array([[0.1, 0.2, 0.3]] * 2, np.float32)),
        np.array([0.0, 2.0], np.float32), np.zeros((2, 1, 3), np.float32),
    )  # fmt: skip
    origin = np.array([10.0, 0.0, 0.0])
    write_splats(SplatScene(gaussians, (), origin, Sky.constant()), tmp_path / safe_name(log.name))
    photo = PhotoPose(log.cameras[0], int(log.times_us[0]), log.ego.world_from_ego[0])
    write_training_poses(tmp_path / safe_name(log.name), (photo,))
    alone = view_of(str(tmp_path), Shown())
    np.testing.assert_allclose(alone.splats.centers, means + origin)
    np.testing.assert_allclose(alone.splats.opacities, [0.5, 1 / (1 + np.exp(-2.0))], rtol=1e-6)
    # Turned by 120 degrees about (1, 1, 1): x to y, y to z, z to x.
    np.testing.assert_allclose(alone.splats.covariances[0], np.diag([0.09, 0.01, 0.04]), atol=1e-6)
    both = with_splats(log_view(log, "town", 10), log, tmp_path)
    np.testing.assert_allclose(both.splats.centers, means + origin, atol=1e-5)
    names = [camera.name for camera in log.cameras]
    assert [one.camera.name for one in both.cameras] == ["front", "front, splats", *names[1:]]
    assert f"No splat views of {', '.join(names[1:])}" in both.text


@pytest.mark.slow
def test_a_set_is_browsed_sample_by_sample(tmp_path):
    made = invoke("augment", "town:1", tmp_path / "set", "--scene-interval", 9, "--size", "96x56", "--workers", 1)
    assert made.exit_code == 0, made.exception
    view = view_of(str(tmp_path / "set"), Shown())
    reader, rows = open_set(tmp_path / "set", ())
    assert len(view) == min(len(rows), 60)
    sample = reader.sample(rows[0])
    (target,) = (path for path in view.paths if path.group == "targets" and path.shown_at(0))
    assert target.facts["sample"] == rows[0]["key"]
    np.testing.assert_allclose(target.points[-1, :2], sample.numbers["target_10hz"][-1, :2], atol=1e-5)
    boxes = read_npz(sample.stored.read("npz"), "sample")
    assert view.tracks.valid[:, 0].sum() == len(boxes["box_id"])
    image = view.cameras[0].image(0)
    assert image is not None
    assert image.shape == (56, 96, 3)
