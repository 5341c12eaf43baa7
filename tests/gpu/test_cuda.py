"""The CUDA back end against the CPU's: on a GPU at full size, on numba's simulator at a few pixels.

`pytest tests/gpu` on a machine with a GPU; `NUMBA_ENABLE_CUDASIM=1 pytest tests/gpu` anywhere.
"""

import os

import numpy as np
import pytest

from swerve.rasterizer import StaticLayer, Style, render
from swerve.rasterizer.backends import unavailable_reason
from swerve.scenes import SwerveError
from swerve.scenes.primitives import Semantic
from swerve.scenes.transforms import pose_from_yaw
from tests.support import alike
from tests.support.alike import OUTPUTS, images_of
from tests.support.drawn_scenes import LENSES, box, facing_square, looking, triangles

if unavailable_reason("cuda"):
    pytest.skip(f"cuda: {unavailable_reason('cuda')}", allow_module_level=True)

from swerve.rasterizer.cuda import DeviceMesh, DeviceRenderer, RenderRequest, device_renderer, passes

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
SIZE = (24, 16) if SIMULATED else (1920, 1120)


def small_scene():
    """Ground that reaches behind the camera, boxes near and far, one that cuts the image's border, touching squares."""
    corners = [[-60, -60, 0], [60, -60, 0], [60, 60, 0], [-60, 60, 0]]
    ground = triangles(np.array(corners, float), [[0, 1, 2], [0, 2, 3]], [1, 1])
    boxes = [box((8 + 4 * k, 2.5 * (-1) ** k, 0.9), (4.5, 2.0, 1.6), 10 + k, heading=0.4 * k) for k in range(4)]
    near = box((1.0, 1.6, 0.8), (3.0, 1.5, 1.6), 20, semantic=Semantic.BICYCLE)
    scene = ground.concatenate(facing_square((12.0, 0.0, 2.0), 1.0, 2)).concatenate(
        facing_square((12.0, 2.0, 2.0), 1.0, 3)
    )
    for one in (*boxes, near):
        scene = scene.concatenate(one)
    return scene


def assert_agree(views, images):
    """Alike; on the simulator, which computes as the CPU does, the same."""
    if not SIMULATED:
        alike.assert_alike(images_of([views]), images)
        return
    for view, image in zip(views, images, strict=True):
        for name in OUTPUTS:
            np.testing.assert_array_equal(image[name], getattr(view, name), err_msg=name)


@pytest.mark.parametrize("lens", LENSES)
def test_every_lens_draws_as_on_the_cpu(lens):
    camera = looking(lens=LENSES[lens]).resized(*SIZE)
    poses = np.stack([pose_from_yaw(np.zeros(3), 0.0), pose_from_yaw(np.array([3.0, 1.0, 0.2]), 0.7)])[
        : 1 if SIMULATED else 2
    ]
    primitives = small_scene()
    expected = render(primitives, [camera], poses, outputs=OUTPUTS)
    got = render(primitives, [camera], poses, outputs=OUTPUTS, backend="cuda")
    assert_agree([view for row in expected for view in row], images_of(got))


def test_several_points_a_pixel_and_a_coloured_ground():
    camera = looking().resized(*SIZE)
    poses = pose_from_yaw(np.zeros((1, 3)), np.zeros(1))
    style = Style((30, 60, 90), Style.surfaces().palette, depth_limit=40.0, supersampling=2)
    expected = render(small_scene(), [camera], poses, style, OUTPUTS)
    got = render(small_scene(), [camera], poses, style, OUTPUTS, backend="cuda")
    assert_agree(expected[0], images_of(got))


