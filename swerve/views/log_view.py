"""3D view of a log."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import scipy
from jaxtyping import Float, Float32, Int, UInt8
from PIL import Image

from swerve.data.storage.checked_image import decode_pixels
from swerve.rasterizer import StaticLayer, Style, View
from swerve.scenes import Camera, Log, LogError, Photo
from swerve.scenes.primitives import Primitives, build_dynamic, build_static, signal_cuboids
from swerve.scenes.transforms import transform_points, yaw_of
from swerve.scenes.viewpoints import Viewpoint
from swerve.sheet_images import CROSS_AGENT, PAST, RECOVERY, offsets_text
from swerve.viz.scene_view import (
    CameraView3D,
    ColoredMesh,
    Curve,
    Marker3D,
    Path3D,
    SceneView3D,
    map_style,
    moving_paths,
    track_colors,
)

# Width of the images that are shown, and most seconds between a step and its photo or sweep.
IMAGE_WIDTH, _PHOTO_SECONDS, _SWEEP_SECONDS = 480, 0.3, 0.06
# Lift of lines above the ground, and most points of a sweep that are shown.
LIFT, _MOST_POINTS = 0.12, 60_000
_LOGGED = (255, 255, 255)
# Distance of the grid's lines in metres and how far it reaches beyond the path, and most lines in a direction.
_GRID_SPACING, _GRID_MARGIN, _MOST_LINES = 10.0, 30.0, 60
_GRID_COLOR = (90, 98, 112)

ImageOf = Callable[[int], UInt8[np.ndarray, "_ _ 3"] | None]


def map_meshes(static: Primitives) -> tuple[ColoredMesh, ...]:
    """Return the map as a mesh; none without a map."""
    return (ColoredMesh.of_primitives("map", static, map_style()),) if len(static) else ()


def signal_meshes(log: Log) -> Callable[[int], ColoredMesh] | None:
    """Return the heads of traffic lights at a step; None if the log has none."""
    if not len(signal_cuboids(log.lights, 0)):
        return None
    return lambda step: ColoredMesh.of_primitives("lights", signal_cuboids(log.lights, step), map_style())


def log_view(
    log: Log, source: str, start: int, viewpoints: Sequence[Viewpoint] = (), window: tuple[int, int] | None = None
) -> SceneView3D:
    """Describe a log over its whole length.

    Args:
        log: the log; with cameras.
        source: text that names its source.
        start: step that is shown first.
        viewpoints: recovery and cross-agent viewpoints of the scene there.
        window: first and last step at which these are shown.
    """
    static = build_static(log.road_map)
    seconds = (log.times_us - log.times_us[0]) * 1e-6
    images = "photos" if log.photos else "rasters, since there are no photos"
    text = (
        f"{source}: {len(log.tracks)} tracks, {len(log.cameras)} cameras ({images}), {len(log.sweeps)} LiDAR sweeps. "
        f"White: the logged path.{viewpoint_text(viewpoints)}"
    )
    paths, markers = viewpoint_marks(viewpoints, window)
    return SceneView3D(
        title=log.name,
        text=text,
        times=seconds,
        world_from_ego=log.ego.world_from_ego,
        vehicle=log.vehicle,
        tracks=log.tracks,
        meshes=map_meshes(static),
        signals=signal_meshes(log),
        paths=(*(() if len(static) else ground_grid(log.ego.positions)), *ego_paths(log), *track_paths(log), *paths),
        markers=markers,
        cameras=camera_views(log, static),
        points=sweep_reader(log),
        curves=motion_curves(log),
        start=start,
    )


def viewpoint_text(viewpoints: Sequence[Viewpoint]) -> str:
    """Return what the colours of viewpoints mean."""
    kinds = {one.kind.value for one in viewpoints}
    orange = " Orange: recovery viewpoints and their ways back." * ("recovery" in kinds)
    return orange + " Green: cross-agent viewpoints." * ("cross_agent" in kinds)


def ground_grid(positions: Float[np.ndarray, "n 3"]) -> tuple[Path3D, ...]:
    """Return lines on the ground around a path, for logs without a map.

    They are `_GRID_SPACING` apart, or a multiple of it where the path is long. The ground is as high as the nearest
    position.
    """
    low, high = positions[:, :2].min(axis=0) - _GRID_MARGIN, positions[:, :2].max(axis=0) + _GRID_MARGIN
    spacing = _GRID_SPACING * max(np.ceil((high - low).max() / (_GRID_SPACING * _MOST_LINES)), 1.0)
    xs, ys = (np.arange(np.floor(low[axis] / spacing), high[axis] / spacing + 1) * spacing for axis in (0, 1))
    x, y = np.meshgrid(xs, ys, indexing="ij")
    nearest = scipy.spatial.cKDTree(positions[:, :2]).query(np.stack([x, y], axis=-1))[1]
    points = np.stack([x, y, positions[nearest, 2]], axis=-1)
    lines = [*points, *points.swapaxes(0, 1)]
    group = f"ground, a line each {spacing:g} m"
    return tuple(Path3D(f"ground {number}", group, line, _GRID_COLOR, 0.03) for number, line in enumerate(lines))


def ego_paths(log: Log) -> tuple[Path3D, ...]:
    """Return the logged path of the ego."""
    if len(log.ego) < 2:
        return ()
    facts = {"path": "logged", "length": f"{np.linalg.norm(np.diff(log.ego.positions, axis=0), axis=1).sum():.0f} m"}
    return (Path3D("logged path", "logged path", lifted(log.ego.positions), _LOGGED, 0.2, facts),)


def track_paths(log: Log) -> list[Path3D]:
    """Return the paths of tracks that move."""
    colors = track_colors(log.tracks)
    return [
        Path3D(f"track {log.tracks.ids[row]}", "tracks' paths", lifted(points), dimmed(colors[row]), 0.08)
        for row, points in moving_paths(log.tracks)
    ]


def lifted(points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Return points a little above the ground, so that it does not hide the line through them."""
    raised: Float[np.ndarray, "k 3"] = points + np.array([0.0, 0.0, LIFT])
    return raised


