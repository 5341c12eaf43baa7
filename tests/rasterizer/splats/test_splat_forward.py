"""The kernels against a naive float64 drawing of all Gaussians at all pixels."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from swerve.rasterizer import View
from swerve.rasterizer.splats import Gaussians, Sky, SplatSnapshot, render_splats
from swerve.scenes import FORWARD, Lens, LensModel, SwerveError
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z
from tests.support import splat_reference
from tests.support.splat_clouds import LENSES, camera, random_gaussians

ALL = ("rgb", "depth", "alpha", "instance", "color")


def naive(gaussians, shot, world_from_ego):
    arrays = [torch.from_numpy(getattr(gaussians, f.name)).double() for f in fields(gaussians)]
    camera_from_world = torch.from_numpy(inverse(world_from_ego @ shot.ego_from_camera))
    return [image.numpy() for image in splat_reference.draw(*arrays, shot, camera_from_world)]


def drawn(gaussians, shot, pose, **options):
    return render_splats(SplatSnapshot.of(gaussians), [shot], pose[None], ALL, **options)[0][0]


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_naive_drawing_is(lens, seed):
    rng = np.random.default_rng(seed)
    pose = rigid_transform(rotation_about_z(rng.uniform(-0.3, 0.3)), rng.uniform(-0.3, 0.3, 3))
    gaussians, shot = random_gaussians(seed, degree=seed, dense=seed % 2 == 0), camera(lens)
    color, depth, alpha, _ = naive(gaussians, shot, pose)
    view = drawn(gaussians, shot, pose)
    assert alpha.mean() > 0.3
    np.testing.assert_allclose(view.color, color, atol=1e-4)
    np.testing.assert_allclose(view.alpha, alpha, atol=1e-4)
    np.testing.assert_array_equal(np.isinf(view.depth), alpha == 0)
    seen = alpha > 0
    np.testing.assert_allclose(view.depth[seen], depth[seen] / alpha[seen], rtol=1e-4)
    np.testing.assert_array_equal(view.rgb, (view.color.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def test_the_heaviest_owns_the_pixel():
    gaussians, shot = random_gaussians(7), camera()
    *_, alpha, weights = naive(gaussians, shot, np.eye(4))
    numbers = np.arange(1, len(gaussians) + 1, dtype=np.int32)
    frame = SplatSnapshot(gaussians, numbers, np.zeros(3), Sky.constant())
    view = render_splats(frame, [shot], np.eye(4)[None], ("instance",))[0][0]
    all_weights = np.concatenate([1 - alpha[None], weights])
    first, second = np.sort(all_weights, axis=0)[-1:-3:-1]
    clear = first - second > 1e-4
    assert clear.mean() > 0.99
    owner = all_weights.argmax(axis=0)
    assert 0.1 < (owner == 0).mean() < 0.9
    np.testing.assert_array_equal(view.instance[clear], owner[clear])


def test_far_from_the_worlds_origin_nothing_changes():
    """Fifty kilometres out, with an origin: to rounding the same image."""
    gaussians, shot, far = random_gaussians(1), camera(), np.array([5e4, -3e4, 120.0])
    near = drawn(gaussians, shot, np.eye(4))
    frame = SplatSnapshot(gaussians, np.zeros(len(gaussians), np.int32), far, Sky.constant())
    moved = render_splats(frame, [shot], rigid_transform(np.eye(3), far)[None], ALL)[0][0]
    np.testing.assert_allclose(moved.color, near.color, atol=1e-5)


def test_threads_share_an_image_bit_for_bit():
    gaussians, shot = random_gaussians(2, count=400), camera(LENSES["brown"])
    one, three = (drawn(gaussians, shot, np.eye(4), threads=threads) for threads in (1, 3))
    for name in ALL:
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


def test_one_blob_by_hand():
    """A ball of 0.1 m at 10 m before a camera of 100 pixels: variance (100 x 0.1 / 10)^2 + 0.3."""
    ball = Gaussians(
        np.array([[10, 0, 0]], np.float32),
        np.array([[2, 0, 0, 0]], np.float32),
        np.log(np.full((1, 3), 0.1, np.float32)),
        np.zeros(1, np.float32),
        np.zeros((1, 1, 3), np.float32),
    )
    shot = camera(width=21, height=21, focal=100.0).mounted(rigid_transform(FORWARD, np.zeros(3)))
    view = drawn(ball, shot, np.eye(4))
    u, v = np.meshgrid(np.arange(21) + 0.5 - shot.cx, np.arange(21) + 0.5 - shot.cy)
    expected = 0.5 * np.exp(-0.5 * (u**2 / 1.3 + v**2 / (1.1**2 + 0.3)))
    expected[expected < 1 / 255] = 0
    np.testing.assert_allclose(view.alpha, expected, atol=1e-6)
    np.testing.assert_allclose(view.color, np.repeat(0.5 * expected[..., None], 3, axis=2), atol=1e-6)
    np.testing.assert_allclose(view.depth[expected > 0], 10, rtol=2e-5)


def test_the_sky_shines_through():
    gaussians, shot = random_gaussians(3, dense=False), camera(LENSES["fisheye"])
    rng = np.random.default_rng(0)
    sky = Sky(rng.normal(0, 0.2, (9, 3)).astype(np.float32))
    pose = rigid_transform(rotation_about_z(0.4), np.array([0.0, 0, 0]))
    black = drawn(gaussians, shot, pose)
    view = render_splats(SplatSnapshot.of(gaussians, sky), [shot], pose[None], ALL)[0][0]
    pixels = np.stack(np.meshgrid(np.arange(shot.width) + 0.5, np.arange(shot.height) + 0.5), axis=-1)
    rays = shot.unproject(pixels.reshape(-1, 2)) @ (pose @ shot.ego_from_camera)[:3, :3].T
    basis = splat_reference.harmonics_at(torch.from_numpy(rays / np.linalg.norm(rays, axis=1)[:, None]), 9)
    behind = (0.5 + basis.numpy() @ sky.sh_coefficients).clip(0).reshape(black.color.shape)
    np.testing.assert_allclose(view.color, black.color + (1 - black.alpha[..., None]) * behind, atol=1e-5)
    constant = render_splats(SplatSnapshot.of(gaussians, Sky.constant((0.2, 0.4, 0.9))), [shot], pose[None], ALL)[0][0]
    expected = black.color + (1 - black.alpha[..., None]) * [0.2, 0.4, 0.9]
    np.testing.assert_allclose(constant.color, expected, atol=1e-6)


def test_a_lens_that_is_blind_in_the_corners_shows_nothing_there():
    shot = camera(Lens(LensModel.BROWN, (-0.3, 0.0, 0.0, 0.0)), focal=30.0)
    sky = Sky.constant((1.0, 1.0, 1.0))
    view = render_splats(SplatSnapshot.of(random_gaussians(0, 400), sky), [shot], np.eye(4)[None], ALL)[0][0]
    assert isinstance(view, View)
    assert view.rgb[0, 0].max() == view.alpha[0, 0] == view.instance[0, 0] == 0
    assert np.isinf(view.depth[0, 0])
    assert view.rgb[26, 37].max() > 0


def test_none_at_all():
    view = drawn(Gaussians.empty(2), camera(), np.eye(4))
    assert not view.alpha.any()
    assert not view.rgb.any()
    assert np.isinf(view.depth).all()


def test_what_cannot_be_drawn_is_refused():
    shot, pose = camera(), np.eye(4)[None]
    frame = SplatSnapshot.of(random_gaussians(0, 3))
    with pytest.raises(SwerveError, match="choose one or more of rgb, depth, alpha"):
        render_splats(frame, [shot], pose, ("semantic",))
    with pytest.raises(SwerveError, match="pose 0 is not finite"):
        render_splats(frame, [shot], np.full((1, 4, 4), np.nan))
    frame.gaussians.log_scales[1, 2] = np.nan
    with pytest.raises(SwerveError, match="log_scales of Gaussian 1"):
        render_splats(frame, [shot], pose)