def test_parts_are_seen_by_those_who_ask_for_them():
    """A still part that is uploaded once, and two moments of what moves, in one pass of images of two sizes."""
    mesh, camera, pose = DeviceMesh(), looking().resized(*SIZE), np.eye(4)
    still, early, late = small_scene(), box((6, 0, 1), (4, 2, 2), 50), box((9, -2, 1), (4, 2, 2), 51)
    parts = [mesh.add(part) for part in (still, early, late)]
    other = camera.resized(SIZE[0] // 2, SIZE[1])
    requests = [RenderRequest(camera, pose, (parts[0], parts[1])), RenderRequest(other, pose, (parts[0], parts[2]))]
    requests.append(RenderRequest(camera, pose, (parts[2],)))
    images = DeviceRenderer().draw(mesh, requests, Style.rap(), OUTPUTS)
    scenes = [still.concatenate(early), still.concatenate(late), late]
    expected = [
        render(scene, [request.camera], pose[None], outputs=OUTPUTS)[0][0]
        for scene, request in zip(scenes, requests, strict=True)
    ]
    assert_agree(expected, images.to_host())
    shown = images.image("depth", 1)
    assert shown.shape == (other.height, other.width)
    assert hasattr(shown, "__cuda_array_interface__") or SIMULATED
    mesh.truncate(1)
    assert mesh.add(late) == 1
    again = DeviceRenderer().draw(mesh, [RenderRequest(other, pose, (0, 1))], Style.rap(), OUTPUTS)
    assert_agree(expected[1:2], again.to_host())


def test_images_of_a_backdrop_are_left_on_the_device(monkeypatch):
    """In passes of one image, which stay what they are while the next is drawn."""
    monkeypatch.setattr(passes, "_PIXELS_PER_PASS", 1)
    still, moving, poses = small_scene(), box((6, 0, 1), (4, 2, 2), 50), np.eye(4)[None]
    cameras = [looking().resized(*SIZE), looking().resized(SIZE[0] // 2, SIZE[1])]
    drawn = list(StaticLayer(still, "cuda").passes_on_gpu(moving, cameras, poses, Style.rap(), OUTPUTS))
    expected = render(still.concatenate(moving), cameras, poses, outputs=OUTPUTS)[0]
    assert [one.shapes for one in drawn] == [((camera.height, camera.width),) for camera in cameras]
    assert_agree(expected, [image for one in drawn for image in one.to_host()])
    for one, view in zip(drawn, expected, strict=True):
        assert list(one.to_host(("depth",))[0]) == ["depth"]
        assert one.image("rgb", 0).copy_to_host().shape == view.rgb.shape


def test_memory_grows_where_polygons_do_not_fit(monkeypatch):

    monkeypatch.setattr(device_renderer, "_POLYGONS", 1)
    monkeypatch.setattr(device_renderer, "_CHORDS", 1)
    camera, poses = looking().resized(*SIZE), np.eye(4)[None]
    mesh = DeviceMesh()
    mesh.add(small_scene())
    images = DeviceRenderer().draw(mesh, [RenderRequest(camera, poses[0])], Style.rap(), OUTPUTS).to_host()
    assert_agree(render(small_scene(), [camera], poses, outputs=OUTPUTS)[0], images)


def test_rays_of_many_cameras_do_not_fill_the_memory(monkeypatch):
    """Forgotten between passes, never within one; images stay what they are."""
    from swerve.rasterizer.cuda import device

    monkeypatch.setattr(device, "_MOST_RAYS", 0)
    mesh, drawer = DeviceMesh(), DeviceRenderer()
    mesh.add(small_scene())
    cameras = [looking(lens=LENSES[lens]).resized(*SIZE) for lens in ("brown", "fisheye")]
    for chosen in (cameras[:1], cameras, cameras[1:]):
        images = drawer.draw(mesh, [RenderRequest(camera, np.eye(4)) for camera in chosen], Style.rap(), OUTPUTS)
        assert_agree(render(small_scene(), chosen, np.eye(4)[None], outputs=OUTPUTS)[0], images.to_host())
        assert drawer._rays.x.length == len(chosen) * SIZE[0] * SIZE[1]


def test_nothing_to_draw_gives_the_background():
    camera = looking().resized(*SIZE)
    empty = small_scene()
    behind = pose_from_yaw(np.array([0.0, 0.0, 500.0]), 0.0)
    images = render(empty, [camera], behind[None], outputs=OUTPUTS, backend="cuda")
    assert not images[0][0].instance.any()
    assert np.isinf(images[0][0].depth).all()
    assert render(empty, [], behind[None], backend="cuda") == [[]]


def test_arrays_of_an_earlier_call_are_written_over():
    camera, poses = looking().resized(*SIZE), np.eye(4)[None]
    first = render(small_scene(), [camera], poses, outputs=("instance",), backend="cuda")
    array = first[0][0].instance
    kept = array.copy()
    array[:] = -1
    again = render(small_scene(), [camera], poses, outputs=("instance",), out=first, backend="cuda")
    assert again[0][0].instance is array
    np.testing.assert_array_equal(array, kept)
    broken = small_scene()
    broken.vertices[0] = np.nan
    with pytest.raises(SwerveError, match="primitives cannot be rendered"):
        render(broken, [camera], poses, backend="cuda")


@pytest.mark.skipif(SIMULATED, reason="the simulator has no device memory to share")
def test_torch_reads_images_without_a_copy():
    torch = pytest.importorskip("torch")
    mesh = DeviceMesh()
    mesh.add(small_scene())
    images = DeviceRenderer().draw(mesh, [RenderRequest(looking(), np.eye(4))], Style.rap(), ("depth",))
    tensor = torch.as_tensor(images.image("depth", 0), device="cuda")
    assert tensor.data_ptr() == images.image("depth", 0).__cuda_array_interface__["data"][0]
    np.testing.assert_array_equal(tensor.cpu().numpy(), images.to_host()[0]["depth"])
