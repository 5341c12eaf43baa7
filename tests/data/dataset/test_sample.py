"""A sample's numbers against hand-worked ones, its images against what is drawn directly."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import image_requests, tracks_at
from swerve.data.dataset.image_encoding import decode_image, decode_instance, encode_image
from swerve.data.dataset.sample import SampleRenderer, draw_sample, is_cut_short
from swerve.data.dataset.sample_encoder import SampleEncoder
from swerve.data.dataset.stored_snapshots import dynamic_objects_at
from swerve.data.dataset.targets import interpolate_poses_at
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.rasterizer import render
from swerve.scenes import Camera, Lens, LensModel, Photo, Scene, SwerveError
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import interpolate_poses, inverse, pose_from_yaw, transform_points
from swerve.scenes.viewpoints import ViewpointKind, ViewpointOptions, build_log_geometry, build_viewpoints
from tests.support.simple_source import small_log

NOW = 30  # 3 s: the ego at x = 50, y = -1.75, at 10 m/s along x


def seats(log, *kinds, options=None):
    scene = Scene(log, NOW, 20, 50)
    made, _ = build_viewpoints(scene, kinds, options or ViewpointOptions(), 0, build_log_geometry(log))
    return made


def made(viewpoint, **options):
    chosen = AugmentOptions(**{"extra_outputs": ("instance",), **options})
    watch = Stopwatch()
    drawer = SampleRenderer(build_static(viewpoint.scene.log.road_map), chosen, watch)
    return encoded(viewpoint, drawer, chosen, watch)


def encoded(viewpoint, drawer, options, watch):
    with SampleEncoder(options, 1, watch) as encoder:
        return encoder.start(draw_sample(viewpoint, drawer, options))()


def arrays_of(sample):
    return dict(np.load(io.BytesIO(sample.members["npz"]), allow_pickle=False))


def details_of(sample):
    return json.loads(sample.members["json"])


@pytest.fixture(scope="module")
def logged():
    return made(seats(small_log(), ViewpointKind.LOGGED)[0])


def test_the_target_of_a_straight_drive_by_hand(logged):
    arrays = arrays_of(logged)
    for rate, count in ((2, 10), (10, 50)):
        times = np.arange(1, count + 1) / rate
        np.testing.assert_allclose(arrays[f"time_{rate}hz"], times, rtol=1e-6)
        for name in ("target", "human"):
            wanted = np.stack([10 * times, 0 * times, 0 * times], axis=1)
            np.testing.assert_allclose(arrays[f"{name}_{rate}hz"], wanted, atol=1e-4)
            assert arrays[f"{name}_{rate}hz_valid"].all()


def test_the_history_of_a_straight_drive_by_hand(logged):
    arrays = arrays_of(logged)
    np.testing.assert_allclose(arrays["history_time"], np.arange(-20, 1) / 10, atol=1e-6)
    np.testing.assert_allclose(arrays["history_pose"][:, 0], arrays["history_time"] * 10, atol=1e-4)
    np.testing.assert_allclose(arrays["history_pose"][-1], 0, atol=1e-9)
    np.testing.assert_allclose(arrays["history_velocity"], np.tile([10.0, 0.0], (21, 1)), atol=1e-5)
    np.testing.assert_allclose(arrays["history_yaw_rate"], 0, atol=1e-9)
    assert arrays["history_valid"].all()


def test_the_neighbours_by_hand(logged):
    """The car ahead stood at x = 50 at t = 0 and drives at 10 m/s, the oncoming one at 180 with 9 m/s."""
    arrays = arrays_of(logged)
    assert list(arrays["box_id"]) == [f"track{row}" for row in range(6)]
    np.testing.assert_allclose(arrays["box_center"][0], [30.0, 0.0, 0.8], atol=1e-4)
    np.testing.assert_allclose(arrays["box_center"][2], [180 - 27 - 50, 3.5, 1.6], atol=1e-4)
    np.testing.assert_allclose(arrays["box_velocity"][2], [-9.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(np.abs(arrays["box_heading"][2]), np.pi, atol=1e-6)
    np.testing.assert_allclose(arrays["box_size"][2], [10.0, 2.5, 3.2], rtol=1e-6)
    assert list(arrays["box_class"]) == [1, 1, 1, 1, 2, 4]


def test_absent_agents_are_no_neighbours():
    log = small_log()
    log.tracks.valid[0, NOW] = False
    arrays = arrays_of(made(seats(log, ViewpointKind.LOGGED)[0]))
    assert list(arrays["box_id"]) == [f"track{row}" for row in range(1, 6)]
    assert list(arrays["box_instance"]) == [2, 3, 4, 5, 6]


def test_numbers_of_a_turned_seat_turn_with_it():
    """A recovery pose: its boxes and its human's way, brought back to the world, are those of the log."""
    viewpoint = seats(small_log(), ViewpointKind.RECOVERY)[0]
    arrays = arrays_of(made(viewpoint))
    pose, tracks = viewpoint.world_from_ego, viewpoint.tracks
    assert abs(viewpoint.parameters["heading"]) > 0.02
    world = transform_points(pose, arrays["box_center"].astype(float))
    np.testing.assert_allclose(world, tracks.positions[:, viewpoint.scene.history], atol=1e-4)
    human = pose @ pose_from_yaw(np.pad(arrays["human_10hz"][:, :2], ((0, 0), (0, 1))), arrays["human_10hz"][:, 2])
    logged = viewpoint.scene.log.ego.world_from_ego[NOW + 1 : NOW + 51]
    np.testing.assert_allclose(human[:, :2, 3], logged[:, :2, 3], atol=1e-4)
    np.testing.assert_allclose(human[:, :2, :2], logged[:, :2, :2], atol=1e-5)
    assert np.abs(arrays["target_10hz"] - arrays["human_10hz"]).max() > 0.1


