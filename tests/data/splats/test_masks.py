"""Masks exclude pixels from a fit and from its evaluation."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.image_priors import image_priors
from swerve.data.splats.initialization import initial_scene
from swerve.data.splats.log_images import images_of_log
from swerve.data.splats.masks import check_masks, load_mask
from swerve.rasterizer.splats.harmonics import sh_basis
from swerve.scenes import SwerveError
from tests.support.simple_source import small_log

pytest.importorskip("torch", reason="the quality of fits needs torch")

from swerve.data.splats.held_out_quality import evaluate_quality, render_at
from swerve.eval.splat_quality.image_metrics import compare_images

OPTIONS = SceneOptions(cameras=("left",), holdout_interval=4, image_scale=0.5)
MAGENTA = (255, 0, 255)
# The lower third of an image of 48x32 pixels, in rows: a bonnet.
BONNET = slice(22, 32)


def save(path, rows, height=64, width=96):
    """A mask that is white in some rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((height, width), np.uint8)
    mask[rows] = 255
    Image.fromarray(mask).save(path)


def painted(pictures, ignored):
    """Pictures with a magenta bonnet."""
    made = []
    for picture in pictures:
        rgb = picture.rgb.copy()
        rgb[BONNET] = MAGENTA
        made.append(replace(picture, rgb=rgb, ignored=ignored))
    return made


@pytest.fixture(scope="module")
def bonnet():
    ignored = np.zeros((32, 48), bool)
    ignored[BONNET] = True
    return ignored


def test_masks_are_read_in_the_images_size(street_log, tmp_path):
    """At half size a pixel is ignored if any of the four that it covers is; the photograph's own mask joins."""
    save(tmp_path / "left.png", slice(45, 64))
    number = images_of_log(street_log, OPTIONS).train[0].time_us // 100_000
    stem = sorted(photo.file.stem for photo in street_log.photos if photo.camera == "left")[number]
    save(tmp_path / "street" / "left" / f"{stem}.png", slice(0, 2), 32, 48)
    pictures = images_of_log(street_log, replace(OPTIONS, masks=str(tmp_path)))
    rows = np.arange(32)
    for picture in (*pictures.train, *pictures.held_out):
        own = picture.time_us // 100_000 == number
        np.testing.assert_array_equal(picture.ignored, np.tile((rows >= 22) | (own & (rows < 2)), (48, 1)).T)
    right = images_of_log(street_log, replace(OPTIONS, cameras=("right",), masks=str(tmp_path)))
    assert all(picture.ignored is None for picture in right.train)
    assert all(picture.ignored is None for picture in images_of_log(street_log, OPTIONS).train)


def test_masks_that_cannot_be_used(street_log, tmp_path):
    camera = street_log.cameras[0]
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(SwerveError, match=r"no mask for log street. CAMERA.png is one, with CAMERA one of left, r"):
            check_masks(folder, street_log)
    save(tmp_path / "front.png", slice(3))
    with pytest.raises(SwerveError, match=r"front.png: log street has no camera 'front', but left, right"):
        images_of_log(street_log, replace(OPTIONS, masks=str(tmp_path)))
    for name, shape, rows, message in [
        ("left", (64, 80), slice(3), "left.png: mask: is 80x64, another aspect ratio than its photos, 96x64"),
        ("left", (64, 96), slice(10, 64), "left.png: mask: covers its whole photo"),
    ]:
        save(tmp_path / f"{name}.png", rows, *shape)
        with pytest.raises(SwerveError, match=message):
            load_mask(tmp_path, street_log, camera, None)
    (tmp_path / "left.png").write_bytes(b"no image")
    with pytest.raises(SwerveError, match=r"left.png: mask: cannot be read"):
        load_mask(tmp_path, street_log, camera, None)
    assert load_mask(tmp_path, small_log(), replace(camera, name="rear"), None) is None


def test_a_fit_starts_from_what_is_not_ignored(street_log, bonnet):
    pictures = images_of_log(street_log, OPTIONS).train
    magenta = {}
    for name, ignored in {"seen": None, "masked": bonnet}.items():
        known = image_priors(street_log, painted(pictures, ignored))
        assert all(view.to_training_image.ignored is ignored for view in known)
        start = initial_scene(street_log, known, 5000)
        constant = float(sh_basis(np.array([[0.0, 0.0, 1.0]]), 0)[0, 0])
        colors = 0.5 + constant * start.background.sh_coefficients[:, 0]
        magenta[name] = (np.abs(colors - np.array(MAGENTA) / 255).max(axis=1) < 0.02).sum()
    assert magenta["seen"] > 100
    assert magenta["masked"] == 0


def test_quality_is_that_of_what_is_not_ignored(street_log, bonnet):
    pictures = images_of_log(street_log, OPTIONS)
    scene = initial_scene(street_log, image_priors(street_log, pictures.train), 5000)
    held_out = pictures.held_out[:1]
    masked = [replace(picture, ignored=bonnet) for picture in held_out]
    spoiled = evaluate_quality(scene, painted(held_out, bonnet))
    assert spoiled == evaluate_quality(scene, masked)
    assert evaluate_quality(scene, painted(held_out, None)).psnr < spoiled.psnr - 3
    # Another implementation says the same.
    found = compare_images(render_at(scene, held_out[0]), held_out[0].rgb, bonnet)
    assert (spoiled.psnr, spoiled.ssim) == pytest.approx((found.psnr, found.ssim), abs=1e-4)
