"""Small fits on the CPU: what a held-out image says of them, and the parts they are made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swerve.data.splats.optimization.densification import DensificationStats, densify_and_prune
from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions, LearningRates
from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.initial_gaussians import gaussians_at_points
from swerve.data.splats.optimization.parameters import gaussians_of, tensors_of, trainable_gaussians
from swerve.data.splats.optimization.ssim import psnr, ssim, ssim_by_convolution
from swerve.data.splats.optimization.training_images import Depth, DepthKind, TrainingImage
from swerve.rasterizer.splats import Gaussians, Sky, SplatScene, SplatSnapshot, render_splats
from swerve.scenes import SwerveError
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from tests.support.splat_clouds import camera, random_gaussians

SHOT_CAMERA = camera(width=64, height=48, focal=50.0)


def truth():
    """A wall of coloured blobs and some before it."""
    rng = np.random.default_rng(3)
    means = np.column_stack([rng.uniform(5, 9, 250), rng.uniform(-5, 5, 250), rng.uniform(-4, 4, 250)])
    colors = 0.5 + 0.4 * np.sin(means @ rng.normal(size=(3, 3)))
    return replace(gaussians_at_points(means, colors, degree=0, opacity=0.8))


def shots(gaussians, places):
    """Photographs from beside each other."""
    taken = []
    for y in places:
        pose = rigid_transform(rotation_about_z(-0.06 * y), np.array([0.2 * y, y, 0.1 * y]))
        view = render_splats(SplatSnapshot.of(gaussians), [SHOT_CAMERA], pose[None], ("rgb", "depth"))[0][0]
        depth = Depth(view.depth, DepthKind.LIDAR)
        taken.append(TrainingImage(f"at {y}", SHOT_CAMERA, pose, len(taken), view.rgb, depth=depth))
    return taken


def quality(gaussians, shot):
    """PSNR of the image from a shot's place."""
    view = render_splats(SplatSnapshot.of(gaussians), [shot.camera], shot.world_from_ego[None], ("color",))[0][0]
    return psnr(torch.from_numpy(view.color), torch.from_numpy(shot.image) / 255)


def fit(start, known, options, report=None):
    """The background that is fitted."""
    scene = SplatScene(start, (), np.zeros(3), Sky.constant())
    return fit_scene(scene, known, options, report=report).scene.background


def rough_start(true, count):
    """Some of the true places, moved, and grey."""
    rng = np.random.default_rng(0)
    points = true.means[rng.choice(len(true), count, replace=False)] + rng.normal(0, 0.1, (count, 3))
    return gaussians_at_points(points.astype(np.float64), np.full((count, 3), 0.5), degree=1)


def test_a_fit_sees_what_it_was_not_shown():
    true = truth()
    known, (held_out,) = shots(true, [-1.0, -0.6, -0.2, 0.2, 0.6, 1.0]), shots(true, [0.37])
    start, losses, counts = rough_start(true, 100), [], []

    def report(progress):
        assert progress.step == len(losses) + 1
        losses.append(progress.loss)
        counts.append(progress.count)

    growth = DensificationOptions(start_step=40, stop_step=160, interval=40, grad2d_threshold=1e-4, max_gaussians=260)
    fitted = fit(start, known, FitOptions(steps=240, densification=growth, flatness_weight=0.1), report)
    assert np.mean(losses[-12:]) < 0.4 * np.mean(losses[:12])
    assert counts[0] == 100
    assert 150 < counts[-1] == len(fitted) <= 260
    assert quality(fitted, held_out) > quality(start, held_out) + 8
    assert quality(fitted, held_out) > 24


def test_a_fit_is_the_same_again_and_leaves_its_start_alone():
    true = truth()
    start, options = (
        rough_start(true, 60),
        FitOptions(steps=12, densification=DensificationOptions(start_step=4, interval=4)),
    )
    before = start.means.copy()
    one, two = (fit(start, shots(true, [0.0, 0.5]), options) for _ in range(2))
    np.testing.assert_array_equal(one.means, two.means)
    np.testing.assert_array_equal(start.means, before)
    assert np.abs(one.means[:10] - before[:10]).max() > 0


def test_depth_pulls_the_surface_to_its_place():
    """Grey before grey: colours tell nothing of where it is, the measured depth does."""
    true = truth()
    grey = Gaussians(
        true.means, true.quaternions, true.log_scales + np.float32(0.5), true.opacity_logits, 0 * true.sh_coefficients
    )
    known = shots(grey, [-3.0, 0.0, 3.0])
    start = replace(grey, means=grey.means + np.array([0.03, 0, 0], np.float32))
    errors = []
    for weight in (0.0, 2.0):
        fitted = fit(start, known, FitOptions(steps=60, lidar_weight=weight))
        found = shots(fitted, [0.0])[0]
        seen = np.isfinite(known[1].depth.depth) & np.isfinite(found.depth.depth)
        errors.append(np.abs(found.depth.depth[seen] - known[1].depth.depth[seen]).mean())
    assert errors[1] < 0.7 * errors[0]