@given(st.floats(-0.049, 5.049), st.integers(0, 2**31))
def test_poses_of_steady_motion_are_exact_between_and_just_beyond_uneven_steps(second, seed):
    jitter = np.random.default_rng(seed).integers(-20_000, 20_000, 51)
    jitter[0] = jitter[-1] = 0
    times = np.arange(51) * 100_000 + jitter + 7
    along = (times - 7) * 1e-6 * 12.0
    poses = pose_from_yaw(np.stack([along, 2 * along, 0 * along], axis=1), np.full(51, np.arctan(2)))
    found, valid = interpolate_poses_at(times, poses, 7, np.array([second]))
    assert valid.all() == (min(second, 5.0 - second) >= -0.5e-6 * int(np.median(np.diff(times))))
    if valid.all():
        np.testing.assert_allclose(found[0, :2, 3], [12.0 * second, 24.0 * second], atol=3e-5)


def test_rows_beyond_the_scene_are_marked():
    log = small_log()
    scene = Scene(log, NOW, 20, 40)
    viewpoint = build_viewpoints(scene, [ViewpointKind.LOGGED], ViewpointOptions(), 0, build_log_geometry(log))[0][0]
    arrays = arrays_of(made(viewpoint))
    assert list(arrays["target_2hz_valid"]) == [True] * 8 + [False] * 2
    np.testing.assert_array_equal(arrays["target_2hz"][8:], 0)


def test_rows_before_the_scene_are_zero():
    """A history of 1 s where 2 s are wanted: ten rows of pose, velocity, acceleration and yaw rate are not known."""
    log = small_log()
    seat = build_viewpoints(
        Scene(log, NOW, 10, 50), [ViewpointKind.LOGGED], ViewpointOptions(), 0, build_log_geometry(log)
    )[0][0]
    ones = replace(seat.ego, acceleration=seat.ego.acceleration + 1.0, yaw_rate=seat.ego.yaw_rate + 1.0)
    arrays = arrays_of(made(replace(seat, ego=ones)))
    assert list(arrays["history_valid"]) == [False] * 10 + [True] * 11
    for name in ("pose", "velocity", "acceleration", "yaw_rate"):
        assert not arrays[f"history_{name}"][:10].any()
        assert arrays[f"history_{name}"][10:-1].any(axis=-1).all()