def dimmed(color: UInt8[np.ndarray, "3"], share: float = 0.65) -> tuple[int, int, int]:
    """Return a darker colour."""
    red, green, blue = (int(share * channel) for channel in color)
    return red, green, blue


def viewpoint_marks(
    viewpoints: Sequence[Viewpoint], window: tuple[int, int] | None
) -> tuple[tuple[Path3D, ...], tuple[Marker3D, ...]]:
    """Return the histories, targets and outlines of viewpoints."""
    paths, markers = list[Path3D](), list[Marker3D]()
    for number, one in enumerate(viewpoints):
        kind = one.kind.value.replace("_", "-")
        color, name = RECOVERY if one.kind.value == "recovery" else CROSS_AGENT, f"{kind} {number}"
        facts = {"viewpoint": kind, "speed": f"{np.hypot(*one.ego.velocity[-1]):.1f} m/s"}
        if kind == "recovery":
            facts["offsets"] = offsets_text(one.parameters)
        group = f"{kind} viewpoints"
        back = lifted(np.concatenate([one.ego.positions[-1:], one.target[:, :3, 3]]))
        paths.append(Path3D(f"{name} target", group, back, color, 0.12, facts, window))
        if len(one.ego) > 1:
            paths.append(Path3D(f"{name} history", group, lifted(one.ego.positions), PAST, 0.08, facts, window))
        markers.append(pose_marker(name, group, one, color, facts, window))
    return tuple(paths), tuple(markers)


def pose_marker(
    name: str,
    group: str,
    viewpoint: Viewpoint,
    color: tuple[int, int, int],
    facts: dict[str, str],
    window: tuple[int, int] | None = None,
) -> Marker3D:
    """Return a flat box in the size of a viewpoint's vehicle at its pose."""
    vehicle, pose = viewpoint.vehicle, viewpoint.world_from_ego
    center = (pose @ np.array([vehicle.rear_axle_to_center, 0.0, 0.15, 1.0]))[:3]
    size = np.array([vehicle.length, vehicle.width, 0.3])
    return Marker3D(name, group, center, float(yaw_of(pose)), size, color, facts, window)


