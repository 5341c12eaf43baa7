"""The nvdiffrast back end against the CPU's, with a stand-in for the library; tests/gpu has the library itself."""

import sys

import numpy as np
import pytest
import torch

from swerve.rasterizer import StaticLayer, Style, backends, render
from swerve.rasterizer.mesh import validate_mesh
from swerve.rasterizer.nvdiffrast import (
    NvdiffrastLibrary,
    NvdiffrastView,
    differentiable_render,
    nvdiffrast_renderer,
    render_views,
)
from swerve.rasterizer.nvdiffrast.differentiable_render import clip_positions
from swerve.rasterizer.nvdiffrast.facets import facets_of
from swerve.scenes import Lens, LensModel, MissingExtraError, SwerveError
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import inverse, pose_from_yaw, transform_points
from tests.support import standin_nvdiffrast
from tests.support.alike import OUTPUTS, assert_alike, images_of
from tests.support.drawn_scenes import LENSES, box, facing_square, looking, random_scene, seeing, tiled_ground

STANDIN = NvdiffrastLibrary(standin_nvdiffrast, standin_nvdiffrast.RasterizeCudaContext(), torch.device("cpu"))
RAP = Style.rap()


@pytest.fixture
def installed(monkeypatch):
    """`render` finds nvdiffrast: the stand-in."""
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    monkeypatch.setattr(backends, "unavailable_reason", lambda backend: "")
    monkeypatch.setattr(nvdiffrast_renderer, "load_library", lambda: STANDIN)


def drawn(primitives, cameras, pose, style=RAP, outputs=OUTPUTS):
    shots = [NvdiffrastView(camera, pose) for camera in cameras]
    images = render_views(validate_mesh(primitives), shots, style, outputs, STANDIN)
    return [{name: tensor.numpy() for name, tensor in image.items()} for image in images]


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("seed", [0, 2])
def test_every_lens_draws_as_on_the_cpu(lens, seed):
    camera = looking(yaw=0.2 + seed, lens=lens, width=480, height=270, focal=[360.0, 240.0, 300.0][seed])
    pose, primitives = pose_from_yaw(np.array([1.0, -2.0, 0.1]), 0.1), random_scene(seed)
    views = render(primitives, [camera], pose[None], outputs=OUTPUTS)
    assert_alike(images_of(views), drawn(primitives, [camera], pose))


def test_where_a_lens_is_blind_nothing_is_seen():
    camera = looking(lens=Lens(LensModel.BROWN, (-0.3, 0.0, 0.0, 0.0)), focal=180.0)
    image = drawn(random_scene(5), [camera], np.eye(4))[0]
    blind = ~seeing(camera)
    assert blind.any()
    assert not image["instance"][blind].any()
    assert np.isinf(image["depth"][blind]).all()
    assert_alike(images_of(render(random_scene(5), [camera], np.eye(4)[None], outputs=OUTPUTS)), [image])


@pytest.mark.parametrize("source", ["town", "av2"])
def test_a_moment_of_a_log(source, request):
    from swerve.data import open_source

    opened = open_source("town:1" if source == "town" else f"av2:{request.getfixturevalue('test_data') / 'av2'}")
    log = opened.load(opened.names()[0])
    step = len(log.times_us) // 2
    primitives = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, step))
    cameras = [camera.resized(960, 560) for camera in log.cameras[:1]]
    views = render(primitives, cameras, log.ego.world_from_ego[[step]], outputs=OUTPUTS)
    assert_alike(images_of(views), drawn(primitives, cameras, log.ego.world_from_ego[step]))


