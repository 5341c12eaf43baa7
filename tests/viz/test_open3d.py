"""Geometries of Open3D have the points, triangles and colours of the view."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.viz.open3d import geometries, line_set, splat_points, triangle_mesh
from swerve.viz.scene_view import SplatCloud, step_meshes
from tests.support.small_view import ROAD, road, small_tracks, small_view

SPLATS = SplatCloud(
    np.arange(9, dtype=np.float32).reshape(3, 3),
    np.tile(np.eye(3, dtype=np.float32), (3, 1, 1)),
    np.full((3, 3), 0.5, np.float32),
    np.array([0.1, 0.9, 0.3], np.float32),
)


def test_all_solid_things_of_a_step_are_meshes():
    meshes = {mesh.name: mesh for mesh in step_meshes(small_view(), 4)}
    assert set(meshes) == {"map", "agents", "ego"}
    assert len(meshes["agents"].triangles) == 12, "the walker has gone"
    np.testing.assert_allclose(meshes["agents"].vertices.mean(axis=0), small_tracks().positions[0, 4], atol=1e-9)
    assert meshes["ego"].vertices[:, 2].min() == pytest.approx(0.0)


def test_geometries_of_open3d():
    pytest.importorskip("open3d", reason="open3d is an extra", exc_type=ImportError)
    mesh = triangle_mesh(road())
    assert mesh.get_surface_area() == pytest.approx(960.0)
    np.testing.assert_allclose(np.asarray(mesh.vertex_colors)[0] * 255, ROAD)
    points = splat_points(SPLATS)
    np.testing.assert_allclose(np.asarray(points.points), [[3, 4, 5], [6, 7, 8]])
    lines = line_set([np.zeros((3, 3)), np.ones((2, 3))], [(255, 0, 0), (0, 255, 0)])
    assert np.asarray(lines.lines).tolist() == [[0, 1], [1, 2], [3, 4]]
    assert np.asarray(lines.colors)[2].tolist() == [0.0, 1.0, 0.0]
    kinds = [type(one).__name__ for one in geometries(replace(small_view(), splats=SPLATS), 1)]
    assert kinds == ["TriangleMesh"] * 3 + ["LineSet", "PointCloud", "PointCloud"]
