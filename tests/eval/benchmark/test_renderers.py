"""Renderers of every kind render the snapshot, not the log."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.benchmark.splat_renderer import LogSplats, SplatRenderer, splat_frame_at
from swerve.eval.benchmark.view_renderers import PhotoRenderer, RasterRenderer, Snapshot, ViewRenderer, snapshot_of
from swerve.rasterizer.splats import PoseCorrections, RigidNode
from swerve.scenes import Scene, SwerveError
from swerve.scenes.viewpoints import build_log_geometry, logged
from tests.support.simple_source import small_log
from tests.support.splat_fits import blobs, scene_of, write_fits
from tests.support.town_logs import town

SIZE = (64, 36)


@pytest.fixture(scope="module")
def town_instant():
    log = town(3)
    return log, snapshot_of(logged(Scene(log, 60, 15, 40), build_log_geometry(log)))


def gone(snapshot: Snapshot) -> Snapshot:
    """The same without anybody else."""
    return replace(snapshot, tracks=replace(snapshot.tracks, valid=np.zeros_like(snapshot.tracks.valid)))


def test_photographs_are_the_studios_of_that_instant(town_instant):
    log, snapshot = town_instant
    cameras = [camera.resized(*SIZE) for camera in log.cameras[:2]]
    np.testing.assert_array_equal(snapshot.tracks.positions[:, 0], log.tracks.positions[:, 60])
    studio = TownPhotoRenderer(log, 5)
    known = studio.photograph(cameras, log.ego.world_from_ego[60], log.tracks.at(slice(60, 61)), snapshot.lights)
    drawer = PhotoRenderer(5).prepare(log)
    for image, photograph in zip(drawer.render(snapshot, cameras), known, strict=True):
        np.testing.assert_array_equal(image, photograph.rgb)
    # Who is not there is not seen, though the log has them.
    alone = studio.photograph(cameras, log.ego.world_from_ego[60], gone(snapshot).tracks, snapshot.lights)
    for image, photograph, empty in zip(drawer.render(gone(snapshot), cameras), known, alone, strict=True):
        np.testing.assert_array_equal(image, empty.rgb)
        assert not np.array_equal(image, photograph.rgb)


def test_weather_hangs_on_seed_and_log_alone(town_instant):
    log, _ = town_instant
    looks = {seed: PhotoRenderer(seed).prepare(log).renderer.look for seed in (0, 1)}
    assert looks[0].toward_sun.tolist() != looks[1].toward_sun.tolist()
    again = PhotoRenderer(1).prepare(replace(log, tracks=log.tracks.select_tracks(np.arange(2)))).renderer.look
    np.testing.assert_equal(vars(again), vars(looks[1]))


def test_only_towns_are_photographed():
    with pytest.raises(SwerveError, match="synthetic photos exist for town:COUNT only"):
        PhotoRenderer().check(small_log())
    with pytest.raises(SwerveError, match="has no map"):
        PhotoRenderer().check(replace(town(3), road_map=None))
    assert PhotoRenderer().synthetic
    assert not RasterRenderer().synthetic


def test_nodes_stand_where_the_tracks_are_and_not_where_the_log_has_them():
    log = small_log()
    scene = scene_of(log)
    node = RigidNode(log.tracks.ids[0], 7, blobs([(1, 0, 0)]), log.times_us[:1], np.eye(4)[None])
    scene = replace(scene, nodes=(node, *scene.nodes[1:]))
    tracks, now = log.tracks.at(slice(50, 51)), int(log.times_us[50])
    positions, headings = tracks.positions.copy(), tracks.headings.copy()
    positions[0, 0], headings[0, 0] = scene.origin + np.array([10, 5, 1]), np.pi / 2
    frame = splat_frame_at(scene, replace(tracks, positions=positions, headings=headings), tracks, now)
    np.testing.assert_allclose(frame.gaussians.means[frame.instances == 1], [[10, 6, 1]], atol=1e-5)
    np.testing.assert_allclose(
        frame.gaussians.means[frame.instances == 2], tracks.positions[1] - scene.origin, atol=1e-4
    )
    valid = tracks.valid.copy()
    valid[0] = False
    assert 1 not in splat_frame_at(scene, replace(tracks, valid=valid), tracks, now).instances


def test_after_a_fit_that_refined_poses_views_are_of_the_refined_ones(tmp_path):
    """All is half a metre to the left at step 50 in the scene; the first track's box is 0.3 m longer ahead besides."""
    log = small_log()
    scene, left = scene_of(log), np.eye(4)
    left[1, 3] = 0.5
    first, second, *_ = scene.nodes
    refined = left @ first.world_from_node
    refined[:, 0, 3] += 0.3
    scene = replace(
        scene,
        nodes=(replace(first, world_from_node=refined), second),
        corrections=PoseCorrections(log.times_us[[50, 60]], np.stack([left, np.eye(4)])),
    )
    snapshot = snapshot_of(logged(Scene(log, 50, 15, 40), build_log_geometry(log)))
    assert snapshot.time_us == log.times_us[50]
    frame = splat_frame_at(scene, snapshot.tracks, snapshot.tracks, snapshot.time_us)
    places = log.tracks.positions[:2, 50] - scene.origin
    np.testing.assert_allclose(frame.gaussians.means[frame.instances == 1], [places[0] + [0.3, 0.5, 0]], atol=1e-4)
    # One whose box was not refined is where its node says; if it is elsewhere, it goes with the vehicle.
    np.testing.assert_allclose(frame.gaussians.means[frame.instances == 2], [places[1]], atol=1e-4)
    positions = snapshot.tracks.positions.copy()
    positions[:2, 0] += [3.0, 0, 0]
    elsewhere = replace(snapshot.tracks, positions=positions)
    frame = splat_frame_at(scene, elsewhere, snapshot.tracks, snapshot.time_us)
    for row in (0, 1):
        moved = frame.gaussians.means[frame.instances == row + 1]
        np.testing.assert_allclose(moved, [places[row] + [3.0, 0.5, 0]], atol=1e-4)
    # The vehicle goes with the correction of its time: half of it between the two.
    camera = log.cameras[0].resized(128, 72)
    between = replace(snapshot, time_us=int(log.times_us[55]))
    half = replace(between, world_from_ego=between.world_from_ego.copy())
    half.world_from_ego[1, 3] += 0.25
    whole, plain = LogSplats(scene, log, tmp_path), LogSplats(replace(scene, corrections=None), log, tmp_path)
    (corrected,) = whole.render(gone(between), [camera])
    np.testing.assert_array_equal(corrected, plain.render(gone(half), [camera])[0])