def test_bad_input_is_refused():
    (shot,) = shots(truth(), [0.0])
    with pytest.raises(SwerveError, match="a fit needs images"):
        fit(truth(), [], FitOptions())
    with pytest.raises(SwerveError, match=r"image 'at 0\.0': its image is 60x48, its camera 64x48"):
        fit(truth(), [replace(shot, image=shot.image[:, :60], depth=None)], FitOptions())
    with pytest.raises(SwerveError, match="two images have this name"):
        fit(truth(), [shot, shot], FitOptions())
    small = replace(shot, camera=SHOT_CAMERA.resized(64, 10), image=shot.image[:10], depth=None)
    with pytest.raises(SwerveError, match=r"image 'at 0\.0': 64x10 pixels are too few. Take 11x11 or more"):
        fit(truth(), [small], FitOptions())
    enough = replace(shot, camera=SHOT_CAMERA.resized(64, 11), image=shot.image[:11], depth=None)
    fit(truth(), [enough], FitOptions(steps=1))
    with pytest.raises(SwerveError, match="every pixel is ignored"):
        fit(truth(), [replace(shot, ignored=np.ones((48, 64), bool))], FitOptions())


def parameters_and_watch(gaussians, slopes):
    parameters = trainable_gaussians(gaussians, 1.0, LearningRates(), "cpu")
    watch = DensificationStats.zeros(parameters)
    watch.grad2d[:], watch.count[:] = torch.tensor(slopes) * 2, 2
    return parameters, watch, 1.0


def test_small_ones_are_cloned_large_ones_split_faint_ones_go():
    gaussians = random_gaussians(0, 4, degree=1)
    gaussians.log_scales[:] = np.log(0.001)
    gaussians.log_scales[1] = np.log([0.5, 0.001, 0.001])
    gaussians.opacity_logits[:] = [2, 2, -6, 2]
    group = parameters_and_watch(gaussians, [1e-3, 1e-3, 1e-3, 1e-5])
    ((parameters, sources),) = densify_and_prune([group], DensificationOptions(), np.random.default_rng(0))
    found = gaussians_of(parameters)
    assert sources.tolist() == [0, 3, 0, 1, 1]
    # Kept: 0 and 3; the clone of 0; the halves of 1.
    np.testing.assert_array_equal(found.means[:3], gaussians.means[[0, 3, 0]])
    assert len(found) == 5
    np.testing.assert_allclose(found.log_scales[3:], np.tile(gaussians.log_scales[1] - np.log(1.6), (2, 1)), rtol=1e-5)
    # Halves lie along the long axis, within four standard deviations.
    apart = found.means[3:] - gaussians.means[1]
    assert 0.01 < np.linalg.norm(apart, axis=1).max() < 2
    np.testing.assert_array_equal(found.sh_coefficients[3], gaussians.sh_coefficients[1])


def test_growth_stops_where_there_is_no_room():
    gaussians = random_gaussians(0, 20)
    gaussians.opacity_logits[:] = 1
    low, high = (parameters_and_watch(gaussians, np.linspace(at, 2 * at, 20)) for at in (1e-3, 3e-3))
    both = densify_and_prune([low, high], DensificationOptions(max_gaussians=45), np.random.default_rng(0))
    assert [len(sources) for _, sources in both] == [20, 25]


def test_adam_goes_on_where_it_was():
    """Replacing all rows by themselves changes nothing of what follows."""
    gaussians = random_gaussians(0, 5)
    results = []
    for replaced in (False, True):
        parameters = trainable_gaussians(gaussians, 1.0, LearningRates(), "cpu")
        for step in range(6):
            if replaced and step == 3:
                none = {name: value[:0] for name, value in parameters.values().items()}
                parameters = parameters.replace_rows(np.arange(5), none)
            sum((tensor * (step + 1)).square().sum() for tensor in tensors_of(parameters)).backward()
            parameters.step(0.0)
        results.append(gaussians_of(parameters))
    np.testing.assert_array_equal(results[0].sh_coefficients, results[1].sh_coefficients)
    np.testing.assert_array_equal(results[0].log_scales, results[1].log_scales)


def test_ssim_is_its_definition():
    """Window by window, in float64."""
    rng = np.random.default_rng(0)
    a = rng.random((14, 13, 3))
    b = (a + rng.normal(0, 0.2, a.shape)).clip(0, 1)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window = (window / window.sum())[..., None]
    values = []
    for y in range(4):
        for x in range(3):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum((0, 1)), (window * q).sum((0, 1))
            vp, vq = (window * (p - mp) ** 2).sum((0, 1)), (window * (q - mq) ** 2).sum((0, 1))
            vpq = (window * (p - mp) * (q - mq)).sum((0, 1))
            values.append((2 * mp * mq + 1e-4) * (2 * vpq + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert float(ssim(torch.from_numpy(a), torch.from_numpy(b))) == pytest.approx(np.mean(values), rel=1e-9)
    assert float(ssim_by_convolution(torch.from_numpy(a), torch.from_numpy(b))) == pytest.approx(
        np.mean(values), rel=1e-9
    )
    assert float(ssim(torch.from_numpy(a), torch.from_numpy(a))) == pytest.approx(1.0)


def test_ssim_has_the_slopes_of_the_convolutions():
    rng = np.random.default_rng(1)
    image, truth = torch.from_numpy(rng.random((17, 23, 3))).requires_grad_(), torch.from_numpy(rng.random((17, 23, 3)))
    found, expected = (torch.autograd.grad(of(image, truth), image)[0] for of in (ssim, ssim_by_convolution))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_psnr_by_hand():
    black, grey = torch.zeros((4, 4, 3)), torch.full((4, 4, 3), 0.1)
    assert psnr(grey, black) == pytest.approx(20.0, abs=1e-4)