def motion_curves(log: Log) -> tuple[Curve, ...]:
    """Return speed and acceleration over time."""
    return (
        Curve("speed, m/s", np.hypot(*log.ego.velocity.T)),
        Curve("acceleration, m/s2", log.ego.acceleration[:, 0].astype(float)),
    )


def camera_views(log: Log, static: Primitives) -> tuple[CameraView3D, ...]:
    """Return the cameras with their photos, or with rasters where the log has none; and the rasters' depth."""
    small = [reduced_camera(camera) for camera in log.cameras]
    layer = StaticLayer(static, "numba")

    @lru_cache(maxsize=4)
    def drawn(step: int) -> list[View]:
        moving = build_dynamic(log.tracks, log.lights, step)
        return layer.render(moving, small, log.ego.world_from_ego[step, None], Style.rap(), ("rgb", "depth"), None)[0]

    def rgb(row: int, step: int) -> UInt8[np.ndarray, "_ _ 3"] | None:
        return drawn(step)[row].rgb

    def depth(row: int, step: int) -> Float32[np.ndarray, "_ _"] | None:
        return drawn(step)[row].depth

    images = [photo_reader(log, camera) for camera in log.cameras] if log.photos else None
    return tuple(
        CameraView3D(
            camera,
            images[row] if images else partial(rgb, row),
            partial(depth, row),
        )
        for row, camera in enumerate(log.cameras)
    )


def reduced_camera(camera: Camera) -> Camera:
    """Return a camera of the width of the images that are shown, at most."""
    if camera.width <= IMAGE_WIDTH:
        return camera
    return camera.resized(IMAGE_WIDTH, max(round(camera.height * IMAGE_WIDTH / camera.width), 1))


def photo_reader(log: Log, camera: Camera) -> ImageOf:
    """Return the reader of a camera's photo nearest to a step, reduced; None where none is near."""
    own = sorted((photo for photo in log.photos if photo.camera == camera.name), key=lambda photo: photo.time_us)
    times = np.array([photo.time_us for photo in own], dtype=np.int64)

    @lru_cache(maxsize=8)
    def read(row: int) -> UInt8[np.ndarray, "_ _ 3"]:
        return reduced_image(_pixels(own[row]))

    def image(step: int) -> UInt8[np.ndarray, "_ _ 3"] | None:
        row = nearest(times, int(log.times_us[step]), _PHOTO_SECONDS)
        return None if row is None else read(row)

    return image


def reduced_image(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return an image of the width that is shown, at most."""
    if image.shape[1] <= IMAGE_WIDTH:
        return image
    size = (IMAGE_WIDTH, max(round(image.shape[0] * IMAGE_WIDTH / image.shape[1]), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def nearest(times: Int[np.ndarray, "n"], time_us: int, seconds: float) -> int | None:
    """Return the row of the time nearest to another; None if it is further away than `seconds`."""
    if not len(times):
        return None
    row = int(np.abs(times - time_us).argmin())
    return row if abs(int(times[row]) - time_us) <= seconds * 1e6 else None


def sweep_reader(log: Log) -> Callable[[int], Float32[np.ndarray, "_ 3"] | None] | None:
    """Return the reader of the LiDAR points at a step, in the world, thinned; None if the log has no sweeps."""
    if not log.sweeps:
        return None
    times = np.array([sweep.time_us for sweep in log.sweeps], dtype=np.int64)

    @lru_cache(maxsize=2)
    def read(row: int) -> Float32[np.ndarray, "_ 3"]:
        points = log.sweeps[row].read()
        kept = points[:: max(len(points) // _MOST_POINTS, 1)]
        return transform_points(log.sweeps[row].world_from_ego, kept.astype(float)).astype(np.float32)

    def points(step: int) -> Float32[np.ndarray, "_ 3"] | None:
        row = nearest(times, int(log.times_us[step]), _SWEEP_SECONDS)
        return None if row is None else read(row)

    return points


def _pixels(photo: Photo) -> UInt8[np.ndarray, "_ _ 3"]:
    try:
        return decode_pixels(photo.read(), "RGB")
    except ValueError as error:
        raise LogError(photo.file, f"photo of {photo.camera}", str(error)) from error
