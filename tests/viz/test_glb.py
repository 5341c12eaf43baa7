"""Files of meshes, read back by trimesh."""

import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from swerve.viz.glb import encode_glb, encode_mesh_ply, linear_of
from swerve.viz.scene_view import ColoredMesh
from tests.support.small_view import ROAD, road


def cube() -> ColoredMesh:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    colors = np.arange(36, dtype=np.uint8).reshape(12, 3) * 7
    return ColoredMesh("cube", box.vertices + np.array([5.0, 6.0, 7.0]), box.faces.astype(np.int32), colors)


def test_a_glb_has_all_triangles_in_gltf_s_axes():
    loaded = trimesh.load(io.BytesIO(encode_glb([road(), cube()])), file_type="glb")
    assert set(loaded.geometry) == {"map", "cube"}
    whole = loaded.to_geometry()
    assert whole.area == pytest.approx(120 * 8 + 22.0)
    low, high = loaded.bounds
    # x = -world y, y = world z, z = -world x.
    np.testing.assert_allclose(low, [-7.0, 0.0, -90.0], atol=1e-5)
    np.testing.assert_allclose(high, [4.0, 8.5, 30.0], atol=1e-5)
    assert loaded.geometry["cube"].merge_vertices() is None
    assert loaded.geometry["cube"].volume == pytest.approx(6.0, rel=1e-5)


def test_a_glb_with_z_up_has_the_coordinates_as_they_are():
    loaded = trimesh.load(io.BytesIO(encode_glb([cube()], keep_z_up=True)), file_type="glb")
    np.testing.assert_allclose(loaded.bounds, [[4.5, 5.0, 5.5], [5.5, 7.0, 8.5]], atol=1e-6)


def test_colors_are_linear_and_belong_to_triangles():
    content = encode_glb([cube()])
    length = struct.unpack("<I", content[12:16])[0]
    tree = json.loads(content[20 : 20 + length])
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    view = tree["bufferViews"][accessor["bufferView"]]
    start = 28 + length + view["byteOffset"]
    stored = np.frombuffer(content[start : start + view["byteLength"]], "<u2").reshape(12, 3, 4) / 65535.0
    assert (stored[..., 3] == 1.0).all()
    for corner in range(3):
        np.testing.assert_allclose(stored[:, corner, :3], linear_of(cube().colors), atol=1e-5)
    assert len(content) == struct.unpack("<I", content[8:12])[0]


def test_linear_colors_by_hand():
    """sRGB 188 is half the intensity of white; 10 is on the linear part."""
    found = linear_of(np.array([[255, 188, 10]], np.uint8))[0]
    assert found == pytest.approx([1.0, 0.5029, 10 / 255 / 12.92], abs=1e-4)


def test_a_ply_has_all_triangles_and_their_colors():
    loaded = trimesh.load(io.BytesIO(encode_mesh_ply([road(), cube()])), file_type="ply", process=False)
    assert loaded.area == pytest.approx(120 * 8 + 22.0)
    np.testing.assert_allclose(loaded.vertices[4:], cube().vertices, atol=1e-6)
    assert loaded.visual.face_colors[0, :3].tolist() == list(ROAD)
    assert (loaded.visual.face_colors[2:, :3] == cube().colors).all()


def test_names_of_strangers_stay_names():
    named = replace(cube(), name='"}],x\u202e')
    loaded = trimesh.load(io.BytesIO(encode_glb([named])), file_type="glb")
    assert list(loaded.geometry) == [named.name]
