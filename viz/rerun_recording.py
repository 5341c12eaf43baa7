"""Recordings of 3D views for the Rerun viewer (extra `rerun`)."""

import io
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float32, UInt16
from PIL import Image

from swerve.scenes import SwerveError
from swerve.scenes.tracks import ObjectClass
from swerve.viz.encoded_image import encode_jpeg
from swerve.viz.scene_picture import height_colors
from swerve.viz.scene_view import EGO_COLOR, CameraView3D, ColoredMesh, SceneView3D, ego_box, marked_lines, track_colors

TIMELINE: Final = "time"
_APPLICATION: Final = "swerve"
_QUALITY: Final = 80


def import_rerun() -> ModuleType:
    """Import the Rerun SDK.

    Raises:
        SwerveError: it is not installed.
    """
    try:
        import rerun
    except ImportError as error:
        raise SwerveError(
            "recordings for Rerun need its SDK: pip install 'PATH[rerun]', where PATH is Swerve's folder"
        ) from error
    module: ModuleType = rerun
    return module


def write_rrd(path: Path, view: SceneView3D) -> None:
    """Write a view as a .rrd file, with a blueprint: the scene in 3D, cameras beside it, curves under it.

    Entities: world/MESH, world/agents, world/ego (with cameras/NAME under it), world/points, world/GROUP/NAME of lines
    and viewpoints, curves/NAME; the timeline `time` is in seconds.

    Args:
        path: of the file.
        view: what is recorded.
    """
    rr = import_rerun()
    recording = rr.RecordingStream(_APPLICATION, recording_id=view.title, send_properties=False)
    recording.save(str(path), default_blueprint=_blueprint(view))
    recording.send_recording_name(view.title)
    _log_still(rr, recording, view)
    for step, seconds in enumerate(view.times.tolist()):
        recording.set_time(TIMELINE, duration=seconds)
        _log_step(rr, recording, view, step)
    recording.flush()
    recording.disconnect()


def _blueprint(view: SceneView3D) -> Any:  # noqa: ANN401 rerun is optional
    """Return the arrangement of the viewer's panels."""
    import rerun.blueprint as rrb

    scene = rrb.Spatial3DView(origin="/world", name=view.title)
    images = [
        rrb.Spatial2DView(origin=f"{camera_path(one.camera.name)}/image", name=one.camera.name) for one in view.cameras
    ]
    beside = [rrb.Grid(*images, name="cameras")] if images else []
    about = rrb.TextDocumentView(origin="/about", name="about")
    top = rrb.Horizontal(
        scene, rrb.Vertical(*beside, about, row_shares=[4, 1] if beside else None), column_shares=[3, 2]
    )
    under = [rrb.TimeSeriesView(origin="/curves", name="curves")] if view.curves else []
    return rrb.Blueprint(rrb.Vertical(top, *under, row_shares=[4, 1] if under else None), collapse_panels=True)


def camera_path(name: str) -> str:
    """Return the entity of a camera."""
    return f"world/ego/cameras/{part(name)}"


