"""Fits of logs with a LiDAR, on a made-up road: a wall, a car that drives away, and points that lie on them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from swerve.data.splats.image_priors import image_priors
from swerve.data.splats.initialization import initial_scene
from swerve.data.splats.lidar import measured_depths, moving_nodes, split_sweep
from swerve.data.splats.lidar_surfels import (
    covered_pixels,
    gather_points,
    static_surfels,
    track_surfels,
    voxel_downsample,
)
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import empty_node
from swerve.data.splats.optimization.training_images import DepthKind
from swerve.scenes import LogError, Sweep
from swerve.scenes.transforms import inverse, transform_points
from tests.support.simple_log import simple_log

GROUND, WALL, CAR, SKY = (60, 120, 60), (200, 80, 40), (30, 60, 220), (180, 200, 240)
WALL_X, SPACING = 80.0, 0.12


def decode(path):
    return np.load(path)


def swept(log, folder, time_us, points):
    """A sweep whose file has points of the ego frame in a frame 0.3 m above it."""
    pose = moved_ego(log, time_us)
    path, lift = folder / f"{time_us}.npy", np.eye(4)
    lift[2, 3] = 0.3
    np.save(path, (np.asarray(points) - [0.0, 0.0, 0.3]).astype(np.float32))
    return Sweep(time_us, pose, lift, path, decode)


def moved_ego(log, time_us):
    """Return an ego that drives along x at 10 m/s."""
    pose = log.ego.world_from_ego[0].copy()
    pose[0, 3] += (time_us - log.times_us[0]) * 1e-5
    return pose


def picture_at(log, time_us, rgb=None, width=64, height=36):
    camera = log.cameras[0].resized(width, height)
    rgb = np.zeros((height, width, 3), np.uint8) if rgb is None else rgb
    return PosedImage(camera, int(time_us), moved_ego(log, time_us), rgb)


# Depths by hand: the camera is 1.5 m ahead of the ego's origin, 1.6 m up, and has a focal length of 50 pixels.


def depths_of(log, sweeps, time_us):
    (depth,) = measured_depths(replace(log, sweeps=tuple(sweeps)), [picture_at(log, time_us)])
    return {(row, column): float(depth[row, column]) for row, column in np.argwhere(np.isfinite(depth)).tolist()}


def test_depths_are_those_worked_out_by_hand(tmp_path):
    log, start = simple_log(), 1_000_000_000
    points = [
        [20.0, -0.01, 1.59],  # 0.5 m nearer when the photograph is taken: 18 m, just right of and below the middle
        [21.0, -0.01, 1.59],  # in the same pixel
        [80.0, -0.4, 1.2],  # in the next pixel, behind
        [11.5, 4.6, 0.6],  # 9.5 m: 4.6 / 9.5 * 50 = 24.2 pixels to the left, 1 / 9.5 * 50 = 5.3 down
        [1.0, 0.0, 1.6],  # behind the camera
        [-30.0, 0.0, 1.6],
        [10.0, 12.0, 1.0],  # beside the image
    ]
    found = depths_of(log, [swept(log, tmp_path, start, points)], start + 50_000)
    assert set(found) == {(18, 32), (23, 7)}
    np.testing.assert_allclose([found[18, 32], found[23, 7]], [18.0, 9.5], atol=1e-5)


def test_points_on_what_moves_go_with_its_box(tmp_path):
    """The car ahead is 30 m off and as fast as we are; on its rear, 27.8 m ahead, nothing comes nearer."""
    log, start = simple_log(), 1_000_000_000
    rear, roadside, below = [27.8, 0.0, 0.8], [27.8, 1.2, 0.8], [29.0, 0.3, 0.02]
    (rear_sweep,) = (swept(log, tmp_path, start, [rear, roadside, below]),)
    scan = split_sweep(log, moving_nodes(log), rear_sweep)
    # Beside the box by less than 0.3 m, and below it: nobody's.
    assert len(scan.static_points) == 0
    np.testing.assert_allclose(scan.track_points[0], [[-2.2, 0.0, 0.0]], atol=1e-5)
    assert sum(map(len, scan.track_points.values())) == 1
    found = depths_of(log, [rear_sweep], start + 100_000)
    assert list(found) == [(18 + int(0.8 / 26.3 * 50), 32)]
    np.testing.assert_allclose(list(found.values()), 26.3, atol=1e-5)
    # Once its box is known no longer, nobody knows where it is.
    valid = log.tracks.valid.copy()
    valid[0, 1:] = False
    gone = replace(log, tracks=replace(log.tracks, valid=valid))
    assert len(split_sweep(gone, {0: empty_node(gone, 0)}, rear_sweep).track_points[0]) == 1
    valid[0, :] = np.arange(len(log.times_us)) % 2 == 0
    assert depths_of(replace(log, tracks=replace(log.tracks, valid=valid)), [rear_sweep], start + 100_000) == found


def test_the_sweeps_before_and_after_count_if_they_are_near(tmp_path):
    log, start = simple_log(), 1_000_000_000
    # One point each, at heights of their own, 20 m ahead of the ego's place at the start.
    times = [0, 100_000, 200_000, 300_000]
    sweeps = [swept(log, tmp_path, start + time, [[20.0 - time * 1e-5, 0.01, 3.0 - n]]) for n, time in enumerate(times)]
    heights = lambda time: sorted(row for row, _ in depths_of(log, sweeps, start + time))  # noqa: E731
    assert heights(150_000) == [int(18 - 0.4 / 17 * 50), int(18 + 0.6 / 17 * 50)]
    assert len(heights(100_000)) == 2
    assert len(heights(350_000)) == 1
    assert heights(451_000) == []


def test_a_damaged_sweep_ends_the_fit_of_its_log(tmp_path):
    def broken(path):
        raise LogError(path, "file", "is damaged")

    log = simple_log()
    sweep = replace(swept(log, tmp_path, 1_000_000_000, [[5.0, 0, 0]]), decode=broken)
    with pytest.raises(LogError, match="is damaged"):
        measured_depths(replace(log, sweeps=(sweep,)), [picture_at(log, 1_000_000_000)])


# The start of a fit: photographs of one colour for each surface, points on the surfaces.


def road_log():
    """The car ahead alone, no map."""
    log = simple_log()
    return replace(log, tracks=log.tracks.select_tracks(np.array([0])), road_map=None, route=())


def photograph(log, time_us, width=160, height=90):
    """Each pixel in the colour of what its middle shows."""
    blank = picture_at(log, time_us, None, width, height)
    camera, pose = blank.camera, blank.world_from_camera
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = camera.unproject(np.stack([u.ravel(), v.ravel()], axis=1)) @ pose[:3, :3].T
    eye, colors = pose[:3, 3], np.tile(np.array(SKY, np.uint8), (width * height, 1))
    with np.errstate(divide="ignore"):
        wall = (WALL_X - eye[0]) / rays[:, 0]
        ground = np.where(rays[:, 2] < 0, -eye[2] / rays[:, 2], np.inf)
    colors[(eye[2] + wall * rays[:, 2]) < 5.0] = WALL
    colors[ground < wall] = GROUND
    box = inverse(moving_nodes(log)[0].pose_at(time_us))
    colors[hits_box(box[:3, :3] @ eye + box[:3, 3], rays @ box[:3, :3].T, log.tracks.sizes[0, 0] / 2)] = CAR
    return replace(blank, rgb=colors.reshape(height, width, 3))


def hits_box(eye, rays, half):
    """Slabs."""
    with np.errstate(divide="ignore"):
        sides = np.stack([(-half - eye) / rays, (half - eye) / rays])
    return sides.min(axis=0).max(axis=1) < sides.max(axis=0).min(axis=1)


def points_of_road(log, time_us):
    """On the ground, on the wall, on the car's rear and roof (5 cm below its box's), in the ego frame."""
    grid = lambda *axes: np.stack([a.ravel() for a in np.meshgrid(*axes)], axis=1)  # noqa: E731
    ys = np.arange(-8.0, 5.0, 0.4)
    ground = grid(np.arange(25.0, WALL_X - 0.5, 0.4), ys, [0.0])
    wall = grid([WALL_X], ys, np.arange(0.2, 5.0, 0.4))
    rear = grid([-2.25], np.arange(-0.9, 0.91, 0.1), np.arange(-0.65, 0.76, 0.1))
    roof = grid(np.arange(-2.2, 2.2, 0.2), np.arange(-0.9, 0.91, 0.2), [0.75])
    car = transform_points(moving_nodes(log)[0].pose_at(time_us), np.concatenate([rear, roof]))
    return transform_points(inverse(moved_ego(log, time_us)), np.concatenate([ground, wall, car]))


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """The log with three sweeps, and three photographs of it, each 50 ms after a sweep."""
    log, folder = road_log(), tmp_path_factory.mktemp("road")
    times = [int(log.times_us[0]) + second * 1_000_000 for second in range(3)]
    log = replace(log, sweeps=tuple(swept(log, folder, time, points_of_road(log, time)) for time in times))
    known = image_priors(log, [photograph(log, time + 50_000) for time in times])
    return log, known


@cache
def as_floats(color):
    return np.array(color) / 255


def test_points_lie_on_the_surfaces_in_their_colours(road):
    log, known = road
    cloud = static_surfels(gather_points(log, 3000, SPACING), known, 3000)
    assert 1000 < len(cloud.centers) <= 3000
    on_ground, on_wall = np.abs(cloud.centers[:, 2]) < 1e-4, np.abs(cloud.centers[:, 0] - WALL_X) < 1e-4
    assert (on_ground | on_wall).all()
    assert min(on_ground.sum(), on_wall.sum()) > 100
    # Where they meet one pixel shows both.
    for rows, color in ((on_ground & (cloud.centers[:, 0] < 70), GROUND), (on_wall & (cloud.centers[:, 2] > 1), WALL)):
        right = (np.abs(cloud.colors[rows] - as_floats(color)) < 1e-6).all(axis=1)
        assert right.mean() > 0.99
    inner = on_ground & (np.abs(cloud.centers[:, 1] + 1.5) < 4) & (cloud.centers[:, 0] < 60)
    upright = cloud.covariances[inner, 2, 2] / np.trace(cloud.covariances[inner], axis1=1, axis2=2)
    assert np.median(upright) < 0.05


def test_points_of_the_car_are_in_its_box(road):
    log, known = road
    cloud = track_surfels(gather_points(log, 3000, SPACING), known, moving_nodes(log)[0])
    assert len(cloud.centers) >= 100
    rear, roof = np.abs(cloud.centers[:, 0] + 2.25) < 1e-4, np.abs(cloud.centers[:, 2] - 0.75) < 1e-4
    assert (rear | roof).all()
    assert rear.sum() > 80
    np.testing.assert_allclose(cloud.colors, np.tile(as_floats(CAR), (len(cloud.colors), 1)), atol=1e-6)


def test_a_fit_starts_from_the_points_and_is_held_to_them(road):
    log, known = road
    scene = initial_scene(log, known, 4000)
    places = scene.background.means + scene.origin
    flat = (np.abs(places[:, 2]) < 0.02) | (np.abs(places[:, 0] - WALL_X) < 0.02)
    assert flat.mean() > 0.7
    colors = 0.5 + 0.28209479 * scene.background.sh_coefficients[flat, 0]
    blue = np.abs(colors - as_floats(CAR)).max(axis=1) < 0.05
    assert blue.mean() < 0.01
    (node,) = scene.nodes
    assert (node.name, node.instance) == (log.tracks.ids[0], 1)
    assert (np.abs(node.gaussians.means) <= log.tracks.sizes[0, 0] / 2).all()
    for view in known:
        assert view.to_training_image.depth.kind is DepthKind.LIDAR
        seen = view.lidar_depth[np.isfinite(view.lidar_depth) & (view.instance == 1)]
        # 28.5 m to its front, no ground behind it.
        assert len(seen) > 10
        np.testing.assert_allclose(seen, 26.25, atol=4.6)
        bare = replace(view, lidar_depth=np.full_like(view.lidar_depth, np.inf))
        assert bare.to_training_image.depth.kind is DepthKind.RASTER


def test_no_points_leave_everything_to_the_photographs(road):
    log, known = road
    bare = replace(log, sweeps=())
    scan = gather_points(bare, 3000, SPACING)
    assert (
        len(static_surfels(scan, known, 3000).centers)
        == len(track_surfels(scan, known, moving_nodes(log)[0]).centers)
        == 0
    )
    assert not covered_pixels(known[0].image, np.zeros((0, 3))).any()
    assert all(np.isinf(depth).all() for depth in measured_depths(bare, [view.image for view in known]))
    # The rear of the car's box is 5 cm behind the points on it.
    (node,) = initial_scene(bare, known, 4000).nodes
    assert np.median(node.gaussians.means[:, 0]) == pytest.approx(-2.3, abs=0.02)


def test_cubes_keep_their_first_point_and_thinning_stays_within_its_bound(road, generator):
    points = np.array([[0.1, 0.1, 0.1], [0.9, 0.9, 0.9], [1.1, 0.1, 0.1], [-0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])
    assert voxel_downsample(points, 1.0).tolist() == [0, 2, 3]
    assert voxel_downsample(points[:0], 1.0).tolist() == []
    cloud = generator.uniform(-1e4, 1e4, (500, 3))
    assert len(voxel_downsample(cloud, 0.05)) == 500
    log, _ = road
    assert 200 < len(gather_points(log, 200, SPACING).static_points) <= 600
