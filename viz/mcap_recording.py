"""Recordings of 3D views as MCAP files with Foxglove's message schemas (extra `mcap`).

Messages are JSON; schemas are those of https://docs.foxglove.dev/docs/sdk/schemas, of which the fields that are used
are stated. Topics: /map (once), /marks, /agents, /lights, /tf, /points, /curves/NAME, and of each camera
/camera/NAME/image, /calibration and /depth.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.scenes import SwerveError
from swerve.scenes.camera import LensModel
from swerve.scenes.tracks import ObjectClass
from swerve.scenes.transforms import quaternion_from_rotation
from swerve.viz.encoded_image import encode_jpeg
from swerve.viz.rerun_recording import in_millimetres, part
from swerve.viz.scene_view import (
    EGO_COLOR,
    CameraView3D,
    Color,
    ColoredMesh,
    SceneView3D,
    ego_box,
    marked_lines,
    track_colors,
)

_NUMBER, _TEXT, _INTEGER = {"type": "number"}, {"type": "string"}, {"type": "integer"}
_LIST, _TIME = {"type": "array"}, {"type": "object", "properties": {"sec": _INTEGER, "nsec": _INTEGER}}
_BASE64: Final = {"type": "string", "contentEncoding": "base64"}
_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "foxglove.SceneUpdate": {"deletions": _LIST, "entities": _LIST},
    "foxglove.FrameTransform": {
        "timestamp": _TIME, "parent_frame_id": _TEXT, "child_frame_id": _TEXT, "translation": {"type": "object"},
        "rotation": {"type": "object"},
    },
    "foxglove.CompressedImage": {"timestamp": _TIME, "frame_id": _TEXT, "data": _BASE64, "format": _TEXT},
    "foxglove.RawImage": {
        "timestamp": _TIME, "frame_id": _TEXT, "width": _INTEGER, "height": _INTEGER, "encoding": _TEXT,
        "step": _INTEGER, "data": _BASE64,
    },
    "foxglove.CameraCalibration": {
        "timestamp": _TIME, "frame_id": _TEXT, "width": _INTEGER, "height": _INTEGER, "distortion_model": _TEXT,
        "D": _LIST, "K": _LIST, "R": _LIST, "P": _LIST,
    },
    "foxglove.PointCloud": {
        "timestamp": _TIME, "frame_id": _TEXT, "pose": {"type": "object"}, "point_stride": _INTEGER, "fields": _LIST,
        "data": _BASE64,
    },
    "swerve.Number": {"timestamp": _TIME, "value": _NUMBER},
}  # fmt: skip
_MODELS: Final = {LensModel.PINHOLE: "plumb_bob", LensModel.BROWN: "rational_polynomial", LensModel.FISHEYE: "fisheye"}
_FLOAT32: Final = 7
_SHAPES: Final = ("arrows", "cubes", "spheres", "cylinders", "lines", "triangles", "texts", "models")


def import_mcap() -> ModuleType:
    """Import the writer of MCAP files.

    Raises:
        SwerveError: it is not installed.
    """
    try:
        import mcap.writer
    except ImportError as error:
        raise SwerveError(
            "MCAP files need the package mcap: pip install 'PATH[mcap]', where PATH is Swerve's folder"
        ) from error
    module: ModuleType = mcap.writer
    return module


class _Topics:
    """Topics of a file, registered when they are first used."""

    def __init__(self, writer: Any) -> None:  # noqa: ANN401 mcap is optional
        self._writer, self._schemas, self._channels = writer, dict[str, int](), dict[str, int]()

    def add(self, topic: str, schema: str, nanoseconds: int, message: Mapping[str, Any]) -> None:
        """Write a message."""
        if schema not in self._schemas:
            text = {"type": "object", "title": schema, "properties": _FIELDS[schema]}
            self._schemas[schema] = self._writer.register_schema(schema, "jsonschema", json.dumps(text).encode())
        if topic not in self._channels:
            self._channels[topic] = self._writer.register_channel(topic, "json", self._schemas[schema])
        data = json.dumps(message, allow_nan=False).encode()
        self._writer.add_message(self._channels[topic], nanoseconds, data, nanoseconds)


def write_mcap(path: Path, view: SceneView3D) -> None:
    """Write a view as an MCAP file.

    Args:
        path: of the file.
        view: what is recorded; its times are nanoseconds from 0 there.
    """
    with open(path, "wb") as stream:
        writer = import_mcap().Writer(stream)
        writer.start("", "swerve")
        writer.add_metadata("swerve", {"title": view.title, "text": view.text})
        topics = _Topics(writer)
        topics.add("/map", "foxglove.SceneUpdate", 0, _update([_mesh_entity(mesh, 0) for mesh in view.meshes]))
        for step, seconds in enumerate(view.times.tolist()):
            _write_step(topics, view, step, round(1e9 * seconds))
        writer.finish()


def _write_step(topics: _Topics, view: SceneView3D, step: int, now: int) -> None:
    topics.add("/tf", "foxglove.FrameTransform", now, _transform("world", "ego", view.world_from_ego[step], now))
    topics.add("/agents", "foxglove.SceneUpdate", now, _update(_agents(view, step, now), replaces=True, now=now))
    topics.add("/marks", "foxglove.SceneUpdate", now, _update(_marks(view, step, now), replaces=True, now=now))
    if view.signals is not None:
        lights = [_mesh_entity(view.signals(step), now)]
        topics.add("/lights", "foxglove.SceneUpdate", now, _update(lights, replaces=True, now=now))
    for one in view.cameras:
        _write_camera(topics, one, step, now)
    if view.points is not None and (points := view.points(step)) is not None:
        topics.add("/points", "foxglove.PointCloud", now, _cloud(points, now))
    for curve in view.curves:
        if np.isfinite(value := float(curve.values[step])):
            topics.add(f"/curves/{part(curve.name)}", "swerve.Number", now, {"timestamp": _time(now), "value": value})


def _write_camera(topics: _Topics, one: CameraView3D, step: int, now: int) -> None:
    camera, frame, topic = one.camera, f"camera/{one.camera.name}", f"/camera/{part(one.camera.name)}"
    topics.add("/tf", "foxglove.FrameTransform", now, _transform("ego", frame, camera.ego_from_camera, now))
    stamp = {"timestamp": _time(now), "frame_id": frame}
    if (image := one.image(step)) is not None:
        small = camera.resized(image.shape[1], image.shape[0])
        matrix = small.matrix
        calibration = {
            **stamp, "width": small.width, "height": small.height, "distortion_model": _MODELS[small.lens.model],
            "D": list(small.lens.coefficients), "K": matrix.ravel().tolist(), "R": np.eye(3).ravel().tolist(),
            "P": np.column_stack([matrix, np.zeros(3)]).ravel().tolist(),
        }  # fmt: skip
        topics.add(f"{topic}/calibration", "foxglove.CameraCalibration", now, calibration)
        data = {"data": _base64(encode_jpeg(image)), "format": "jpeg"}
        topics.add(f"{topic}/image", "foxglove.CompressedImage", now, {**stamp, **data})
    if one.depth is not None and (depth := one.depth(step)) is not None:
        pixels = in_millimetres(depth).astype("<u2")
        size = {"width": pixels.shape[1], "height": pixels.shape[0], "encoding": "16UC1", "step": 2 * pixels.shape[1]}
        topics.add(f"{topic}/depth", "foxglove.RawImage", now, {**stamp, **size, "data": _base64(pixels.tobytes())})


def _time(nanoseconds: int) -> dict[str, int]:
    return {"sec": nanoseconds // 10**9, "nsec": nanoseconds % 10**9}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _vector(values: Float[np.ndarray, "3"]) -> dict[str, float]:
    return dict(zip("xyz", (float(value) for value in values), strict=True))


def _rotation(wxyz: Float[np.ndarray, "4"]) -> dict[str, float]:
    return dict(zip("wxyz", (float(value) for value in wxyz), strict=True))


def _color(color: Color | Sequence[int], alpha: float = 1.0) -> dict[str, float]:
    return {**dict(zip("rgb", (float(channel) / 255.0 for channel in color), strict=True)), "a": alpha}


def _transform(parent: str, child: str, pose: Float[np.ndarray, "4 4"], now: int) -> dict[str, Any]:
    turned = _rotation(quaternion_from_rotation(pose[:3, :3]))
    return {
        "timestamp": _time(now), "parent_frame_id": parent, "child_frame_id": child,
        "translation": _vector(pose[:3, 3]), "rotation": turned,
    }  # fmt: skip


def _update(entities: list[dict[str, Any]], replaces: bool = False, now: int = 0) -> dict[str, Any]:
    """Return an update of a topic's entities; one that replaces removes all that were there."""
    deletions = [{"timestamp": _time(now), "type": 1, "id": ""}] if replaces else []
    return {"deletions": deletions, "entities": entities}


