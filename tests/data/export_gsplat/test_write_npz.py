"""Exported scenes are read back by what gsplat's format says, without Swerve's own code."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from swerve.data.export_gsplat.gsplat_options import GsplatOptions
from swerve.data.export_gsplat.pinhole_images import undistorted
from swerve.data.export_gsplat.write_npz import gsplat_scene
from swerve.data.sources.registry import open_source
from swerve.scenes import FORWARD, Camera, Lens, LensModel, SwerveError
from swerve.scenes.transforms import rigid_transform
from tests.support.dgp_scene import BOX_AT, write_dgp

# The layout: shapes of f frames, c cameras, h rows, w columns, m points.
LAYOUT = {
    "images": ("u1", "fchw3"),
    "cam_intrinsics": ("f4", "c4"),
    "cam_to_worlds": ("f4", "fc44"),
    "lidar_points": ("f4", "m4"),
    "lidar_frame_indices": ("i4", "m"),
    "lidar_to_worlds": ("f4", "f44"),
    "is_test": ("b1", "f"),
    "camera_names": ("U", "c"),
    "frame_ids": ("i4", "f"),
    "downsample": ("i4", ""),
}


def read_as_gsplat_does(path):
    """Read the file without pickles, check types and shapes, and return the arrays and the trainer's camera matrices.

    As in av_trainer.py, view matrices are the inverses of the cameras' poses, and K is made of fx, fy, cx, cy.
    """
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert set(arrays) == set(LAYOUT)
    sizes = {"3": 3, "4": 4}
    for name, (kind, axes) in LAYOUT.items():
        found = arrays[name]
        assert found.dtype.str[1:].startswith(kind), name
        assert found.ndim == len(axes), name
        for axis, size in zip(axes, found.shape, strict=True):
            assert sizes.setdefault(axis, size) == size, name
    matrices = np.zeros((sizes["c"], 3, 3))
    for row, (fx, fy, cx, cy) in enumerate(arrays["cam_intrinsics"]):
        matrices[row] = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    return arrays, matrices, np.linalg.inv(arrays["cam_to_worlds"].astype(float))


@pytest.fixture(scope="module")
def dgp_log(tmp_path_factory):
    folder = write_dgp(tmp_path_factory.mktemp("dgp") / "scene", steps=4)
    return open_source(f"dgp:{folder}").load("scene")


def written(log, options, folder):
    path = folder / "scene.npz"
    path.write_bytes(gsplat_scene(log, options).encode())
    return read_as_gsplat_does(path)


def test_a_scene_is_what_the_log_holds(dgp_log, tmp_path):
    arrays, matrices, viewmats = written(dgp_log, GsplatOptions(image_scale=1.0, holdout_interval=3), tmp_path)
    assert arrays["camera_names"].tolist() == ["CAMERA_01", "CAMERA_05"]
    assert arrays["is_test"].tolist() == [False, True, False, False]
    assert arrays["frame_ids"].tolist() == [0, 1, 2, 3]
    assert arrays["downsample"] == 1
    photos = [photo for photo in dgp_log.photos if photo.camera == "CAMERA_05"]
    for frame, photo in enumerate(photos):
        with Image.open(photo.file) as image:
            np.testing.assert_array_equal(arrays["images"][frame, 1], np.asarray(image.convert("RGB")))
    # The parked car's centre lies where the log's own camera sees it.
    box = dgp_log.tracks.positions[0, 0]
    seen = 0
    for frame, photo in enumerate(photo for photo in dgp_log.photos if photo.camera == "CAMERA_01"):
        x, y, z = (viewmats[frame, 0] @ [*box, 1.0])[:3]
        u, v, _ = matrices[0] @ [x / z, y / z, 1.0]
        pixels, depths, _ = dgp_log.cameras[0].project_world(box[None], photo.world_from_ego)
        np.testing.assert_allclose([u, v, z], [*pixels[0], depths[0]], atol=1e-3)
        seen += z > 0
    assert seen == 4
    assert np.linalg.norm(box[:2] - dgp_log.ego.positions[0, :2]) == pytest.approx(np.hypot(*BOX_AT[:2]), abs=1e-3)


def test_points_are_in_the_world_with_the_brightness_of_photos(dgp_log, tmp_path):
    arrays, matrices, viewmats = written(dgp_log, GsplatOptions(image_scale=1.0), tmp_path)
    shown = 0
    for frame, sweep in enumerate(dgp_log.sweeps):
        own = arrays["lidar_points"][arrays["lidar_frame_indices"] == frame]
        pose = arrays["lidar_to_worlds"][frame].astype(float)
        np.testing.assert_allclose(own[:, :3], sweep.read() @ pose[:3, :3].T + pose[:3, 3], atol=1e-3)
        for x, y, z, grey in own:
            views = [(viewmats[frame, c] @ [x, y, z, 1.0])[:3] for c in range(2)]
            pixels = [(matrices[c] @ (view / view[2]))[:2] for c, view in enumerate(views)]
            images = arrays["images"][frame]
            candidates = [
                images[c, int(v), int(u)] @ [0.299, 0.587, 0.114] / 255
                for c, (u, v) in enumerate(pixels)
                if views[c][2] > 0 and 0 <= u < images.shape[2] and 0 <= v < images.shape[1]
            ]
            assert min(abs(grey - one) for one in [0.5, *candidates]) < 1e-4
            shown += grey != np.float32(0.5)
    assert shown > 0


def test_smaller_images_have_smaller_matrices(dgp_log, tmp_path):
    whole, _, _ = written(dgp_log, GsplatOptions(image_scale=1.0), tmp_path)
    half, _, _ = written(dgp_log, GsplatOptions(image_scale=0.5, voxel=5.0), tmp_path)
    np.testing.assert_allclose(half["cam_intrinsics"], whole["cam_intrinsics"] / 2)
    assert half["images"].shape[2:4] == (20, 32)
    assert half["downsample"] == 2
    assert 0 < len(half["lidar_points"]) < len(whole["lidar_points"])
    assert not half["is_test"][0]


def test_times_without_a_photo_of_every_camera_are_left_out(dgp_log):
    photos = [photo for photo in dgp_log.photos if photo.camera == "CAMERA_01"]
    others = [photo for photo in dgp_log.photos if photo.camera == "CAMERA_05"]
    gap = replace(dgp_log, photos=(*photos, *others[1:3]), sweeps=dgp_log.sweeps[:2])
    found = gsplat_scene(gap, GsplatOptions(image_scale=1.0))
    assert found.arrays["frame_ids"].tolist() == [1, 2]
    assert (found.frames_left_out, found.frames_without_sweep) == (2, 1)
    assert set(found.arrays["lidar_frame_indices"].tolist()) == {0}
    apart = replace(dgp_log, photos=(photos[0], others[3]))
    with pytest.raises(SwerveError, match="no time at which all of CAMERA_01, CAMERA_05 have a photo"):
        gsplat_scene(apart, GsplatOptions(image_scale=1.0))


def test_a_smaller_camera_crops_all_around_their_centres(dgp_log):
    small, large = dgp_log.cameras[0], dgp_log.cameras[1]
    wide = replace(large, width=2 * large.width, height=2 * large.height, fx=2 * large.fx, fy=2 * large.fy,
                   cx=2 * large.cx, cy=2 * large.cy)  # fmt: skip
    photo = next(photo for photo in dgp_log.photos if photo.camera == "CAMERA_05")
    with Image.open(photo.file) as image:
        doubled = np.asarray(image.convert("RGB")).repeat(2, axis=0).repeat(2, axis=1)
    file = photo.file.with_name("doubled.png")
    Image.fromarray(doubled).save(file)
    first = next(photo for photo in dgp_log.photos if photo.camera == "CAMERA_01")
    log = replace(dgp_log, cameras=(small, wide), photos=(first, replace(photo, file=file, num_bytes=None)))
    arrays = gsplat_scene(log, GsplatOptions(image_scale=1.0)).arrays
    left, top = large.width // 2, large.height // 2
    np.testing.assert_array_equal(arrays["images"][0, 1], doubled[top : top + large.height, left : left + large.width])
    expected = [wide.fx, wide.fy, wide.cx - left, wide.cy - top]
    np.testing.assert_allclose(arrays["cam_intrinsics"][1], expected)


def test_lenses_are_resampled_to_pinholes():
    lens = Lens(LensModel.BROWN, (-0.2, 0.05, 0.001, -0.002))
    camera = Camera("front", 80, 60, 60.0, 60.0, 41.0, 29.0, rigid_transform(FORWARD, np.zeros(3)), lens)
    # Colours are those of the rays, linear in x and y, as the lens bends them into the picture.
    columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)

    def picture(of):
        rays = of.unproject(np.column_stack([columns.ravel(), rows.ravel()]))
        values = np.column_stack([128 + 120 * rays[:, 0], 128 + 120 * rays[:, 1], np.full(len(rays), 77.0)])
        return np.clip(values, 0, 255).round().astype(np.uint8).reshape(60, 80, 3)

    found, expected = undistorted(picture(camera), camera).astype(int), picture(camera.undistorted()).astype(int)
    assert (picture(camera) != picture(camera.undistorted())).mean() > 0.3
    assert np.abs(found - expected)[8:-8, 8:-8].max() <= 2
    plain = picture(camera.undistorted())
    assert undistorted(plain, camera.undistorted()) is plain


def test_pixels_that_the_photo_does_not_show_are_black():
    """A lens that spreads rays out, r (1 + r^2), shows less than the pinhole of the same focal length."""
    lens = Lens(LensModel.BROWN, (1.0, 0.0, 0.0, 0.0))
    camera = Camera("front", 80, 60, 60.0, 60.0, 40.0, 30.0, rigid_transform(FORWARD, np.zeros(3)), lens)
    found = undistorted(np.full((60, 80, 3), 200, np.uint8), camera)
    # On the middle row r = x: x (1 + x^2) < 40 / 60 as far as x = 0.511, which is 30.7 pixels.
    assert (found[30, 10:70] == 200).all()
    assert not found[30, :9].any()
    assert not found[30, 71:].any()


@pytest.mark.parametrize("bad", [{"voxel": -1.0}, {"image_scale": 2.0}, {"holdout_interval": 1}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(SwerveError, match=next(iter(bad))):
        GsplatOptions(**bad)
