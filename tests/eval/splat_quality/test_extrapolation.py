"""Distance from fitted photos and the share seen by them, computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.splats.photo_poses import PhotoPose
from swerve.eval.splat_quality import FittedPhotos
from swerve.rasterizer import View
from swerve.scenes import FORWARD, Camera
from swerve.scenes.transforms import pose_from_yaw, rigid_transform

# 90 degrees wide; its optical axis is the ego's x axis.
CAMERA = Camera("front", 40, 20, 20.0, 20.0, 20.0, 10.0, rigid_transform(FORWARD, np.zeros(3)))
TURN = np.deg2rad(30.0)


def ego(x=0.0, y=0.0, degrees=0.0):
    return pose_from_yaw(np.array([x, y, 0.0]), np.deg2rad(degrees))


def photo(pose, seconds, camera=CAMERA):
    return PhotoPose(camera, round(1e6 * seconds), pose)


def wall(pose, depth=10.0, instance=0):
    """A wall across the optical axis, `depth` metres ahead."""
    shape = (CAMERA.height, CAMERA.width)
    return View(CAMERA, pose, depth=np.full(shape, depth, np.float32), instance=np.full(shape, instance, np.int32))


def test_distance_is_to_the_path_between_photos():
    photos = FittedPhotos([photo(ego(0.0), 0.0), photo(ego(8.0), 0.5)])
    for pose, expected in (
        (ego(4.0, 2.0), 2.0),
        (ego(4.0, -2.0, 29.0), 2.0),
        (ego(11.0, 4.0), 5.0),
        (ego(-3.0), 3.0),
    ):
        assert photos.distance(pose @ CAMERA.ego_from_camera, TURN) == pytest.approx(expected)
    assert photos.distance(ego(4.0, 0.0, 31.0) @ CAMERA.ego_from_camera, TURN) == np.inf


def test_photos_long_apart_and_of_other_cameras_are_not_joined():
    apart = FittedPhotos([photo(ego(0.0), 0.0), photo(ego(8.0), 2.5)])
    assert apart.distance(ego(4.0, 3.0) @ CAMERA.ego_from_camera, TURN) == pytest.approx(5.0)
    two = FittedPhotos([photo(ego(0.0), 0.0), photo(ego(8.0), 0.5, replace(CAMERA, name="left"))])
    assert two.distance(ego(4.0) @ CAMERA.ego_from_camera, TURN) == pytest.approx(4.0)


def test_one_end_that_looked_the_same_way_is_enough():
    curve = FittedPhotos([photo(ego(0.0), 0.0), photo(ego(8.0, 0.0, 50.0), 0.5)])
    assert curve.distance(ego(4.0) @ CAMERA.ego_from_camera, TURN) == pytest.approx(0.0)
    assert curve.distance(ego(4.0, 0.0, -31.0) @ CAMERA.ego_from_camera, TURN) == np.inf


@pytest.mark.parametrize(("shift", "seen"), [(0.0, 1.0), (5.0, 0.75), (10.0, 0.5), (20.5, 0.0)])
def test_a_view_beside_shares_a_part_of_the_wall(shift, seen):
    """At 10 m the image is 20 m wide, in columns of 0.5 m."""
    photos = FittedPhotos([photo(ego(), 0.0)])
    assert photos.seen(wall(ego(0.0, shift))) == pytest.approx(seen, abs=0.03)


def test_photos_add_up_and_far_ones_do_not_count():
    both = FittedPhotos([photo(ego(0.0, 10.0), 0.0), photo(ego(0.0, -10.0), 0.5)])
    assert both.seen(wall(ego())) == pytest.approx(1.0, abs=0.06)
    # The wall is 51 m from the photo.
    assert FittedPhotos([photo(ego(-41.0), 0.0)]).seen(wall(ego())) == 0.0
    assert FittedPhotos([photo(ego(-39.0), 0.0)]).seen(wall(ego())) == 1.0


def test_vehicles_and_the_far_are_not_measured():
    photos = FittedPhotos([photo(ego(), 0.0)])
    assert np.isnan(photos.seen(wall(ego(), instance=3)))
    assert np.isnan(photos.seen(wall(ego(), depth=60.0)))
    with pytest.raises(ValueError, match="without depth or instance"):
        photos.seen(View(CAMERA, ego()))