def _entity(name: str, now: int, frame: str = "world", **parts: Any) -> dict[str, Any]:  # noqa: ANN401
    empty: dict[str, list[Any]] = {
        kind: [] for kind in ("arrows", "cubes", "spheres", "cylinders", "lines", "triangles", "texts", "models")
    }
    head = {
        "timestamp": _time(now),
        "frame_id": frame,
        "id": name,
        "lifetime": _time(0),
        "frame_locked": frame != "world",
    }
    return {**head, "metadata": [], **empty, **parts}


def _metadata(facts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in facts.items()]


def _pose(position: Float[np.ndarray, "3"], heading: float = 0.0) -> dict[str, Any]:
    wxyz = np.array([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)])
    return {"position": _vector(position), "orientation": _rotation(wxyz)}


def _mesh_entity(mesh: ColoredMesh, now: int) -> dict[str, Any]:
    """Return a mesh, a list of triangles for each colour."""
    colors, which = np.unique(mesh.colors, axis=0, return_inverse=True)
    corners = mesh.vertices[mesh.triangles]
    lists = [
        {
            "pose": _pose(np.zeros(3)), "color": _color(color.tolist()), "colors": [], "indices": [],
            "points": [_vector(point) for point in corners[which.ravel() == number].reshape(-1, 3)],
        }
        for number, color in enumerate(colors)
    ]  # fmt: skip
    return _entity(mesh.name, now, triangles=lists)


