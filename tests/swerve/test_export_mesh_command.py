"""Meshes of scenes are read back by trimesh."""

import numpy as np
import pytest
import trimesh

from swerve.export_mesh_command import scene_meshes
from swerve.scenes import Scene, SwerveError
from swerve.scenes.primitives import build_static
from tests.support.command import invoke
from tests.support.town_logs import town


def test_a_scene_s_mesh_has_its_map_agents_and_ego():
    log = town(0)
    meshes = {mesh.name: mesh for mesh in scene_meshes(Scene(log, 20, 0, 0))}
    static = build_static(log.road_map)
    np.testing.assert_array_equal(meshes["map"].triangles, static.triangles)
    seen = log.tracks.valid[:, 20]
    assert len(meshes["agents"].triangles) == 12 * seen.sum()
    agents = trimesh.Trimesh(meshes["agents"].vertices, meshes["agents"].triangles)
    assert agents.volume == pytest.approx(log.tracks.sizes[seen, 20].prod(axis=1).sum())
    ego = trimesh.Trimesh(meshes["ego"].vertices, meshes["ego"].triangles)
    assert ego.volume == pytest.approx(log.vehicle.size.prod())
    assert np.hypot(*(ego.centroid - log.ego.positions[20])[:2]) == pytest.approx(
        log.vehicle.rear_axle_to_center, abs=0.05
    )


@pytest.mark.slow
def test_files_are_written_and_mistakes_told(tmp_path):
    result = invoke("export", "mesh", "town:1", tmp_path / "out" / "town.ply", "--at", 3)
    assert result.exit_code == 0, result.exception
    assert len(trimesh.load(tmp_path / "out" / "town.ply").faces) > 1000
    assert "triangles: map " in result.output
    wrong = invoke("export", "mesh", "town:1", tmp_path / "town.obj")
    assert isinstance(wrong.exception, SwerveError)
    assert "meshes are written as .glb or .ply" in str(wrong.exception)
