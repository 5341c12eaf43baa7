"""The renderer service: images of the same poses as those of the renderers themselves."""

import numpy as np
import pytest

from swerve.data.dataset.image_encoding import decode_image
from swerve.eval.alpasim import RendererService, Server
from swerve.eval.alpasim.camera_specs import camera_message, camera_of
from swerve.eval.alpasim.frames import pose_message, pose_of, trajectory_of
from swerve.eval.alpasim.protocol import RENDERER, protocol
from swerve.eval.alpasim.stub import Stub
from swerve.eval.benchmark.view_renderers import RasterRenderer, Snapshot
from swerve.scenes import SwerveError
from swerve.scenes.transforms import pose_from_yaw
from tests.support.alpasim_client import OneTown

STEP = 40


@pytest.fixture(scope="module")
def source():
    return OneTown()


@pytest.fixture(scope="module")
def log(source):
    return source.load(source.names()[0])


@pytest.fixture(scope="module")
def stub(source):
    service = RendererService(source, RasterRenderer())
    with Server(RENDERER, service.methods, "127.0.0.1", 0, 8) as server:
        stub = Stub(RENDERER, f"127.0.0.1:{server.port}", 60.0)
        yield stub
        stub.close()


def request_of(log, camera, objects=True, step=STEP, image_format=1):
    """Return a request for a camera at a logged pose, with the logged objects."""
    messages = protocol()
    small = camera.resized(192, 112)
    pose = pose_message(log.ego.world_from_ego[step] @ camera.ego_from_camera)
    request = messages.RGBRenderRequest(
        scene_id=log.name,
        resolution_w=192,
        resolution_h=112,
        camera_intrinsics=camera_message(camera).intrinsics,
        frame_start_us=int(log.times_us[step]),
        frame_end_us=int(log.times_us[step]),
        sensor_pose=messages.PosePair(start_pose=pose, end_pose=pose),
        image_format=image_format,
    )
    tracks = log.tracks.at(slice(step, step + 1))
    for row in np.flatnonzero(tracks.valid[:, 0]) if objects else ():
        own = pose_message(pose_from_yaw(tracks.positions[row, 0], tracks.headings[row, 0]))
        pair = messages.PosePair(start_pose=own, end_pose=own)
        request.dynamic_objects.append(messages.DynamicObject(track_id=tracks.ids[row], pose_pair=pair))
    return request, small


def expected(log, camera, tracks, step=STEP):
    lights = log.lights.at(slice(step, step + 1))
    snapshot = Snapshot(log.ego.world_from_ego[step], tracks, lights, int(log.times_us[step]))
    return RasterRenderer().prepare(log).render(snapshot, [camera])[0]


def differing(image, other):
    """Return the share of pixels that differ: poses are rounded to single precision, which moves edges."""
    return (image.astype(int) != other).any(axis=2).mean()


@pytest.mark.parametrize("name", ["front", "back_left"])
def test_images_are_those_of_the_renderer(stub, log, name):
    camera = next(one for one in log.cameras if one.name == name)
    request, small = request_of(log, camera)
    image = decode_image(stub.call("render_rgb", request).image_bytes)
    own = expected(log, small, log.tracks.at(slice(STEP, STEP + 1)))
    assert image.shape == (112, 192, 3)
    assert differing(image, own) < 2e-3
    assert differing(own, np.roll(own, 3, axis=1)) > 0.02  # it would be seen if it were another pose


def test_objects_are_where_the_request_has_them(stub, log):
    """Moved objects are drawn there; those not named are left out unless they never move."""
    camera = next(one for one in log.cameras if one.name == "front")
    tracks = log.tracks.at(slice(STEP, STEP + 1))
    ahead = log.ego.world_from_ego[STEP] @ np.array([12.0, 0.0, 1.0, 1.0])
    moving = np.ptp(np.where(log.tracks.valid[..., None], log.tracks.positions, np.nan)[..., 0], axis=1)
    row = int(np.nanargmax(np.where(tracks.valid[:, 0], moving, np.nan)))
    request, _ = request_of(log, camera, objects=False)
    none = decode_image(stub.call("render_rgb", request).image_bytes)
    messages = protocol()
    placed = pose_message(pose_from_yaw(ahead[:3], 0.3))
    request.dynamic_objects.append(
        messages.DynamicObject(
            track_id=tracks.ids[row], pose_pair=messages.PosePair(start_pose=placed, end_pose=placed)
        )
    )
    with_one = decode_image(stub.call("render_rgb", request).image_bytes)
    assert 0.01 < differing(none, with_one) < 0.6
    middle = with_one[40:80, 70:120].astype(int) != none[40:80, 70:120]
    assert middle.any(axis=2).mean() > 0.3