def part(name: str) -> str:
    """Return a name as one part of an entity path, in which it does not divide."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name) or "_"


def _log_still(rr: ModuleType, recording: Any, view: SceneView3D) -> None:  # noqa: ANN401
    """Log what does not move."""
    recording.log("about", rr.TextDocument(f"{view.title}\n\n{view.text}"), static=True)
    recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    for mesh in view.meshes:
        recording.log(f"world/{part(mesh.name)}", _mesh(rr, mesh), static=True)
    if view.splats is not None:
        splats = view.splats
        shades = (255 * splats.colors).astype(np.uint8)
        recording.log("world/splats", rr.Points3D(splats.centers, colors=shades, radii=0.04), static=True)
    for curve in view.curves:
        recording.log(f"curves/{part(curve.name)}", rr.SeriesLines(names=curve.name), static=True)
    for one in view.cameras:
        pose, camera = one.camera.ego_from_camera, one.camera
        frame = rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
        recording.log(camera_path(camera.name), frame, static=True)
        recording.log(
            f"{camera_path(camera.name)}/image", _pinhole(rr, one, (view.start, *range(len(view)))), static=True
        )
    _log_marks(rr, recording, view)


def _log_marks(rr: ModuleType, recording: Any, view: SceneView3D) -> None:  # noqa: ANN401
    """Log lines and viewpoints: always there, or for a time."""
    marks = marked_lines(view)
    for one, points, width in marks:
        where = f"world/{part(one.group)}/{part(one.name)}"
        label = ", ".join(f"{name}: {value}" for name, value in one.facts.items())
        strip = rr.LineStrips3D([points], colors=[one.color], radii=width / 2, labels=[label] if label else None,
                                show_labels=False)  # fmt: skip
        if one.steps is None:
            recording.log(where, strip, static=True)
            continue
        recording.set_time(TIMELINE, duration=float(view.times[one.steps[0]]))
        recording.log(where, strip)
        if one.steps[1] + 1 < len(view):
            recording.set_time(TIMELINE, duration=float(view.times[one.steps[1] + 1]))
            recording.log(where, rr.Clear(recursive=False))


def _mesh(rr: ModuleType, mesh: ColoredMesh) -> Any:  # noqa: ANN401
    corners = mesh.vertices[mesh.triangles].reshape(-1, 3)
    numbers = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
    return rr.Mesh3D(
        vertex_positions=corners, triangle_indices=numbers, vertex_colors=np.repeat(mesh.colors, 3, axis=0)
    )


def _log_step(rr: ModuleType, recording: Any, view: SceneView3D, step: int) -> None:  # noqa: ANN401
    """Log what there is at a step."""
    tracks, seen = view.tracks, np.flatnonzero(view.tracks.valid[:, step])
    kinds = [ObjectClass(kind).name.lower() for kind in tracks.classes[seen].tolist()]
    labels = [f"{kind} {tracks.ids[row]}" for kind, row in zip(kinds, seen.tolist(), strict=True)]
    agents = rr.Boxes3D(
        centers=tracks.positions[seen, step],
        half_sizes=0.5 * tracks.sizes[seen, step],
        quaternions=_about_z(tracks.headings[seen, step]),
        colors=track_colors(tracks)[seen],
        labels=labels,
        show_labels=False,
        fill_mode="solid",
    )
    recording.log("world/agents", agents)
    pose = view.world_from_ego[step]
    recording.log("world/ego", rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    center, size = ego_box(np.eye(4), view.vehicle)
    recording.log(
        "world/ego/body", rr.Boxes3D(centers=[center], half_sizes=[0.5 * size], colors=[EGO_COLOR], labels=["ego"])
    )
    _log_sensors(rr, recording, view, step)
    for curve in view.curves:
        if np.isfinite(curve.values[step]):
            recording.log(f"curves/{part(curve.name)}", rr.Scalars(float(curve.values[step])))


def _log_sensors(rr: ModuleType, recording: Any, view: SceneView3D, step: int) -> None:  # noqa: ANN401
    """Log images, depth, LiDAR points and lights at a step."""
    for one in view.cameras:
        where = camera_path(one.camera.name)
        if (image := one.image(step)) is not None:
            encoded = rr.EncodedImage(contents=encode_jpeg(image, _QUALITY), media_type="image/jpeg")
            recording.log(f"{where}/image", encoded)
        else:  # the viewer would go on showing the image before
            recording.log(f"{where}/image", rr.Clear(recursive=False))
        if one.depth is not None and (depth := one.depth(step)) is not None:
            recording.log(f"{where}/image/depth", _depth(rr, in_millimetres(depth)))
    points = None if view.points is None else view.points(step)
    if points is not None:
        colors = height_colors(points.astype(float), view.world_from_ego[step, 2, 3]).astype(np.uint8)
        recording.log("world/points", rr.Points3D(points, colors=colors, radii=0.04))
    elif view.points is not None:
        recording.log("world/points", rr.Clear(recursive=False))
    if view.signals is not None and len((heads := view.signals(step)).triangles):
        recording.log("world/lights", _mesh(rr, heads))


def _pinhole(rr: ModuleType, one: CameraView3D, steps: Sequence[int]) -> Any:  # noqa: ANN401
    """Return the pinhole of a camera's images, which may be smaller than the camera: of the first that there is."""
    camera, images = one.camera, (one.image(step) for step in steps)
    image = next((image for image in images if image is not None), None)
    if image is not None:
        camera = camera.resized(image.shape[1], image.shape[0])
    return rr.Pinhole(
        image_from_camera=camera.matrix, width=camera.width, height=camera.height, image_plane_distance=1.2
    )


def _depth(rr: ModuleType, millimetres: UInt16[np.ndarray, "h w"]) -> Any:  # noqa: ANN401
    buffer = io.BytesIO()
    Image.fromarray(millimetres).save(buffer, "png")
    return rr.EncodedDepthImage(blob=buffer.getvalue(), media_type="image/png", meter=1000.0)


def in_millimetres(depth: Float32[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h w"]:
    """Return depth as 16-bit millimetres; 0 where there is none, or none within 65 m."""
    known = np.isfinite(depth) & (depth < 65.535)
    return np.where(known, np.round(1000.0 * np.where(known, depth, 0.0)), 0).astype(np.uint16)


def _about_z(headings: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 4"]:
    """Return quaternions in Rerun's order, scalar last."""
    turned = np.zeros((len(headings), 4))
    turned[:, 2], turned[:, 3] = np.sin(headings / 2), np.cos(headings / 2)
    return turned
