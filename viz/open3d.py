"""Views as Open3D geometries (extra `open3d`, which is imported when one is made)."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.scenes import SwerveError
from swerve.viz.scene_picture import height_colors
from swerve.viz.scene_view import Color, ColoredMesh, SceneView3D, SplatCloud, step_meshes


def import_open3d() -> ModuleType:
    """Import Open3D.

    Raises:
        SwerveError: it is not installed.
    """
    try:
        import open3d
    except ImportError as error:
        raise SwerveError(
            f"these geometries need Open3D ({error}): pip install 'PATH[open3d]', where PATH is Swerve's folder"
        ) from error
    module: ModuleType = open3d
    return module


def triangle_mesh(mesh: ColoredMesh) -> Any:  # noqa: ANN401 Open3D is optional
    """Return an `open3d.geometry.TriangleMesh` with vertex colours; every triangle has vertices of its own."""
    o3d = import_open3d()
    corners = mesh.vertices[mesh.triangles].reshape(-1, 3)
    numbers = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    made = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(corners), o3d.utility.Vector3iVector(numbers))
    made.vertex_colors = o3d.utility.Vector3dVector(np.repeat(mesh.colors / 255.0, 3, axis=0))
    return made


def point_cloud(points: Float[np.ndarray, "n 3"], colors: Float[np.ndarray, "n 3"]) -> Any:  # noqa: ANN401
    """Return an `open3d.geometry.PointCloud`.

    Args:
        points: metres.
        colors: 0 to 1.
    """
    o3d = import_open3d()
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))
    made.colors = o3d.utility.Vector3dVector(colors.astype(np.float64))
    return made


def splat_points(splats: SplatCloud, least_opacity: float = 0.25) -> Any:  # noqa: ANN401
    """Return the centres of Gaussians that are opaque enough as a point cloud."""
    clear = splats.opacities >= least_opacity
    return point_cloud(splats.centers[clear], splats.colors[clear])


def line_set(lines: Sequence[Float[np.ndarray, "_ 3"]], colors: Sequence[Color]) -> Any:  # noqa: ANN401
    """Return an `open3d.geometry.LineSet` of lines, such as trajectories, a colour each."""
    o3d = import_open3d()
    starts = np.cumsum([0, *(len(line) for line in lines)])
    pairs = [
        np.column_stack([np.arange(len(line) - 1), np.arange(1, len(line))]) + start
        for line, start in zip(lines, starts, strict=False)
    ]
    made = o3d.geometry.LineSet(
        o3d.utility.Vector3dVector(np.concatenate([np.zeros((0, 3)), *lines])),
        o3d.utility.Vector2iVector(np.concatenate([np.zeros((0, 2), int), *pairs]).astype(np.int32)),
    )
    tints = [np.tile(np.array(color) / 255.0, (len(pair), 1)) for color, pair in zip(colors, pairs, strict=True)]
    made.colors = o3d.utility.Vector3dVector(np.concatenate([np.zeros((0, 3)), *tints]))
    return made


def geometries(view: SceneView3D, step: int) -> list[Any]:
    """Return all of a view at a step, as `draw_geometries` takes it: meshes, trajectories, LiDAR points, splats."""
    found = [triangle_mesh(mesh) for mesh in step_meshes(view, step)]
    shown = [path for path in view.paths if path.shown_at(step)]
    if shown:
        found.append(line_set([path.points for path in shown], [path.color for path in shown]))
    if view.points is not None and (points := view.points(step)) is not None:
        ground = float(view.world_from_ego[step, 2, 3])
        found.append(point_cloud(points, height_colors(points.astype(float), ground) / 255.0))
    if view.splats is not None:
        found.append(splat_points(view.splats))
    return found
