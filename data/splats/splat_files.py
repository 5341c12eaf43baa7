"""Splat scenes on disk: a folder of one PLY file per node, and `graph.json`, which is written last.

graph.json: {"swerve_splats": 1, "origin", "sky": harmonics, "background": file, "nodes": [{"name", "instance", "file",
"times_us", "world_from_node"}], "corrections": {"times_us", "scene_from_log"}}, the last if poses of the vehicle were
refined. Lengths are metres, times microseconds, poses rows of 4x4 matrices; those of nodes are the refined ones.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from swerve.data.storage.checked_json import (
    ShapeError,
    anything,
    array,
    check_shape,
    describe,
    fields,
    integer,
    list_of,
    mapping_of,
    plain_name,
    read_json,
)
from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors, remove_file, to_json, write_atomically
from swerve.rasterizer.splats import PoseCorrections, RigidNode, Sky, SplatScene, encode_ply, read_ply
from swerve.scenes import LogError
from swerve.scenes.transforms import not_rigid

_VERSION = 1
_GRAPH = "graph.json"
_BACKGROUND = "background.ply"
_FILE = re.compile(r"[A-Za-z0-9_-]+\.ply")


def _file(value: Any, place: str) -> None:  # noqa: ANN401 whatever JSON holds
    """Accept the name of a PLY file in the scene's own folder."""
    if not isinstance(value, str) or not _FILE.fullmatch(value):
        raise ShapeError(place, f"is {describe(value)}, not the name of a PLY file in the folder")


_TIMES, _POSES = list_of(integer()), array(None, 4, 4)
_NODE = fields(
    {"name": plain_name, "instance": integer(0), "file": _file, "times_us": _TIMES, "world_from_node": _POSES}
)
_SHAPE = fields(
    {"origin": array(3), "sky": array(None, 3), "background": _file, "nodes": list_of(_NODE)},
    {"corrections": fields({"times_us": _TIMES, "scene_from_log": _POSES})},
)


def write_splats(scene: SplatScene, folder: str | Path) -> None:
    """Write a scene; graph.json is written last and marks completeness.

    Raises:
        SwerveError: the folder cannot be written.
    """
    folder = Path(folder)
    make_folder(folder)
    files = [f"node_{number:04d}.ply" for number in range(len(scene.nodes))]
    graph = {
        "swerve_splats": _VERSION,
        "origin": scene.origin.tolist(),
        "sky": scene.sky.sh_coefficients.tolist(),
        "background": _BACKGROUND,
        "nodes": [_node_to_json(node, file) for node, file in zip(scene.nodes, files, strict=True)],
        **({} if scene.corrections is None else {"corrections": _corrections_to_json(scene.corrections)}),
    }
    with os_errors_as_swerve_errors(folder):
        remove_file(folder / _GRAPH)
        write_atomically(folder / _BACKGROUND, encode_ply(scene.background))
        for node, file in zip(scene.nodes, files, strict=True):
            write_atomically(folder / file, encode_ply(node.gaussians))
        write_atomically(folder / _GRAPH, to_json(graph))


def read_splats(folder: str | Path) -> SplatScene:
    """Read a scene.

    Raises:
        SwerveError: the folder holds no complete scene of this version, or a file is invalid.
    """
    folder = Path(folder)
    path = folder / _GRAPH
    graph = read_json(path, mapping_of(anything), "A splat scene is a folder with it")
    if type(graph.get("swerve_splats")) is not int or graph["swerve_splats"] != _VERSION:
        raise LogError(path, "swerve_splats", f"is not {_VERSION}", "Write the scene with this version of Swerve")
    check_shape(graph, _SHAPE, path)
    try:
        return SplatScene(
            read_ply(folder / graph["background"]),
            tuple(_node_from_json(node, folder) for node in graph["nodes"]),
            _numbers(graph["origin"], (3,)),
            Sky(np.array(graph["sky"], np.float32)),
            _corrections_from_json(graph["corrections"]) if "corrections" in graph else None,
        )
    except ValueError as error:
        raise LogError(path, "content", str(error)) from error


def _node_to_json(node: RigidNode, file: str) -> dict[str, Any]:
    return {
        "name": node.name,
        "instance": int(node.instance),
        "file": file,
        "times_us": node.times_us.tolist(),
        "world_from_node": node.world_from_node.tolist(),
    }


def _node_from_json(node: dict[str, Any], folder: Path) -> RigidNode:
    times = np.array(node["times_us"], np.int64)
    poses = _rigid(node["world_from_node"], len(times))
    return RigidNode(str(node["name"]), int(node["instance"]), read_ply(folder / node["file"]), times, poses)


def _corrections_to_json(corrections: PoseCorrections) -> dict[str, Any]:
    return {"times_us": corrections.times_us.tolist(), "scene_from_log": corrections.scene_from_log.tolist()}


def _corrections_from_json(corrections: dict[str, Any]) -> PoseCorrections:
    times = np.array(corrections["times_us"], np.int64)
    return PoseCorrections(times, _rigid(corrections["scene_from_log"], len(times)))


def _rigid(values: Any, count: int) -> np.ndarray:  # noqa: ANN401 what JSON holds
    poses = _numbers(values, (count, 4, 4))
    if (bent := np.flatnonzero(not_rigid(poses))).size:
        raise ValueError(f"pose {bent[0]} is not a rigid transform")
    return poses


def _numbers(values: Any, shape: tuple[int, ...]) -> np.ndarray:  # noqa: ANN401 what JSON holds
    array = np.array(values, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers of shape {shape}, got {array.shape}")
    return array
