"""gsplat's unscented transform through a stand-in: what Swerve adds to it, against naive drawings along rays."""

import numpy as np
import pytest
import torch

from swerve.rasterizer.splats import Gaussians, SplatSnapshot, render_splats
from swerve.rasterizer.splats.gsplat import GsplatLibrary, GsplatScene, dominant_gaussians_unscented, render_unscented
from swerve.scenes import Lens, LensModel, SwerveError
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z, transform_points
from tests.support import splat_reference, standin_gsplat
from tests.support.splat_clouds import LENSES, camera, random_gaussians
from tests.support.splat_sums import gradients_of, loss_of, slopes_of, tensors_of

STANDIN = GsplatLibrary(standin_gsplat, torch.device("cpu"))
POSE = rigid_transform(rotation_about_z(0.1), np.array([-0.2, 0.1, 0.05]))


def round_gaussians(seed, shot, count=40, near=4.0, size=0.25):
    """Neither thin nor near, all over the image: their ellipses, lens or not, bound what rays see of them."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 1, (count, 2)) * [shot.width, shot.height]
    points = shot.unproject(pixels) * rng.uniform(near, 1.5 * near, (count, 1))
    means = transform_points(shot.ego_from_camera, points)
    harmonics = rng.normal(0, 0.2, (count, 9, 3))
    sizes = np.log(size) + rng.uniform(-0.4, 0.4, (count, 3))
    arrays = (means, rng.normal(size=(count, 4)), sizes, rng.normal(0, 1, count), harmonics)
    return Gaussians(*(array.astype(np.float32) for array in arrays))


def along_rays(tensors, shot, camera_from_world, shifts):
    """Every Gaussian at every pixel's ray in the world, in float64; `shifts` move them at their depth, colours stay."""
    means, quaternions, log_scales, logits, harmonics = (tensor.double() for tensor in tensors)
    turn, place = camera_from_world[:3, :3], camera_from_world[:3, 3]
    still = means
    seen = (means @ turn.T + place).detach()
    means = means + _moved_with_pixels(seen, shot, shifts) @ turn.detach()
    depths = (means @ turn.T + place)[:, 2]
    eye = -turn.T @ place
    v, u = np.mgrid[: shot.height, : shot.width] + 0.5
    rays = torch.from_numpy(shot.unproject(np.column_stack([u.ravel(), v.ravel()]))) @ turn
    white = splat_reference._rotations(quaternions).mT / log_scales.exp()[:, :, None]
    basis = splat_reference.harmonics_at(torch.nn.functional.normalize(still - eye, dim=1), harmonics.shape[1])
    colors = (0.5 + (basis[:, :, None] * harmonics).sum(1)).clamp_min(0)
    light = torch.ones(len(rays), dtype=torch.float64)
    live, sums = torch.ones_like(light, dtype=torch.bool), [torch.zeros(len(rays), 3), torch.zeros_like(light)]
    for n in torch.argsort(depths.detach()):
        start, along = white[n] @ (eye - means[n]), rays @ white[n].T
        nearest = start - along * ((along @ start) / along.square().sum(1))[:, None]
        covers = (torch.sigmoid(logits[n]) * torch.exp(-nearest.square().sum(1) / 2)).clamp_max(0.999)
        covers = torch.where(covers >= 1 / 255, covers, 0.0)
        live = live & (light * (1 - covers) > 1e-4)
        weight = torch.where(live, light * covers, 0.0)
        sums = [sums[0] + weight[:, None] * colors[n], sums[1] + weight * depths[n]]
        light = light - weight
    size = (shot.height, shot.width)
    return sums[0].reshape(*size, 3), sums[1].reshape(size), 1 - light.reshape(size)


def _moved_with_pixels(points, shot, shifts):
    """In the camera frame, by differences of unprojection."""
    pixels, columns = shot.project(points.numpy())[0], []
    for axis in np.eye(2) * 1e-3:
        columns.append((shot.unproject(pixels + axis) - shot.unproject(pixels - axis)) / 2e-3)
    slopes = torch.from_numpy(np.stack(columns, axis=2)) * points[:, 2, None, None]
    return (slopes @ shifts.double()[:, :, None])[..., 0]


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_images_and_gradients_are_those_along_rays(lens):
    """Gradients by the pose along the six rigid motions."""
    shot, gaussians = camera(lens), round_gaussians(0, camera(lens))
    pose = inverse(POSE @ shot.ego_from_camera)
    found, gradients = gradients_of(
        lambda *a: render_unscented(GsplatScene(*a[:5]), *a[5:7], STANDIN, a[7]), gaussians, shot, pose
    )
    expected, wanted = gradients_of(lambda *a: along_rays(a[:5], *a[5:]), gaussians, shot, pose)
    assert expected[2].mean() > 0.1
    for one, other in zip(found, expected, strict=True):
        off = (one - other).abs()  # a little more where the tiles of an ellipse end before the Gaussian does
        assert (off > 1e-4 * (1 + other)).double().mean() < 0.005
        assert off.max() < 0.02
    motions = _rigid_motions(pose)
    for each in (gradients, wanted):
        each["pose"] = torch.from_numpy(motions).flatten(1) @ each["pose"].double().flatten()
    for name, gradient in wanted.items():
        largest = float(gradient.abs().max())
        assert largest > 0
        torch.testing.assert_close(
            gradients[name].double(), gradient.double(), rtol=1e-2, atol=3e-3 * largest, msg=lambda m, n=name: n + m
        )


