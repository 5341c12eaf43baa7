"""Meshes as GLB files (binary glTF 2.0) and PLY files, with a colour per triangle.

Source of the layout: the glTF 2.0 specification (Khronos), sections 3.6 "Binary Data Storage" and 4.4 "Binary glTF
Layout".
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from swerve.viz.scene_view import ColoredMesh

_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _SHORT, _VERTICES = 5126, 5123, 34962
# glTF's y axis is up and -z ahead; the world's z axis is up and x ahead.
_GLTF_FROM_WORLD: Final = [0, 0, -1, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def encode_glb(meshes: Sequence[ColoredMesh], keep_z_up: bool = False) -> bytes:
    """Return the bytes of a GLB file with a node per mesh.

    Every triangle has vertices of its own, since the colours belong to triangles; the material is unlit and two-sided.

    Args:
        meshes: with a triangle or more.
        keep_z_up: leave out the rotation to glTF's axes (y up), for viewers that take coordinates as they are.
    """
    block, views, accessors, gltf_meshes = bytearray(), list[Any](), list[Any](), list[Any]()
    for mesh in meshes:
        corners, colors = _corners(mesh)
        first = len(accessors)
        for data, kind, what in ((corners, _FLOAT, "VEC3"), (colors, _SHORT, "VEC4")):
            views.append({"buffer": 0, "byteOffset": len(block), "byteLength": data.nbytes, "target": _VERTICES})
            accessor = {"bufferView": len(views) - 1, "componentType": kind, "count": len(data), "type": what}
            bounds = {"min": data.min(axis=0).tolist(), "max": data.max(axis=0).tolist()} if kind == _FLOAT else {}
            accessors.append({**accessor, **bounds, **({} if bounds else {"normalized": True})})
            block += data.tobytes()
        attributes = {"POSITION": first, "COLOR_0": first + 1}
        gltf_meshes.append({"name": mesh.name, "primitives": [{"attributes": attributes, "material": 0}]})
    names = [mesh.name for mesh in meshes]
    return _packed(_tree(names, views, accessors, gltf_meshes, len(block), keep_z_up), bytes(block))


def _tree(
    names: Sequence[str], views: list[Any], accessors: list[Any], meshes: list[Any], size: int, keep_z_up: bool
) -> dict[str, Any]:
    placed = {} if keep_z_up else {"matrix": _GLTF_FROM_WORLD}
    nodes = [{"name": name, "mesh": number, **placed} for number, name in enumerate(names)]
    material = {
        "name": "colours",
        "doubleSided": True,
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "extensions": {"KHR_materials_unlit": {}},
    }
    return {
        "asset": {"version": "2.0", "generator": "Swerve"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [material],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": size}],
    }


def _packed(tree: dict[str, Any], block: bytes) -> bytes:
    """Return header, JSON chunk and binary chunk, each of a multiple of four bytes."""
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 4)
    block += b"\0" * (-len(block) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(block), _BIN) + block
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks


def _corners(mesh: ColoredMesh) -> tuple[Float32[np.ndarray, "c 3"], UInt16[np.ndarray, "c 4"]]:
    """Return the vertices of the triangles, and their colours: linear, of 16 bits, as glTF takes vertex colours."""
    corners = mesh.vertices[mesh.triangles].reshape(-1, 3).astype(np.float32)
    linear = np.round(linear_of(mesh.colors) * 65535.0).astype(np.uint16)
    opaque = np.concatenate([linear, np.full((len(linear), 1), 65535, np.uint16)], axis=1)
    return corners, np.repeat(opaque, 3, axis=0)


def linear_of(colors: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Return colours of images (sRGB) as linear intensities, 0 to 1 (IEC 61966-2-1)."""
    share = colors.astype(float) / 255.0
    linear: Float[np.ndarray, "n 3"] = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear


def encode_mesh_ply(meshes: Sequence[ColoredMesh]) -> bytes:
    """Return the bytes of a binary PLY file with all triangles, in the world's axes, coloured by face."""
    vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype("<f4")
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    count = sum(len(mesh.triangles) for mesh in meshes)
    faces = np.empty(count, dtype=[("count", "u1"), ("corners", "<i4", 3), ("color", "u1", 3)])
    faces["count"] = 3
    faces["corners"] = np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)])
    faces["color"] = np.concatenate([mesh.colors for mesh in meshes])
    head = (
        f"ply\nformat binary_little_endian 1.0\ncomment z up, metres\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {count}\nproperty list uchar int vertex_indices\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    return b"".join((head.encode(), vertices.tobytes(), faces.tobytes()))