def test_r3_the_calibration_moves_with_the_size_of_the_image():
    """The original cropped 20 rows without moving the principal point: 20 pixels between image and calibration."""
    sample = made(seats(small_log(), ViewpointKind.LOGGED)[0], size=(320, 240), fit="pad", cameras=("front",))
    camera = camera_of(details_of(sample)["cameras"][0])
    instance, arrays = decode_instance(sample.members["front.instance.png"]), arrays_of(sample)
    assert instance.shape == (240, 320)
    assert (camera.cx, camera.cy) == (160.0, 120.0)
    for row in (0, 1, 2, 4):
        center = arrays["box_center"][row].astype(float)
        pixels, _, seen = camera.project(transform_points(inverse(camera.ego_from_camera), center[None]))
        assert seen[0], row
        u, v = pixels[0].astype(int)
        assert instance[v, u] == arrays["box_instance"][row]


def camera_of(details):
    """The camera that a sample's JSON describes."""
    names = ("name", "width", "height", "fx", "fy", "cx", "cy")
    lens = Lens(LensModel[details["lens"].upper()], tuple(details["coefficients"]))
    return Camera(
        **{name: details[name] for name in names}, ego_from_camera=np.array(details["ego_from_camera"]), lens=lens
    )


def test_the_lens_is_told():
    log = small_log()
    bent = Lens(LensModel.BROWN, (-0.3, 0.1, 0.001, -0.001, 0.02))
    log = replace(log, cameras=tuple(replace(camera, lens=bent) for camera in log.cameras))
    viewpoint = seats(log, ViewpointKind.LOGGED)[0]
    told = camera_of(details_of(made(viewpoint))["cameras"][1])
    assert told.lens == bent
    np.testing.assert_array_equal(told.ego_from_camera, log.cameras[1].ego_from_camera)


def test_p2_j2_every_kind_has_keys_of_its_own():
    """The original's perturbed images overwrote the plain ones, and one checkpoint file served three jobs."""
    kinds = (ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)
    samples = [made(viewpoint) for viewpoint in seats(small_log(), *kinds)]
    keys = [sample.key for sample in samples]
    assert len(set(keys)) == len(keys) >= 3
    token = str(small_log().times_us[NOW])
    for kind in kinds:
        assert any(key.startswith(f"train-0-{token}-{kind.value}-") for key in keys)


def test_x11_every_sample_names_its_own_scene(logged):
    """The original left tokens None, and named the last frame of the loop as every frame's scene."""
    details = details_of(logged)
    token = str(small_log().times_us[NOW])
    assert (details["token"], details["time_us"], details["log"]) == (token, int(token), "train-0")
    assert logged.row["token"] == token
    assert details["key"] == logged.key == f"train-0-{token}-logged-0"


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_j7_all_kinds_have_one_format(image_format):
    """The original wrote JPEG or PNG by where a frame came from: compression told real from synthetic."""
    kinds = (ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)
    for viewpoint in seats(small_log(), *kinds):
        members = made(viewpoint, image_format=image_format, extra_outputs=()).members
        extension = {"jpeg": "jpg", "png": "png"}[image_format]
        assert sorted(members) == sorted(["json", "npz", f"front.{extension}", f"back.{extension}"])


def photographed(tmp_path, offset_us=37_000):
    """A log with one photograph of the front camera, taken between two steps."""
    log, file = small_log(), tmp_path / "front.jpg"
    file.write_bytes(encode_image(np.full((36, 64, 3), 200, np.uint8), "jpeg"))
    time = int(log.times_us[NOW]) + offset_us
    pose = interpolate_poses(log.times_us, log.ego.world_from_ego, np.array([time]))[0]
    return replace(log, photos=(Photo("front", time, pose, file),)), file


