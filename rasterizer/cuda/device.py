"""Device buffers: meshes, cameras and work memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numba import cuda

from swerve.rasterizer.mesh import validate_mesh
from swerve.rasterizer.optics import CameraParameters, LensTable, frustum, lens_table
from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives
from swerve.scenes.transforms import inverse

NO_PART = -1
_SPARE = 1.25
# Upper limit of cached rays, 8 bytes each: thirty full-size cameras.
_MOST_RAYS = 1 << 26
_MESH = {
    "vertices": (np.float64, (3,)),
    "triangles": (np.int32, (3,)),
    "semantics": (np.uint8, ()),
    "faces": (np.uint8, ()),
    "instances": (np.int32, ()),
    "chunk_starts": (np.int32, ()),
    "chunk_centers": (np.float64, (3,)),
    "chunk_radii": (np.float64, ()),
    "chunk_parts": (np.int32, ()),
}
_OF_CHUNKS = ("chunk_starts", "chunk_centers", "chunk_radii", "chunk_parts")


@runtime_checkable
class DeviceArray(Protocol):
    """Numba's device array: it has `__cuda_array_interface__` and DLPack, so that others take it without a copy."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: slice) -> "DeviceArray":
        """Return some of the rows, without a copy."""

    def reshape(self, shape: tuple[int, ...]) -> "DeviceArray":
        """Return the array in another shape, without a copy."""

    def copy_to_device(self, values: object) -> None:
        """Overwrite the array with one of the host or the device."""

    def copy_to_host(self) -> np.ndarray:
        """Copy the array to the host."""


class MeshArrays(NamedTuple):
    """Mesh arrays of the kernels; see `Primitives`. Chunks store the part that they belong to."""

    vertices: DeviceArray
    triangles: DeviceArray
    semantics: DeviceArray
    faces: DeviceArray
    instances: DeviceArray
    chunk_starts: DeviceArray
    chunk_centers: DeviceArray
    chunk_radii: DeviceArray
    chunk_parts: DeviceArray


class GrowableArray:
    """Growable device array of rows of one dtype and shape."""

    def __init__(self, dtype: type, shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._shape, self.length = dtype, shape, 0
        self._array: DeviceArray = cuda.device_array((0, *shape), dtype)

    @property
    def rows(self) -> DeviceArray:
        """Rows in use."""
        return self._array[: self.length]

    def append(self, rows: np.ndarray) -> None:
        """Append rows copied from the host."""
        end = self.length + len(rows)
        if end > len(self._array):
            grown: DeviceArray = cuda.device_array((int(end * _SPARE), *self._shape), self._dtype)
            if self.length:
                grown[: self.length].copy_to_device(self._array[: self.length])
            self._array = grown
        if len(rows):
            self._array[self.length : end].copy_to_device(np.ascontiguousarray(rows, self._dtype))
        self.length = end

    def reserve(self, length: int) -> DeviceArray:
        """Return `length` rows of undefined content."""
        if length > len(self._array):
            self._array = cuda.device_array((int(length * _SPARE), *self._shape), self._dtype)
        self.length = length
        return self._array[:length]


class DeviceMesh:
    """Primitives on the device, in parts: static ones are uploaded once, dynamic ones are replaced.

    Every view selects its parts; so one mesh serves several scenes, or several timestamps of one.
    """

    def __init__(self) -> None:
        self._buffers = {name: GrowableArray(dtype, shape) for name, (dtype, shape) in _MESH.items()}
        self._buffers["chunk_starts"].append(np.zeros(1))
        self._marks = list[dict[str, int]]()

    @property
    def arrays(self) -> MeshArrays:
        """Arrays for the kernels."""
        return MeshArrays(**{name: buffer.rows for name, buffer in self._buffers.items()})

    @property
    def triangles(self) -> int:
        """Number of triangles in all parts."""
        return self._buffers["triangles"].length

    def add(self, primitives: Primitives) -> int:
        """Upload a part; return its number.

        Raises:
            SwerveError: the primitives cannot be rendered.
        """
        mesh, part = validate_mesh(primitives), len(self._marks)
        self._marks.append({name: buffer.length for name, buffer in self._buffers.items()})
        rows = {name: getattr(mesh, name) for name in _MESH if name != "chunk_parts"}
        rows["triangles"] = mesh.triangles + np.int32(self._buffers["vertices"].length)
        rows["chunk_starts"] = mesh.chunk_starts[1:] + np.int32(self.triangles)
        rows["chunk_parts"] = np.full(len(mesh.chunk_radii), part, np.int32)
        for name, array in rows.items():
            self._buffers[name].append(array)
        return part

    def truncate(self, parts: int) -> None:
        """Discard all parts but the first `parts`; their memory is kept for reuse."""
        if parts < len(self._marks):
            for name, length in self._marks[parts].items():
                self._buffers[name].length = length
            del self._marks[parts:]


class DeviceViews(NamedTuple):
    """Cameras at poses, a row per view; `part` are the parts that the view contains."""

    model: DeviceArray
    coefficients: DeviceArray
    limit: DeviceArray
    fx: DeviceArray
    fy: DeviceArray
    cx: DeviceArray
    cy: DeviceArray
    width: DeviceArray
    height: DeviceArray
    segments_per_unit: DeviceArray
    camera_from_world: DeviceArray
    frustum: DeviceArray
    part: DeviceArray
    first_row: DeviceArray
    first_pixel: DeviceArray
    first_ray: DeviceArray


@dataclass(frozen=True)
class RenderRequest:
    """RenderRequest for one image.

    Attributes:
        camera: camera of the image.
        world_from_ego: pose of the vehicle.
        parts: one or two parts of the mesh that are visible.
    """

    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]
    parts: tuple[int, ...] = (0,)