def test_splats_lie_over_the_raster_of_the_same_instant(tmp_path):
    """In the image the ball of each track is within the track's box."""
    log = small_log()
    snapshot = snapshot_of(logged(Scene(log, 50, 15, 40), build_log_geometry(log)))
    write_fits(tmp_path, log)
    camera = log.cameras[0].resized(128, 72)
    drawer = SplatRenderer(tmp_path).prepare(log)
    assert isinstance(drawer, LogSplats)
    (view,) = drawer.views(snapshot, [camera], ("rgb", "instance"))
    raster = RasterRenderer().prepare(log)
    moving = raster.render(snapshot, [camera])[0].astype(int) - raster.render(gone(snapshot), [camera])[0]
    balls = view.instance > 0
    assert balls.sum() > 5
    assert (np.abs(moving).max(axis=-1) > 0)[balls].mean() > 0.9
    np.testing.assert_array_equal(drawer.render(snapshot, [camera])[0], view.rgb)


def test_tracks_without_gaussians_are_told(tmp_path):
    log = small_log()
    write_fits(tmp_path, log, without=log.tracks.ids[:1])
    drawer = SplatRenderer(tmp_path).prepare(log)
    assert drawer.without_gaussians(log.tracks) == {log.tracks.ids[0]}
    nobody = replace(log.tracks, valid=np.zeros_like(log.tracks.valid))
    assert drawer.without_gaussians(nobody) == set()


def test_the_name_of_splats_follows_their_files(tmp_path):
    log = small_log()
    names = [SplatRenderer(write_fits(tmp_path / where, log)).name for where in ("a", "b")]
    assert names[0] == names[1]
    assert SplatRenderer(write_fits(tmp_path / "c", log, without=log.tracks.ids[:1])).name != names[0]
    with pytest.raises(SwerveError, match=r"log train-9: no splat scene in .*train-9\. Fit it with swerve fit"):
        SplatRenderer(tmp_path / "a").check(replace(log, name="train-9"))


def test_there_is_something_to_draw_with(tmp_path):
    known = default_renderers("surfaces", 3, tmp_path)
    assert set(known) == {"raster", "photo", "splat"}
    assert all(isinstance(renderer, ViewRenderer) for renderer in known.values())
    assert known["photo"] == PhotoRenderer(3)
    with pytest.raises(SwerveError, match="no renderer for splat views"):
        renderer_of("splat", default_renderers("rap", 0))