def test_j10_a_raster_beside_a_photograph_is_drawn_at_its_time_and_pose(tmp_path):
    """The original drew at the lidar's time: 50 ms at 14 m/s put raster and photograph 0.7 m apart."""
    log, file = photographed(tmp_path)
    viewpoint = seats(log, ViewpointKind.LOGGED)[0]
    sample = made(viewpoint, size=(320, 180))
    front, back = details_of(sample)["cameras"]
    assert front["time_us"] == log.photos[0].time_us
    assert back["time_us"] == log.times_us[NOW]
    np.testing.assert_allclose(np.array(front["now_from_capture"])[:3, 3], [0.37, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(back["now_from_capture"], np.eye(4))
    assert sample.members["front.photo.jpg"] == file.read_bytes()
    assert "back.photo.jpg" not in sample.members

    # Everybody keeps a steady speed but the braking car, so that the world at the photograph's time is known.
    seconds, tracks = 3.037, log.tracks.at(slice(NOW, NOW + 1))
    moved = tracks.positions + 0.037 * np.pad(tracks.velocities, ((0, 0), (0, 0), (0, 1)))
    moved[1, 0, 0] = 40 + 12 * seconds - 0.5 * seconds**2
    world = build_static(log.road_map).concatenate(
        build_dynamic(replace(tracks, positions=moved), log.lights.at(slice(NOW, NOW + 1)), 0)
    )
    camera = log.cameras[0].resized(320, 180)
    wanted = render(world, [camera], log.photos[0].world_from_ego[None], outputs=("rgb", "instance"))[0][0]
    without = made(seats(small_log(), ViewpointKind.LOGGED)[0], size=(320, 180))
    off = [(decode_image(one.members["front.png"]) != wanted.rgb).any(axis=2).sum() for one in (sample, without)]
    assert off[1] > 200, "the drawing moves within 37 ms"
    assert off[0] <= 10, "the braking car lies 1 mm off between its steps"


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_images_of_another_aspect_ratio_are_not_distorted(tmp_path, fit):
    """By hand: 36x64 on 64x36 is scaled by 16/9 and cut to 20.25 of 64 rows, or by 9/16 and 113.8 columns wide."""
    log, _ = photographed(tmp_path)
    upright = replace(log.cameras[0], width=36, height=64, fx=40.0, fy=40.0, cx=18.0, cy=30.0)
    viewpoint = seats(replace(log, cameras=(upright,)), ViewpointKind.LOGGED)[0]
    sample = made(viewpoint, size=(64, 36), fit=fit)
    entry = details_of(sample)["cameras"][0]
    scale = {"crop": 64 / 36, "pad": 36 / 64}[fit]
    assert [entry["fx"], entry["fy"]] == pytest.approx([40 * scale] * 2)
    assert [entry["cx"], entry["cy"]] == pytest.approx([32, 18 - 2 * scale])
    windows = {"crop": (0, 43.75 / 128, 1, 84.25 / 128), "pad": (0.5 - 512 / 324, 0, 0.5 + 512 / 324, 1)}
    assert entry["photo_window"] == pytest.approx(windows[fit])
    wanted = render(
        build_static(log.road_map).concatenate(build_dynamic(*dynamic_objects_at(viewpoint, entry["time_us"]), 0)),
        [camera_of(entry)],
        log.photos[0].world_from_ego[None],
    )[0][0]
    np.testing.assert_array_equal(decode_image(sample.members["front.png"]), wanted.rgb)


def test_j1_photographs_are_only_read(tmp_path):
    """The original wrote its rasters over the camera's own JPEGs."""
    log, file = photographed(tmp_path)
    file.chmod(0o444)
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    made(seats(log, ViewpointKind.LOGGED)[0])
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_only_the_logged_seat_has_photographs(tmp_path):
    """A photograph was taken from the logged pose; beside any other pose's raster it would be a wrong pair."""
    log, _ = photographed(tmp_path)
    for viewpoint in seats(log, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT):
        assert all(capture.photo is None for capture in image_requests(viewpoint))


def test_a_photograph_of_another_time_is_not_taken(tmp_path):
    log, _ = photographed(tmp_path, offset_us=51_000)
    assert all(capture.photo is None for capture in image_requests(seats(log, ViewpointKind.LOGGED)[0]))


def test_a_missing_photograph_is_an_error_that_names_it(tmp_path):
    log, file = photographed(tmp_path)
    file.unlink()
    with pytest.raises(SwerveError, match=r"front\.jpg"):
        made(seats(log, ViewpointKind.LOGGED)[0])


def test_a_photograph_that_is_cut_short_is_an_error_that_names_it(tmp_path):
    log, file = photographed(tmp_path)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SwerveError, match=r"front\.jpg: photo: ends before the image does"):
        made(seats(log, ViewpointKind.LOGGED)[0])


@pytest.mark.parametrize(("kind", "how"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})])
def test_the_beginning_of_an_image_is_told_from_the_whole(kind, how):
    """The JPEGs have a thumbnail, which is a whole image by itself, before their own."""
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 40, 3), np.uint8))
    small, whole = io.BytesIO(), io.BytesIO()
    noise.resize((10, 6)).save(small, "JPEG")
    noise.save(whole, kind, **how, **({"comment": small.getvalue()} if kind == "JPEG" else {}))
    content = whole.getvalue()
    assert not is_cut_short(content)
    assert not is_cut_short(content + bytes(64))
    headers = (
        content.index(b"\xff\xda", content.index(small.getvalue()) + len(small.getvalue())) if kind == "JPEG" else 0
    )
    end = content.rindex(b"IEND" if kind == "PNG" else b"\xff\xd9")
    assert all(is_cut_short(content[:length]) for length in range(headers + 2, end + 1))