def test_passes_hold_images_of_one_size_and_as_many_as_fit(monkeypatch):
    """Sizes alternate, one sees nothing, and three of four passes are full."""
    scene, pose = random_scene(2), pose_from_yaw(np.zeros(3), 0.1)
    cameras = [looking(yaw=0.9 * k, width=[320, 240][k % 2], focal=200.0) for k in range(6)]
    cameras.append(looking(position=(0.0, 0.0, 500.0), width=240))
    whole = drawn(scene, cameras, pose)
    monkeypatch.setattr(nvdiffrast_renderer, "_PIXELS_PER_PASS", 2 * 320 * 180 + 1)
    for alone, together in zip(drawn(scene, cameras, pose), whole, strict=True):
        for name in OUTPUTS:
            np.testing.assert_array_equal(alone[name], together[name])
    assert_alike(images_of(render(scene, cameras, pose[None], outputs=OUTPUTS)), whole)
    most = max(len(facets_of(validate_mesh(scene), camera, pose, 120.0).polygons) for camera in cameras)
    monkeypatch.setattr(nvdiffrast_renderer, "_FACETS_PER_PASS", most + 1)
    np.testing.assert_array_equal(drawn(scene, cameras, pose)[3]["instance"], whole[3]["instance"])
    monkeypatch.setattr(nvdiffrast_renderer, "_FACETS_PER_PASS", most - 1)
    with pytest.raises(SwerveError, match="too many triangles"):
        drawn(scene, cameras, pose)


def test_several_points_a_pixel_and_a_coloured_background():
    style = Style((30, 60, 90), Style.surfaces().palette, depth_limit=40.0, supersampling=2)
    view = render(random_scene(4), [looking()], np.eye(4)[None], style, OUTPUTS)[0][0]
    image = drawn(random_scene(4), [looking()], np.eye(4), style)[0]
    assert np.mean(np.abs(image["rgb"].astype(int) - view.rgb).max(axis=2) <= 1) >= 0.995
    assert (image["rgb"][0, 0] == [30, 60, 90]).all()
    only = drawn(random_scene(4), [looking()], np.eye(4), style, ("rgb",))[0]
    np.testing.assert_array_equal(only["rgb"], image["rgb"])


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_facets_stay_with_the_lens_and_leave_no_gap(lens):
    """Edge middles lie within 1/16 pixel of the true curve; a ground of many triangles covers all it should."""
    camera, ground = looking(lens=lens, width=640, height=360, focal=400.0), tiled_ground()
    facets = facets_of(validate_mesh(ground), camera, np.eye(4), 120.0)
    clip = facets.clip.astype(np.float64)
    pixels = (clip[..., :2] / clip[..., 3:] + 1) / 2 * [camera.width, camera.height]
    rays = camera.unproject(pixels.reshape(-1, 2))[:, :2].reshape(pixels.shape)
    middle = (rays + np.roll(rays, 1, axis=1)) / 2
    true = camera.project(np.pad(middle.reshape(-1, 2), ((0, 0), (0, 1)), constant_values=1.0))[0]
    off = np.linalg.norm(true.reshape(pixels.shape) - (pixels + np.roll(pixels, 1, axis=1)) / 2, axis=-1)
    assert np.nanmax(off) < 1 / 16
    view = render(ground, [camera], np.eye(4)[None], outputs=("instance",))[0][0]
    image = drawn(ground, [camera], np.eye(4), outputs=("instance",))[0]
    assert ((image["instance"] == 0) & (view.instance > 0))[200:].sum() == 0


def test_render_and_backdrops_take_it_when_asked_for(installed):
    pose, still, moving = (
        pose_from_yaw(np.zeros((1, 3)), np.full(1, 0.1)),
        tiled_ground(),
        box((8, 1, 1), (4, 2, 2), 99),
    )
    expected = render(still.concatenate(moving), [looking()], pose, outputs=OUTPUTS)
    got = render(still.concatenate(moving), [looking()], pose, outputs=OUTPUTS, backend="nvdiffrast")
    assert_alike(images_of(expected), images_of(got))
    kept = got[0][0].instance
    again = StaticLayer(still, "nvdiffrast").render(
        facing_square((5, 0, 1.5), 1.0, 7), [looking()], pose, RAP, OUTPUTS, got
    )
    assert again[0][0].instance is kept
    assert (kept == 7).sum() > 1000
    assert not (kept == 99).any()