def _agents(view: SceneView3D, step: int, now: int) -> list[dict[str, Any]]:
    tracks, colors = view.tracks, track_colors(view.tracks)
    found = []
    for row in np.flatnonzero(tracks.valid[:, step]).tolist():
        cube = {
            "pose": _pose(tracks.positions[row, step], float(tracks.headings[row, step])),
            "size": _vector(tracks.sizes[row, step]), "color": _color(colors[row].tolist(), 0.85),
        }  # fmt: skip
        facts = {
            "class": ObjectClass(tracks.classes[row]).name.lower(),
            "speed": f"{np.hypot(*tracks.velocities[row, step]):.2f}",
        }
        found.append(_entity(tracks.ids[row], now, cubes=[cube], metadata=_metadata(facts)))
    center, size = ego_box(np.eye(4), view.vehicle)
    ego = {"pose": _pose(center), "size": _vector(size), "color": _color(EGO_COLOR, 0.85)}
    return [*found, _entity("ego", now, "ego", cubes=[ego])]


def _marks(view: SceneView3D, step: int, now: int) -> list[dict[str, Any]]:
    """Return lines and viewpoints that are shown at a step."""
    marks = marked_lines(view)
    return [
        _entity(
            f"{one.group}: {one.name}",
            now,
            lines=[
                {
                    "type": 0, "pose": _pose(np.zeros(3)), "thickness": width, "scale_invariant": False,
                    "points": [_vector(point) for point in points], "color": _color(one.color), "colors": [],
                    "indices": [],
                }
            ],
            metadata=_metadata(one.facts),
        )
        for one, points, width in marks
        if one.shown_at(step)
    ]  # fmt: skip


def _cloud(points: Float[np.ndarray, "n 3"], now: int) -> dict[str, Any]:
    fields = [{"name": name, "offset": 4 * number, "type": _FLOAT32} for number, name in enumerate("xyz")]
    return {
        "timestamp": _time(now), "frame_id": "world", "pose": _pose(np.zeros(3)), "point_stride": 12, "fields": fields,
        "data": _base64(points.astype("<f4").tobytes()),
    }  # fmt: skip