def test_tracks_between_steps():
    log = small_log()
    log.tracks.headings[0, :2] = [3.1, -3.1]
    log.tracks.valid[3, 1] = False
    time = int(log.times_us[0]) + 30_000
    between = tracks_at(log.tracks, log.times_us, time)
    np.testing.assert_allclose(between.positions[0, 0, 0], 50.3)
    np.testing.assert_allclose(between.headings[0, 0], 3.1 + 0.3 * (2 * np.pi - 6.2))
    np.testing.assert_allclose(between.positions[3, 0], log.tracks.positions[3, 0])
    assert between.valid[3, 0]
    at_step = tracks_at(log.tracks, log.times_us, int(log.times_us[7]))
    np.testing.assert_allclose(at_step.positions[:, 0], log.tracks.positions[:, 7], rtol=1e-12)


def test_memory_of_one_viewpoint_does_not_show_in_the_next():
    """The drawer writes over its images: a seat drawn after another is as if drawn alone."""
    kinds = (ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)
    found = seats(small_log(), *kinds)
    options, watch = AugmentOptions(extra_outputs=("depth", "semantic", "instance")), Stopwatch()
    drawer = SampleRenderer(build_static(found[0].scene.log.road_map), options, watch)
    together = [encoded(viewpoint, drawer, options, watch).members for viewpoint in found]
    assert together == [made(viewpoint, extra_outputs=options.extra_outputs).members for viewpoint in found]
    assert watch.seconds["drawing"] > 0
    assert watch.seconds["encoding"] > 0


def test_smoothing_is_in_the_images_alone():
    log = small_log()
    (seat,) = seats(log, ViewpointKind.LOGGED)[:1]
    made = {}
    for samples in (1, 2):
        options = AugmentOptions(viewpoints=("logged",), size=(64, 36), supersampling=samples, extra_outputs=("depth",))
        drawer = SampleRenderer(build_static(log.road_map), options, Stopwatch())
        made[samples] = encoded(seat, drawer, options, Stopwatch()).members
    assert made[1]["front.png"] != made[2]["front.png"]
    assert made[1]["front.depth.png"] == made[2]["front.depth.png"]
    assert made[1]["npz"] == made[2]["npz"]
