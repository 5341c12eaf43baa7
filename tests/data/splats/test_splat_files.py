"""Splat scenes on disk."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from swerve.data.splats.splat_files import read_splats, write_splats
from swerve.rasterizer.splats import Gaussians, PoseCorrections, RigidNode, Sky, SplatScene
from swerve.scenes import SwerveError
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from tests.support.splat_clouds import random_gaussians


def scene():
    poses = rigid_transform(rotation_about_z(np.array([0.1, 0.2, 0.3])), np.arange(9.0).reshape(3, 3) / 7)
    times = np.array([0, 100_000, 200_000])
    nodes = tuple(RigidNode(name, k, random_gaussians(k, 5, k), times, poses) for k, name in enumerate(["a/b", "c"], 1))
    sky = Sky(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    return SplatScene(random_gaussians(0, 9), nodes, np.array([1e5 + 0.1, -2.0, 3.0]), sky)


def test_round_trip(tmp_path):
    write_splats(scene(), tmp_path / "new" / "scene")
    found, expected = read_splats(tmp_path / "new" / "scene").at(150_000), scene().at(150_000)
    for field in fields(Gaussians):
        np.testing.assert_array_equal(getattr(found.gaussians, field.name), getattr(expected.gaussians, field.name))
    np.testing.assert_array_equal(found.instances, expected.instances)
    np.testing.assert_array_equal(found.origin, expected.origin)
    np.testing.assert_array_equal(found.sky.sh_coefficients, expected.sky.sh_coefficients)


def test_corrections_are_kept_if_there_are_any(tmp_path):
    write_splats(scene(), tmp_path)
    assert read_splats(tmp_path).corrections is None
    np.testing.assert_array_equal(read_splats(tmp_path).scene_from_log(5), np.eye(4))
    corrections = PoseCorrections(
        np.array([0, 200_000]), rigid_transform(rotation_about_z(np.array([0.0, 0.2])), np.eye(3)[:2])
    )
    write_splats(replace(scene(), corrections=corrections), tmp_path)
    found = read_splats(tmp_path)
    assert found.corrections is not None
    np.testing.assert_array_equal(found.corrections.scene_from_log, corrections.scene_from_log)
    half = rigid_transform(rotation_about_z(0.1), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(found.scene_from_log(100_000), half, atol=1e-12)
    for time, row in ((-9, 0), (200_000, 1), (10**9, 1)):
        np.testing.assert_allclose(found.scene_from_log(time), corrections.scene_from_log[row], atol=1e-12)
    single = PoseCorrections(corrections.times_us[:1], corrections.scene_from_log[1:])
    np.testing.assert_array_equal(single.at(77), corrections.scene_from_log[1])


@pytest.mark.parametrize("left_out", ["origin", "sky", "background", "nodes"])
def test_what_is_missing_is_named(tmp_path, left_out):
    write_splats(scene(), tmp_path)
    graph = json.loads((tmp_path / "graph.json").read_text())
    del graph[left_out]
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    with pytest.raises(SwerveError, match=f"graph.json: {left_out}: is missing"):
        read_splats(tmp_path)


def test_other_faults(tmp_path):
    with pytest.raises(SwerveError, match="A splat scene is a folder with it"):
        read_splats(tmp_path)
    write_splats(scene(), tmp_path)
    graph = json.loads((tmp_path / "graph.json").read_text())
    for change, message in [
        ({"swerve_splats": 2}, "swerve_splats: is not 1"),
        ({"origin": [0, 1]}, "origin: is not 3 numbers in lists"),
        ({"background": "../background.ply"}, "background: is '../background.ply', not the name of a PLY file"),
        ({"nodes": [{**graph["nodes"][0], "file": "/etc/node.ply"}]}, r"nodes\[0\].file: is '/etc/node.ply'"),
        ({"nodes": [{**graph["nodes"][0], "times_us": [True]}]}, r"nodes\[0\].times_us\[0\]: is True"),
        ({"sky": [[0, 0, 0]] * 5}, "the sky's sh_coefficients"),
        (
            {"corrections": {"times_us": [0], "scene_from_log": [np.diag([1.0, 1, -1, 1]).tolist()]}},
            "pose 0 is not a rigid transform",
        ),
        (
            {"corrections": {"times_us": [0, 1], "scene_from_log": [[0]]}},
            "corrections.scene_from_log: is not n x 4 x 4 numbers",
        ),
    ]:
        (tmp_path / "graph.json").write_text(json.dumps({**graph, **change}))
        with pytest.raises(SwerveError, match=message):
            read_splats(tmp_path)
    (tmp_path / "graph.json").write_text("{")
    with pytest.raises(SwerveError, match=r"graph.json: file: is not JSON"):
        read_splats(tmp_path)
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    (tmp_path / "node_0001.ply").unlink()
    with pytest.raises(SwerveError, match=r"node_0001.ply: cannot be read"):
        read_splats(tmp_path)
