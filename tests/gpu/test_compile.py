"""That the kernels compile for a GPU, where numba-cuda and its compiler are installed; it needs no GPU."""

import os

import numpy as np
import pytest

from swerve.rasterizer import Style
from swerve.rasterizer.mesh import PIXELS
from tests.support.drawn_scenes import looking

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    pytest.skip("the simulator compiles nothing", allow_module_level=True)
pytest.importorskip("numba_cuda")

from numba import cuda, typeof
from numba.cuda import dispatcher
from numba.cuda.cudadrv.error import NvvmSupportError
from numba.cuda.cudadrv.nvvm import NVVM

try:
    NVVM()
except NvvmSupportError as error:
    pytest.skip(f"no CUDA compiler: {error}", allow_module_level=True)

from swerve.rasterizer.cuda import RenderRequest, cuda_kernels, device, device_renderer

# Of the oldest GPU that torch still supports, and of those in data centres.
CAPABILITIES = [(7, 5), (9, 0)]


def arguments(patch):
    """Return the launch arguments of each kernel as host arrays, equivalent for the compiler."""
    patch.setattr(device.cuda, "to_device", np.array)
    patch.setattr(device.cuda, "device_array", np.empty)
    style = Style.rap()
    mesh = device.MeshArrays(**{name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in device._MESH.items()})
    views, _, _ = device.device_views([RenderRequest(looking(), np.eye(4))], style, device.RayTables())
    drawer = device_renderer.DeviceRenderer()
    pairs, starts, chords, spans = (one.rows for one in (drawer._pairs, drawer._starts, drawer._chords, drawer._spans))
    planes, outlines = drawer._planes.rows, drawer._outlines.rows
    counters, places, rows = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32)
    look = device_renderer._Look(np.array(style.palette), np.zeros(3, np.uint8), np.float32(0.0))
    images = device_renderer._Images(*(np.zeros((0, *shape), dtype) for dtype, shape in PIXELS.values()))
    rays = device_renderer._Rays(drawer._rays.x.rows, drawer._rays.y.rows)
    return {
        "find_chunks": (mesh, views, pairs, counters),
        "clip_triangles": (mesh, views, pairs, planes, outlines, starts, chords, counters),
        "count_spans": (views, outlines, starts, chords, rows, counters),
        "place_rows": (rows, places, counters),
        "write_spans": (views, outlines, starts, chords, places, rows, spans),
        "shade_rows": (mesh, views, rows, planes, outlines, places, rows, spans, rays, look, images),
        "average": (images.rgb, views, views, rows, 2, images.rgb),
    }


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
def test_every_kernel_compiles(monkeypatch, capability):
    given = arguments(monkeypatch)
    assert set(given) == {name for name, one in vars(cuda_kernels).items() if is_kernel(one)}
    # Functions of the device ask for the GPU that they are compiled for.
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: FakeDevice(capability))
    for name, values in given.items():
        types = tuple(typeof(value) for value in values)
        assembly, _ = cuda.compile_ptx(getattr(cuda_kernels, name).py_func, types, cc=capability)
        assert ".entry" in assembly, name
        assert name != "shade_rows" or "atom.shared.max.u64" in assembly, "pixels compete in shared memory"


class FakeDevice:
    """As much of a GPU as the compiler asks about."""

    def __init__(self, capability):
        self.compute_capability = capability


def is_kernel(one):
    return isinstance(one, dispatcher.CUDADispatcher) and not one.targetoptions.get("device")