def test_it_is_never_chosen_by_itself_and_says_what_it_lacks(monkeypatch):
    assert backends.resolve_backend("auto") != "nvdiffrast"
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "nvdiffrast" else object())
    with pytest.raises(MissingExtraError, match=r"docs/backends.md.*pip install --no-build-isolation"):
        backends.resolve_backend("nvdiffrast")
    assert "not installed" in backends.unavailable_reason("nvdiffrast")
    monkeypatch.setattr(backends, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SwerveError, match="torch finds no CUDA device"):
        backends.resolve_backend("nvdiffrast")
    assert "nvdiffrast" not in sys.modules


def test_a_job_notes_the_versions_of_what_draws(installed, monkeypatch):
    monkeypatch.setattr(backends, "distributions", lambda name: [] if name == "numba-cuda" else [name])
    assert backends.rendering_packages("nvdiffrast") == ("nvdiffrast", "torch")
    assert backends.rendering_packages("numba") == backends.rendering_packages("cuda") == ()


def tent():
    """Two triangles that share an edge, one before the other's half; camera_from_world; colours of the corners."""
    corners = [[6, 2, 0.2], [6, -2, 0.4], [7, -1.5, 3], [8, 2.5, 2.6], [4, 0.5, 0.7], [4.2, -0.6, 1.2], [4.1, 0.1, 2.2]]
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6]], dtype=torch.int32)
    camera = looking(width=40, height=24, focal=30.0)
    colors = torch.rand((7, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.tensor(corners, dtype=torch.float64), triangles, colors, camera


def test_differentiable_images_show_what_the_others_show():
    vertices, triangles, colors, camera = tent()
    camera_from_world = torch.from_numpy(inverse(camera.ego_from_camera))
    clip = clip_positions(vertices, camera, camera_from_world).numpy()
    seen, depth, _ = camera.project(transform_points(camera_from_world.numpy(), vertices.numpy()))
    np.testing.assert_allclose((clip[:, :2] / clip[:, 3:] + 1) / 2 * [camera.width, camera.height], seen, atol=1e-9)
    np.testing.assert_allclose(clip[:, 3], depth)
    np.testing.assert_allclose(clip[:, 2] / clip[:, 3], 1 - 0.1 / depth)
    image = differentiable_render(vertices, triangles, colors, camera, camera_from_world, STANDIN)
    assert image.shape == (24, 40, 3)
    for corner in (4, 5, 6):
        near = image[
            int(seen[corner, 1]) - 1 : int(seen[corner, 1]) + 2, int(seen[corner, 0]) - 1 : int(seen[corner, 0]) + 2
        ]
        assert (near.reshape(-1, 3) - colors[corner]).abs().max(dim=1).values.min() < 0.1
    with pytest.raises(SwerveError, match="undistorted"):
        differentiable_render(vertices, triangles, colors, looking(lens=LENSES["brown"]), camera_from_world, STANDIN)


def test_gradients_to_corners_colours_and_pose_are_those_of_differences():
    """Inside of triangles; what silhouettes add is nvdiffrast's own (tests/gpu)."""
    vertices, triangles, colors, camera = tent()
    mounted = torch.from_numpy(inverse(camera.ego_from_camera))
    turn = torch.tensor([0.02, -0.01, 0.03, 0.1, -0.2, 0.05], dtype=torch.float64)

    def image(vertices, colors, turn):
        wx, wy, wz, *_ = turn
        zero = torch.zeros_like(wx)
        skew = torch.stack([zero, -wz, wy, wz, zero, -wx, -wy, wx, zero]).reshape(3, 3)
        moved = torch.cat([torch.linalg.matrix_exp(skew), turn[3:, None]], dim=1)
        moved = torch.cat([moved, torch.eye(4, dtype=torch.float64)[3:]])
        return differentiable_render(vertices, triangles, colors, camera, moved @ mounted, STANDIN)

    inputs = [value.clone().requires_grad_() for value in (vertices, colors, turn)]
    assert torch.autograd.gradcheck(image, inputs, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)
    image(*inputs).square().sum().backward()
    assert all(value.grad.abs().max() > 1e-3 for value in inputs)
