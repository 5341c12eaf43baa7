"""From photographs to the scene that a fit starts from, against a street whose depths are known."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from swerve.data.sources.registry import open_source
from swerve.data.sources.town.photos import SyntheticImage, TownPhotoRenderer
from swerve.data.splats import log_images as pictures_module
from swerve.data.splats.depth_from_motion import depths_by_motion
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.fit_log import ground_of
from swerve.data.splats.held_out_quality import evaluate_quality, exposures_between, render_at
from swerve.data.splats.image_priors import image_priors
from swerve.data.splats.initialization import initial_scene
from swerve.data.splats.log_images import PosedImage, images_of_log
from swerve.data.splats.moving_tracks import moving_rows
from swerve.data.splats.surfels import surfels_of
from swerve.scenes import LogError, SwerveError
from swerve.scenes.transforms import inverse, rotation_from_quaternion, transform_points
from tests.support.blocky_street import street_depth
from tests.support.simple_source import small_log
from tests.support.town_logs import town

LEFT = SceneOptions(cameras=("left",), test_cameras=("right",), holdout_interval=4, image_scale=1.0)


def test_photographs_are_split_by_camera_and_number(street_log):
    pictures = images_of_log(street_log, LEFT)
    # Frames 1, 5 and 9 of ten; every frame of the right camera.
    assert [picture.time_us // 100_000 for picture in pictures.held_out] == [1, 5, 9]
    assert [picture.time_us // 100_000 for picture in pictures.train] == [0, 2, 3, 4, 6, 7, 8]
    assert {picture.camera.name for picture in (*pictures.train, *pictures.held_out)} == {"left"}
    assert [picture.camera.name for picture in pictures.test_cameras] == ["right"] * 10
    everything = images_of_log(street_log, SceneOptions(holdout_interval=0, image_scale=1.0, photo_interval=0.2))
    assert len(everything.train) == 2 * 5
    assert not everything.held_out


def test_the_camera_goes_with_the_size_of_the_image(street_log):
    (camera, _), picture = street_log.cameras, images_of_log(street_log, replace(LEFT, image_scale=0.5)).train[0]
    assert picture.rgb.shape == (32, 48, 3)
    assert (picture.camera.fx, picture.camera.cx, picture.camera.width) == (camera.fx / 2, camera.cx / 2, 48)
    whole = images_of_log(street_log, LEFT).train[0].rgb
    # Rounded twice.
    np.testing.assert_allclose(
        picture.rgb, whole.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3)), atol=1.01
    )  # rounded twice


def test_depth_by_motion_is_the_streets(street_log):
    pictures = images_of_log(street_log, LEFT).train
    errors, shares = [], []
    for picture, depth in zip(pictures, depths_by_motion(pictures), strict=True):
        truth = street_depth(0, picture.time_us // 100_000, 64, 96)
        found = np.isfinite(depth)
        shares.append(found.mean())
        errors.append(np.abs(depth[found] / truth[found] - 1))
    assert np.mean(shares) > 0.2
    errors = np.concatenate(errors)
    assert np.median(errors) < 0.05
    assert np.quantile(errors, 0.9) < 0.25


def test_a_photograph_without_a_partner_has_no_depth(street_log):
    (first, *_) = images_of_log(street_log, LEFT).train
    assert not np.isfinite(depths_by_motion([first])[0]).any()


def test_the_start_shows_the_street(street_log):
    pictures = images_of_log(street_log, LEFT)
    scene = initial_scene(street_log, image_priors(street_log, pictures.train), 20_000)
    found = evaluate_quality(scene, pictures.held_out)
    assert found.images == 3
    # The mean colour alone gives 17 dB.
    assert found.psnr > 19
    assert 500 < len(scene.background) <= 20_000


def test_nothing_that_is_held_out_leaks(street, street_log, tmp_path):
    """The start is the same whatever the photographs show that are only there to measure."""
    other = tmp_path / "street"
    shutil.copytree(street, other)
    for name, frames in (("image_l", (1, 5, 9)), ("image_r", range(10))):
        for frame in frames:
            Image.fromarray(np.full((64, 96), 255, np.uint8)).save(other / name / f"{frame:06d}.png")
    starts = []
    for log in (street_log, open_source(f"kitti:{other}").load("street")):
        scene = initial_scene(log, image_priors(log, images_of_log(log, LEFT).train), 5_000)
        starts.append(scene)
    np.testing.assert_array_equal(starts[0].background.means, starts[1].background.means)
    np.testing.assert_array_equal(starts[0].background.sh_coefficients, starts[1].background.sh_coefficients)
    np.testing.assert_array_equal(starts[0].sky.sh_coefficients, starts[1].sky.sh_coefficients)


def test_surfels_lie_on_the_surface(street_log):
    """On a level plane under the camera their thin axis is upright, and their places are on it."""
    picture = images_of_log(street_log, LEFT).train[0]
    camera = picture.camera
    v = np.arange(camera.height)[:, None] + 0.5
    depth = np.broadcast_to(1.65 * camera.fy / np.maximum(v - camera.cy, 0.1), (camera.height, camera.width))
    rows, columns = np.array([50, 60]), np.array([40, 20])
    gaussians = surfels_of(picture, depth, rows, columns, (np.array([2, 2]),) * 2).gaussians(1, 0.5)
    places = transform_points(inverse(picture.world_from_camera), gaussians.means.astype(np.float64))
    np.testing.assert_allclose(places[:, 1], 1.65, atol=1e-5)
    np.testing.assert_allclose(places[:, 2], depth[rows, columns], rtol=1e-5)
    axes = rotation_from_quaternion(gaussians.quaternions.astype(np.float64))
    thin = axes[np.arange(2), :, gaussians.log_scales.argmin(axis=1)]
    np.testing.assert_allclose(np.abs(thin @ picture.world_from_camera[:3, 1]), 1.0, atol=1e-3)
    # Along the road it is longer than across by depth / height, 1.2 / 0.65: rows lie farther apart than columns.
    longest = np.exp(gaussians.log_scales).max(axis=1)
    np.testing.assert_allclose(longest, 0.6 * 2 * depth[rows, columns] ** 2 / (camera.fy * 1.65), rtol=0.1)


def test_without_a_map_the_ground_is_where_the_car_drove(street_log):
    height = ground_of(street_log)
    found = height(np.array([[1.0, 0.4], [1.0, -1.4], [1.0, 3.0]]))
    np.testing.assert_allclose(found, [0.0, 0.0, np.nan], atol=1e-6)


def test_exposures_of_what_is_held_out_lie_between_its_neighbours(street_log):
    pictures = images_of_log(street_log, LEFT)
    exposures = np.tile(np.eye(3, 4), (7, 1, 1))
    # Fitted are frames 0, 2, 3, 4, 6, ...: frame 1 lies between the first two, 5 between 4 and 6, 9 after all.
    exposures[0, 0, 3], exposures[1, 0, 3], exposures[4, 1, 1], exposures[6, 2, 3] = 0.2, 0.1, 3.0, 0.5
    found = exposures_between(pictures.held_out, pictures.train, exposures)
    assert found.shape == (3, 3, 4)
    np.testing.assert_allclose([found[0, 0, 3], found[1, 1, 1], found[2, 2, 3]], [0.15, 2.0, 0.5])
    scene = initial_scene(street_log, image_priors(street_log, pictures.train), 5_000)
    dark = np.eye(3, 4) * 0.5
    plain, half = (render_at(scene, pictures.held_out[0], exposure) for exposure in (None, dark))
    np.testing.assert_allclose(half, plain / 2, atol=1.0)


def pictures_of_town(log, generator):
    """A second of it from the front, small, of noise."""
    camera = next(camera for camera in log.cameras if camera.name == "front").resized(96, 56)
    steps = (0, 5, 10)
    noise = generator.integers(0, 255, (len(steps), 56, 96, 3)).astype(np.uint8)
    return [
        PosedImage(camera, int(log.times_us[step]), log.ego.world_from_ego[step], rgb)
        for step, rgb in zip(steps, noise, strict=True)
    ]


def test_moving_tracks_become_nodes_that_hold_what_is_seen_of_them(generator):
    log = town(1)  # the ego moves: nothing stands before it whose ground has its depth
    known = image_priors(log, pictures_of_town(log, generator))
    scene = initial_scene(log, known, 20_000)
    rows = moving_rows(log.tracks)
    assert 0 < len(scene.nodes) < len(rows) < len(log.tracks)
    for node in scene.nodes:
        row = node.instance - 1
        assert row in rows
        assert node.name == log.tracks.ids[row]
        half = np.median(log.tracks.sizes[row, log.tracks.valid[row]], axis=0) / 2
        assert (np.abs(node.gaussians.means) <= half + 0.31).all()
        np.testing.assert_allclose(node.world_from_node[:, :3, 3], log.tracks.positions[row, log.tracks.valid[row]])
    # Of what moves nothing is in the background: no Gaussian is at a pixel that a moving track shows, at its depth.
    for view in known:
        places = scene.background.means + scene.origin
        pixels, depths, inside = view.image.camera.project_world(places, view.image.world_from_ego)
        columns, rows = np.floor(pixels[inside]).astype(int).T
        moving = view.instance[rows, columns] > 0
        assert moving.any()
        off = np.abs(depths[inside][moving] / view.depth[rows, columns][moving] - 1)
        assert np.median(off) > 0.1


def test_of_towns_stand_ins_are_drawn(monkeypatch):
    class Studio(TownPhotoRenderer):
        def __init__(self, log, seed):
            self.log, self.seed = log, seed

        def photograph(self, cameras, pose, tracks, lights):
            assert tracks.valid.shape[1] == 1
            (camera,) = cameras
            step = np.flatnonzero((self.log.ego.world_from_ego == pose).all(axis=(1, 2)))[0]
            rgb = np.full((camera.height, camera.width, 3), step, np.uint8)
            return [SyntheticImage(rgb, np.zeros(rgb.shape[:2], np.int32))]

    monkeypatch.setattr(pictures_module, "TownPhotoRenderer", Studio)
    options = SceneOptions(cameras=("front", "left"), holdout_interval=2, photo_interval=5.0, image_scale=0.05)
    pictures = images_of_log(town(3), options)
    assert [(p.camera.name, int(p.rgb[0, 0, 0])) for p in pictures.train[:2]] == [("front", 0), ("front", 100)]
    assert [(p.camera.name, int(p.rgb[0, 0, 0])) for p in pictures.held_out[:2]] == [("front", 50), ("front", 150)]
    assert pictures.train[0].rgb.shape == (56, 96, 3)


def test_what_cannot_be_fitted_is_refused(street_log, tmp_path):
    with pytest.raises(SwerveError, match="has no camera 'rear'; it has left, right"):
        images_of_log(street_log, replace(LEFT, cameras=("rear",)))
    with pytest.raises(SwerveError, match="has no photos of camera"):
        images_of_log(small_log(), SceneOptions())
    with pytest.raises(SwerveError, match="left must not be in both cameras and test_cameras"):
        SceneOptions(cameras=("left",), test_cameras=("left", "right"))
    with pytest.raises(SwerveError, match="scale: must lie between"):
        SceneOptions(image_scale=2.0)
    with pytest.raises(SwerveError, match="photos of camera 'right' have 14x10 pixels at this scale, 11x11 are"):
        images_of_log(street_log, SceneOptions(cameras=("right",), image_scale=0.15))
    bad = replace(street_log.photos[0], file=tmp_path / "none.png")
    with pytest.raises(LogError, match=r"none.png: photo of left: cannot be read"):
        images_of_log(replace(street_log, photos=(bad,)), replace(LEFT, test_cameras=()))
    known = image_priors(street_log, images_of_log(street_log, LEFT).train[:2])
    with pytest.raises(SwerveError, match="nodes alone take 0 Gaussians of 500"):
        initial_scene(street_log, known, 500)