def test_formats_and_batches(stub, log):
    camera = next(one for one in log.cameras if one.name == "front")
    messages = protocol()
    png, _ = request_of(log, camera)
    jpeg, _ = request_of(log, camera, image_format=2)
    planar, _ = request_of(log, camera, image_format=4)
    bad, _ = request_of(log, camera)
    bad.scene_id = "nowhere"
    items = [
        messages.BatchRGBRenderRequestItem(camera_name=name, request=one)
        for name, one in {"png": png, "jpeg": jpeg, "planar": planar, "bad": bad}.items()
    ]
    batch = stub.call("batch_render_rgb", messages.BatchRGBRenderRequest(items=items))
    assert [(one.camera_name, one.success) for one in batch.items] == [
        *(("png", True), ("jpeg", True), ("planar", True), ("bad", False))
    ]
    assert "no scene 'nowhere'" in batch.items[3].error_message
    images = [decode_image(one.result.image_bytes) for one in batch.items[:2]]
    raw = np.frombuffer(batch.items[2].result.image_bytes, np.uint8).reshape(3, 112, 192).transpose(1, 2, 0)
    assert np.array_equal(images[0], raw)
    assert np.abs(images[1].astype(int) - images[0]).mean() < 4.0
    both = stub.call("render_aggregated", messages.AggregatedRenderRequest(rgb_requests=[png, jpeg]))
    assert both.rgb_returns[0].image_bytes == batch.items[0].result.image_bytes


def test_scenes_cameras_and_drives_are_told(stub, source, log):
    messages = protocol()
    assert tuple(stub.call("get_available_scenes", messages.Empty()).scene_ids) == source.names()
    told = stub.call("get_available_cameras", messages.AvailableCamerasRequest(scene_id=log.name))
    found = [camera_of(one) for one in told.available_cameras]
    assert [one.name for one in found] == [one.name for one in log.cameras]
    points = np.array([[1.0, 0.5, 6.0], [-2.0, 0.0, 8.0]])
    assert np.allclose(found[0].project(points)[0], log.cameras[0].project(points)[0], atol=1e-6)
    (driven,) = stub.call(
        "get_available_trajectories", messages.AvailableTrajectoriesRequest(scene_id=log.name)
    ).available_trajectories
    times, poses = trajectory_of(driven.trajectory, "recorded")
    assert np.array_equal(times, log.times_us)
    assert np.allclose(poses, log.ego.world_from_ego, atol=1e-4)
    loaded = stub.call("get_loaded_scenes", messages.Empty())
    assert [one.scene_id for one in loaded.scenes] == [log.name]
    assert len(stub.call("get_available_ego_masks", messages.Empty()).ego_mask_metadata) == 0
    assert stub.check_version().startswith("swerve-raster-rap")


def test_what_cannot_be_rendered_is_named(stub, log):
    camera = log.cameras[0]
    messages = protocol()

    def changed(change):
        request, _ = request_of(log, camera)
        change(request)
        return request

    for change, reason in (
        (lambda one: setattr(one, "image_format", 5), "INVALID_ARGUMENT.*image_format 5"),
        (lambda one: setattr(one, "insert_ego_mask", True), "insert_ego_mask"),
        (lambda one: setattr(one, "resolution_w", 20_000), "pixels"),
        (lambda one: setattr(one.dynamic_objects[0], "track_id", "ghost"), "'ghost' is no track of the log"),
        (lambda one: one.sensor_pose.Clear(), "sensor_pose"),
        (lambda one: one.camera_intrinsics.Clear(), "resolution is 0x0"),
    ):
        with pytest.raises(SwerveError, match=reason):
            stub.call("render_rgb", changed(change))
    with pytest.raises(SwerveError, match=r"NOT_FOUND.*no scene 'x'"):
        stub.call("get_available_cameras", messages.AvailableCamerasRequest(scene_id="x"))
    with pytest.raises(SwerveError, match=r"UNIMPLEMENTED.*LiDAR"):
        stub.call("render_lidar", messages.LidarRenderRequest())


def test_a_pose_beyond_the_log_is_drawn_at_its_nearest_time(stub, log):
    request, _ = request_of(log, log.cameras[0], objects=False)
    request.frame_end_us = int(log.times_us[-1]) + 10_000_000
    assert decode_image(stub.call("render_rgb", request).image_bytes).shape == (112, 192, 3)
    assert np.isfinite(pose_of(request.sensor_pose.end_pose, "pose")).all()
