import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.data.sources.town.rig import town_rig
from swerve.data.stream import camera_arrays
from swerve.planners.learning.neck import camera_positions
from swerve.planners.learning.projection import CameraRig, patch_centres, project, unproject
from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z, transform_points

LENSES = (
    Lens(),
    Lens(LensModel.BROWN, (-0.35, 0.16, 0.0004, -0.0003, -0.04)),
    Lens(LensModel.BROWN, (0.1, -0.02, 0.001, 0.002, 0.01, 0.12, -0.01, 0.002)),
    Lens(LensModel.BROWN, (-0.36, 0.17, -0.002, 0.0005)),
    Lens(LensModel.FISHEYE, (-0.012, 0.004, -0.002, 0.0003)),
)


def cameras(seed=0):
    """One camera of each lens, looking all ways."""
    random = np.random.default_rng(seed)
    made = []
    for number, lens in enumerate(LENSES):
        yaw, pitch = random.uniform(-np.pi, np.pi), random.uniform(-0.3, 0.3)
        down = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
        pose = rigid_transform(rotation_about_z(yaw) @ down @ FORWARD, random.normal([1, 0, 1.6], 1))
        made.append(Camera(f"c{number}", 1920, 1120, 1100.0, 1090.0, 963.0, 558.0, pose, lens))
    return made


def exact_rig(rigs):
    """In double precision."""

    def tensor(values):
        return torch.tensor(np.array([[values(camera) for camera in rig] for rig in rigs]), dtype=torch.float64)

    return CameraRig(
        tensor(lambda camera: int(camera.lens.model)).long(),
        tensor(lambda camera: (camera.fx, camera.fy, camera.cx, camera.cy)),
        tensor(lambda camera: camera.lens.padded),
        tensor(lambda camera: camera.lens.limit),
        tensor(lambda camera: inverse(camera.ego_from_camera)),
        (rigs[0][0].width, rigs[0][0].height),
    )


def oracle(camera, points):
    return camera.project(transform_points(inverse(camera.ego_from_camera), points))


@given(st.integers(0, 10_000), st.sampled_from([0.5, 5.0, 60.0]))
def test_points_fall_where_the_camera_says(seed, reach):
    """All lens models in one batch, points behind, beside and before the cameras."""
    rigs = [cameras(seed), cameras(seed + 1)[::-1]]
    points = np.random.default_rng(seed).normal(0, reach, (2, 60, 3))
    pixels, depth, visible = project(exact_rig(rigs), torch.tensor(points))
    for row, rig in enumerate(rigs):
        for column, camera in enumerate(rig):
            known, known_depth, known_visible = oracle(camera, points[row])
            ahead = known_depth > 1e-6
            # Slope one carries points near the camera's plane millions of pixels away: there in shares of the distance.
            np.testing.assert_allclose(pixels[row, column].numpy()[ahead], known[ahead], atol=1e-5, rtol=1e-11)
            np.testing.assert_allclose(depth[row, column].numpy(), known_depth, atol=1e-9)
            np.testing.assert_array_equal(visible[row, column].numpy(), known_visible)
            assert (pixels[row, column].numpy()[~ahead] == 0).all()


def test_single_precision_is_off_by_a_thousandth_of_a_pixel():
    points = np.random.default_rng(0).normal(0, 20, (1, 2000, 3))
    pixels, _, visible = project(CameraRig.of(camera_arrays([cameras()])), torch.tensor(points).float())
    errors = [
        np.abs(pixels[0, column].numpy() - oracle(camera, points[0])[0])[visible[0, column].numpy()].max()
        for column, camera in enumerate(cameras())
    ]
    assert max(errors) < 2e-3


def test_gradients_are_those_of_the_formula():
    rig = exact_rig([cameras()])
    points = torch.tensor(np.random.default_rng(1).normal(0, 10, (1, 12, 3)), requires_grad=True)

    def seen(places):
        pixels, _, visible = project(rig, places)
        return pixels[visible]

    assert len(seen(points)) > 5
    assert torch.autograd.gradcheck(seen, (points,))


def test_no_gradient_is_ever_nan():
    """On the axis, in the camera's plane, behind it, at its very place."""
    rig = exact_rig([cameras()])
    centres = camera_positions(rig)[0]
    axes = rig.camera_from_ego[0, :, 2, :3]
    points = torch.cat([centres, centres + 5 * axes, centres - axes, centres + 1e-7 * axes])[None].requires_grad_()
    pixels, _, _ = project(rig, points)
    assert pixels.isfinite().all()
    pixels.sum().backward()
    assert points.grad.isfinite().all()


def test_rays_are_those_of_the_camera():
    rig, centres = exact_rig([cameras()]), patch_centres(10, 16, 112)
    rays, known = unproject(rig, centres)
    for column, camera in enumerate(cameras()):
        expected = camera.unproject(centres.double().numpy())
        seen = np.isfinite(expected).all(axis=1)
        np.testing.assert_array_equal(known[0, column].numpy(), seen)
        expected = expected[seen] / np.linalg.norm(expected[seen], axis=1, keepdims=True)
        expected = expected @ camera.ego_from_camera[:3, :3].T
        np.testing.assert_allclose(rays[0, column].numpy()[seen], expected, atol=1e-8)
        assert (rays[0, column].numpy()[~seen] == 0).all()
        assert seen.any()
    single, _ = unproject(CameraRig.of(camera_arrays([cameras()])), centres)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), rays.numpy(), atol=1e-6)


def test_pixels_of_rays_are_the_pixels():
    """All eight cameras of the town, at the size of a small planner."""
    rig = exact_rig([[camera.resized(160, 96) for camera in town_rig()]])
    centres = patch_centres(12, 20, 8)
    rays, known = unproject(rig, centres)
    places = camera_positions(rig)[:, :, None] + 7.0 * rays
    pixels, _, visible = project(rig, places.flatten(1, 2))
    for column in range(8):
        own = slice(column * 240, (column + 1) * 240)
        assert known[0, column].all()
        assert visible[0, column, own].all()
        np.testing.assert_allclose(pixels[0, column, own].numpy(), centres.numpy(), atol=1e-7)
