"""Tests with the real nvdiffrast: its fake renders as it does, and antialiased edges."""

import numpy as np
import pytest

from swerve.rasterizer import Style
from swerve.rasterizer.backends import unavailable_reason
from swerve.rasterizer.mesh import validate_mesh
from swerve.scenes.transforms import inverse, pose_from_yaw
from tests.support.drawn_scenes import LENSES, looking, random_scene

if unavailable_reason("nvdiffrast"):
    pytest.skip(f"nvdiffrast: {unavailable_reason('nvdiffrast')}", allow_module_level=True)

import torch

from swerve.rasterizer.nvdiffrast import (
    NvdiffrastLibrary,
    NvdiffrastView,
    differentiable_render,
    load_library,
    render_views,
)
from tests.support import standin_nvdiffrast

STANDIN = NvdiffrastLibrary(standin_nvdiffrast, standin_nvdiffrast.RasterizeCudaContext(), torch.device("cpu"))


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_the_stand_in_draws_as_the_library(lens):
    camera, mesh = looking(lens=lens, width=960, height=540, focal=750.0), validate_mesh(random_scene(1))
    shots = [NvdiffrastView(camera, pose_from_yaw(np.array([x, 1.0, 0.0]), 0.3 * x)) for x in (0.0, 1.0, 2.0)]
    outputs = ("instance", "depth")
    for real, synthetic in zip(
        render_views(mesh, shots, Style.rap(), outputs),
        render_views(mesh, shots, Style.rap(), outputs, STANDIN),
        strict=True,
    ):
        assert real["depth"].device.type == "cuda"
        same = real["instance"].cpu() == synthetic["instance"]
        assert same.double().mean() >= 0.9999
        seen = same & (synthetic["instance"] > 0)
        torch.testing.assert_close(real["depth"].cpu()[seen], synthetic["depth"][seen], rtol=1e-5, atol=0.0)


def test_a_silhouette_moves_the_image_s_centre_of_mass():
    """A square of one colour that moves to the right by dx moves sum(u I) by area f / z dx: an exact gradient.

    Inside, the image does not change at all; all of the gradient comes from the antialiased edges. Moving the camera to
    the left is the same; the colour's gradient is the square's area.
    """
    camera, half, depth = looking(width=256, height=192, focal=200.0), 1.3, 7.0
    corners = [[-half, -half, depth], [half, -half, depth], [half, half, depth], [-half, half, depth]]
    vertices = torch.tensor(corners, device="cuda", requires_grad=True)
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32, device="cuda")
    colors = torch.ones((4, 1), device="cuda", requires_grad=True)
    pose = torch.eye(4, device="cuda", requires_grad=True)
    image = differentiable_render(vertices, triangles, colors, camera, pose)
    weights = torch.arange(camera.width, device="cuda")[None, :, None] + 0.5
    (weights * image).sum().backward()
    area = (2 * half * camera.fx / depth) ** 2
    assert float(image.detach().sum()) == pytest.approx(area, rel=0.01)
    assert float(vertices.grad[:, 0].sum()) == pytest.approx(area * camera.fx / depth, rel=0.05)
    assert float(pose.grad[0, 3]) == pytest.approx(area * camera.fx / depth, rel=0.05)
    assert float(vertices.grad[:, 1].sum()) == pytest.approx(0.0, abs=0.05 * area * camera.fx / depth)
    assert float(colors.grad.sum()) == pytest.approx(area * camera.width / 2, rel=0.01)


def test_a_pose_is_found_again():
    """Descent along the gradient brings a camera that is 20 cm off back to within 2 cm, over ground of many colours."""
    camera, device = looking(width=160, height=90, focal=125.0), load_library().device
    x, y = (
        axis.reshape(-1) for axis in torch.meshgrid(torch.arange(4.0, 40, 2), torch.arange(-12.0, 13, 2), indexing="ij")
    )
    rows, columns = 18, 13
    first = (torch.arange(rows - 1)[:, None] * columns + torch.arange(columns - 1)).reshape(-1, 1)
    halves = torch.tensor([[0, columns, columns + 1], [0, columns + 1, 1]])
    triangles = (first[:, None] + halves).reshape(-1, 3).int().to(device)
    vertices = torch.stack([x, y, torch.zeros_like(x)], dim=1).to(device)
    colors = torch.rand((len(vertices), 3), generator=torch.Generator().manual_seed(0)).to(device)
    mounted = torch.tensor(inverse(camera.ego_from_camera), dtype=torch.float32, device=device)

    def image(shift):
        pose = torch.cat([mounted[:, :3], mounted[:, 3:] + torch.nn.functional.pad(shift, (0, 1))[:, None]], dim=1)
        return differentiable_render(vertices, triangles, colors, camera, pose)

    target = image(torch.zeros(3, device=device)).detach()
    shift = torch.tensor([0.15, -0.1, 0.1], device=device, requires_grad=True)
    descent = torch.optim.Adam([shift], lr=0.01)
    for _ in range(100):
        descent.zero_grad()
        (image(shift) - target).square().mean().backward()
        descent.step()
    assert float(shift.detach().norm()) < 0.02