@dataclass
class RayTables:
    """Rays of distorted cameras on the device."""

    x: GrowableArray = field(default_factory=lambda: GrowableArray(np.float32))
    y: GrowableArray = field(default_factory=lambda: GrowableArray(np.float32))
    _firsts: dict[CameraParameters, int] = field(default_factory=dict)

    def trim(self) -> None:
        """Clear all rays once they exceed the limit (each log has its own cameras). Earlier offsets become invalid."""
        if self.x.length > _MOST_RAYS:
            self.x.reserve(0)
            self.y.reserve(0)
            self._firsts.clear()

    def first(self, table: LensTable) -> int:
        """Return the offset of a camera's rays; upload them if they are not there yet."""
        if not table.rays_x.size:
            return 0
        if table.optics not in self._firsts:
            self._firsts[table.optics] = self.x.length
            self.x.append(table.rays_x.reshape(-1))
            self.y.append(table.rays_y.reshape(-1))
        return self._firsts[table.optics]


def device_views(
    requests: Sequence[RenderRequest], style: Style, tables: RayTables
) -> tuple[DeviceViews, np.ndarray, np.ndarray]:
    """Upload the views' parameters for the kernels.

    Returns:
        the views; the first row and the first pixel of each, and the totals at the end (host).
    """
    tables.trim()
    lenses = [lens_table(request.camera) for request in requests]
    optics = [lens.optics for lens in lenses]
    heights, widths = (np.array([getattr(one, name) for one in optics], np.int64) for name in ("height", "width"))
    rows = np.concatenate([[0], np.cumsum(heights)])
    pixels = np.concatenate([[0], np.cumsum(heights * widths)])
    numbers = {name: np.array([getattr(one, name) for one in optics]) for name in _NUMBERS}
    views = DeviceViews(
        **{name: cuda.to_device(values.astype(_NUMBERS[name])) for name, values in numbers.items()},
        camera_from_world=cuda.to_device(np.stack([_camera_from_world(request) for request in requests])),
        frustum=cuda.to_device(np.stack([frustum(lens.bounds, style.depth_limit) for lens in lenses])),
        part=cuda.to_device(np.array([(*request.parts, NO_PART)[:2] for request in requests], np.int32)),
        first_row=cuda.to_device(rows[:-1]),
        first_pixel=cuda.to_device(pixels[:-1]),
        first_ray=cuda.to_device(np.array([tables.first(lens) for lens in lenses], np.int64)),
    )
    return views, rows, pixels


_NUMBERS = {
    "model": np.int32,
    "coefficients": np.float64,
    "limit": np.float64,
    "fx": np.float64,
    "fy": np.float64,
    "cx": np.float64,
    "cy": np.float64,
    "width": np.int32,
    "height": np.int32,
    "segments_per_unit": np.float64,
}


def _camera_from_world(request: RenderRequest) -> Float[np.ndarray, "3 4"]:
    return inverse(request.world_from_ego @ request.camera.ego_from_camera)[:3]