def _rigid_motions(pose):
    """Derivatives of a pose by turns and shifts of the camera frame."""
    motions = np.zeros((6, 4, 4))
    for k in range(3):
        turn = np.zeros((3, 3))
        turn[(k + 2) % 3, (k + 1) % 3], turn[(k + 1) % 3, (k + 2) % 3] = 1, -1
        motions[k, :3] = turn @ pose[:3]
        motions[3 + k, k, 3] = 1
    return motions


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_what_is_many_pixels_wide_and_small_in_the_world_looks_as_on_the_cpu(lens):
    """Far off the axis; 16 pixels of deviation, of which the blur of 0.3 makes little, and 1/500 of the distance."""
    shot = camera(lens, focal=8000.0).cropped(2400, 1200, 75, 52)
    gaussians = round_gaussians(1, shot, near=100.0, size=0.2)
    frame = SplatSnapshot(gaussians, np.arange(1, 41, dtype=np.int32), np.zeros(3), SplatSnapshot.of(gaussians).sky)
    expected = render_splats(frame, [shot], np.eye(4)[None], ("color", "alpha", "instance"))[0][0]
    pose = torch.from_numpy(inverse(shot.ego_from_camera))
    scene = GsplatScene(*(tensor.detach() for tensor in tensors_of(gaussians)))
    color, _, alpha = render_unscented(scene, shot, pose, STANDIN)
    assert expected.alpha.mean() > 0.3
    np.testing.assert_allclose(alpha, expected.alpha, atol=0.01)
    np.testing.assert_allclose(color, expected.color, atol=0.01)
    owner = dominant_gaussians_unscented(scene, shot, pose, STANDIN).numpy() + 1
    assert (owner == expected.instance).mean() > 0.99


def test_a_rolling_shutter_slants_what_stands_upright():
    """The camera moves 0.8 m to its right while rows are read: a ball in row v lands 0.8 v / (h - 1) f / z to the left.

    Its image leans with the rows, and is cut at 1/255: to a twentieth of a pixel.
    """
    shot = camera(width=120, height=100, focal=100.0)
    rows = np.array([10.0, 50.0, 90.0])
    ideal = np.column_stack([np.full(3, 0.3), (rows + 0.5 - shot.cy) / shot.fy, np.ones(3)])
    balls = Gaussians(
        (8.0 * ideal).astype(np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (3, 1)),
        np.full((3, 3), np.log(0.2), np.float32),
        np.zeros(3, np.float32),
        np.zeros((3, 1, 3), np.float32),
    )
    moved = torch.from_numpy(rigid_transform(np.eye(3), np.array([-0.8, 0.0, 0.0])))
    scene = GsplatScene(*(tensor.detach() for tensor in tensors_of(balls)))
    alpha = render_unscented(scene, shot, torch.eye(4), STANDIN, last_from_first=moved)[2].numpy()
    for row in rows:
        line = alpha[int(row)]
        middle = (line * (np.arange(120) + 0.5)).sum() / line.sum()
        assert middle == pytest.approx(shot.cx + 100 * (0.3 - 0.1 * row / 99), abs=0.05)


def test_a_lens_that_gsplat_gives_up_on_is_refused():
    scene, pose = GsplatScene(*tensors_of(random_gaussians(0, 5))), torch.eye(4)
    for lens, words in (
        (Lens(LensModel.BROWN, (-0.35, 0.0, 0.0, 0.0)), "'front': its lens shrinks radii to 0.67 .*no lens below 0.8"),
        (
            Lens(LensModel.FISHEYE, (-0.1, 0.0, 0.0, 0.0)),
            "'front': its lens sees 5.* degrees off its axis, gsplat",
        ),
    ):
        with pytest.raises(SwerveError, match=words + '.*Use backend "gsplat" or "numba"'):
            render_unscented(scene, camera(lens), pose, STANDIN)


def test_gradients_reach_every_number():
    shot = camera(LENSES["fisheye"])
    tensors = tensors_of(round_gaussians(3, shot))
    images = render_unscented(GsplatScene(*tensors), shot, torch.from_numpy(inverse(shot.ego_from_camera)), STANDIN)
    loss_of(images, slopes_of(0, shot)).backward()
    assert all(tensor.grad.any() for tensor in tensors)
