"""AlpaSim's renderer service, answered by the renderers of logs."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, UInt8

from swerve.data import Source
from swerve.data.dataset.capture import tracks_at
from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.alpasim.camera_specs import camera_message, sized, spec_camera
from swerve.eval.alpasim.frames import pose_of, time_of, trajectory_message
from swerve.eval.alpasim.protocol import protocol, version_message
from swerve.eval.alpasim.service_error import ServiceError, invalid
from swerve.eval.benchmark.splat_renderer import check_fitted
from swerve.eval.benchmark.view_renderers import LogRenderer, Snapshot, ViewRenderer
from swerve.scenes import Camera, Log, SwerveError, Tracks
from swerve.scenes.transforms import inverse, yaw_of

LOGGER = logging.getLogger("swerve.alpasim")
_PNG, _JPEG, _PLANAR = 1, 2, 4
# Of JPEGs, where a request states none: AlpaSim's own.
_QUALITY: Final = 95
# Logs whose renderers are kept.
LOADED: Final = 8
# Tracks that never leave a circle of this radius are part of the scene, metres.
_STILL: Final = 1.0
_MOST_IMAGES, _MOST_OBJECTS = 64, 10_000
_MOST_PIXELS, _LONGEST_SIDE = 1 << 24, 1 << 14


@dataclass(frozen=True)
class _LoadedLog:
    """A log, its renderer, and a lock: a renderer draws one view at a time."""

    log: Log
    renderer: LogRenderer
    still: Bool[np.ndarray, "n"]
    lock: threading.Lock


class RendererService:
    """Renders the logs of a source; a scene of AlpaSim is a log, its local frame the log's world frame.

    Args:
        source: of the logs.
        renderer: of their views.
    """

    def __init__(self, source: Source, renderer: ViewRenderer) -> None:
        self.source, self.renderer = source, renderer
        self._loaded: OrderedDict[str, _LoadedLog] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def methods(self) -> Mapping[str, Callable[[Any], Any]]:
        """The service's methods, from request to reply."""
        names = protocol().services["nre.grpc.protos.sensorsim.SensorsimService"]
        return {name: getattr(self, name) for name in names}

    def get_version(self, _: Any) -> Any:  # noqa: ANN401
        """Return the renderer's name and the version of the messages."""
        return version_message(f"swerve-{self.renderer.name}")

    def get_available_scenes(self, _: Any) -> Any:  # noqa: ANN401
        """Return the names of the logs."""
        return protocol().AvailableScenesReturn(scene_ids=self.source.names())

    def get_loaded_scenes(self, _: Any) -> Any:  # noqa: ANN401
        """Return the logs whose renderers are ready."""
        messages = protocol()
        with self._lock:
            names = list(self._loaded)
        entries = [
            messages.LoadedSceneEntry(scene_id=name, loaded_instance_count=1, reusable_instance_count=1)
            for name in names
        ]
        return messages.LoadedScenesReturn(scenes=entries, loaded_instance_capacity=LOADED)

    def get_available_cameras(self, request: Any) -> Any:  # noqa: ANN401
        """Return the cameras of a log's rig."""
        cameras = self._scene(request.scene_id).log.cameras
        return protocol().AvailableCamerasReturn(available_cameras=[camera_message(camera) for camera in cameras])

    def get_available_trajectories(self, request: Any) -> Any:  # noqa: ANN401
        """Return the recorded drive of a log."""
        log, messages = self._scene(request.scene_id).log, protocol()
        driven = messages.AvailableTrajectoriesReturn.AvailableTrajectory(
            trajectory=trajectory_message(log.times_us, log.ego.world_from_ego)
        )
        return messages.AvailableTrajectoriesReturn(available_trajectories=[driven])

    def get_available_ego_masks(self, _: Any) -> Any:  # noqa: ANN401
        """Return no masks: the ego is not drawn."""
        return protocol().AvailableEgoMasksReturn()

    def render_rgb(self, request: Any) -> Any:  # noqa: ANN401
        """Render an image."""
        return protocol().RGBRenderReturn(image_bytes=self._rendered(request))

    def batch_render_rgb(self, request: Any) -> Any:  # noqa: ANN401
        """Render images; one that cannot be rendered fails alone."""
        messages = protocol()
        self._check_count(len(request.items))
        items = []
        for item in request.items:
            made = messages.BatchRGBRenderReturnItem(camera_name=item.camera_name)
            try:
                made.result.image_bytes, made.success = self._rendered(item.request), True
            except SwerveError as error:
                made.error_message = str(error)
            items.append(made)
        return messages.BatchRGBRenderReturn(items=items)

    def render_aggregated(self, request: Any) -> Any:  # noqa: ANN401
        """Render images."""
        self._check_count(len(request.rgb_requests))
        if request.lidar_requests:
            raise _no_lidar()
        rendered = [protocol().RGBRenderReturn(image_bytes=self._rendered(one)) for one in request.rgb_requests]
        return protocol().AggregatedRenderReturn(rgb_returns=rendered)

    def render_lidar(self, request: Any) -> Any:  # noqa: ANN401
        """Refuse to render LiDAR."""
        raise _no_lidar()

    def _rendered(self, request: Any) -> bytes:  # noqa: ANN401
        """Return the image of a request, encoded.

        Raises:
            ServiceError: something of the request is not known or not possible.
        """
        if request.insert_ego_mask:
            raise invalid("insert_ego_mask: there are no masks, see get_available_ego_masks")
        if request.image_format not in (_PNG, _JPEG, _PLANAR):
            raise invalid(f"image_format {request.image_format} is not PNG (1), JPEG (2) or RGB_UINT8_PLANAR (4)")
        loaded = self._scene(request.scene_id)
        camera, local_from_camera = _posed_camera(request, loaded.log)
        snapshot = _snapshot(loaded, request, local_from_camera @ inverse(camera.ego_from_camera))
        with loaded.lock:
            (image,) = loaded.renderer.render(snapshot, [camera])
        return _encoded(image, request.image_format, request.image_quality)

    def _scene(self, name: str) -> _LoadedLog:
        """Return a log, loaded when first asked for; the one not used for longest makes place.

        Raises:
            ServiceError: there is none of this name, or it cannot be rendered.
        """
        with self._lock:
            if name not in self._loaded:
                if name not in self.source.names():
                    known = ", ".join(self.source.names()[:5])
                    raise ServiceError("NOT_FOUND", f"no scene {name[:200]!r}; there are: {known}")
                LOGGER.info("loading log %s", name)
                log = self.source.load(name)
                check_fitted(self.renderer, log)
                self._loaded[name] = _LoadedLog(log, self.renderer.prepare(log), _still(log.tracks), threading.Lock())
            self._loaded.move_to_end(name)
            while len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
            return self._loaded[name]

    def _check_count(self, count: int) -> None:
        if count > _MOST_IMAGES:
            raise invalid(f"{count} images in one request, {_MOST_IMAGES} are the most")


def _posed_camera(request: Any, log: Log) -> tuple[Camera, Float[np.ndarray, "4 4"]]:  # noqa: ANN401
    """Return the camera of a request, mounted as in the log, and its pose at the end of the frame.

    Raises:
        ServiceError: lens, size or pose are malformed.
    """
    spec = request.camera_intrinsics
    mounts = {camera.name: camera.ego_from_camera for camera in log.cameras}
    camera = spec_camera(spec, spec.logical_id or "camera", mounts.get(spec.logical_id, np.eye(4)))
    width, height = request.resolution_w or camera.width, request.resolution_h or camera.height
    if width * height > _MOST_PIXELS or max(width, height) > _LONGEST_SIDE:
        raise invalid(f"an image of {width}x{height} pixels, {_MOST_PIXELS} are the most")
    return sized(camera, width, height), pose_of(request.sensor_pose.end_pose, "sensor_pose")


def _snapshot(loaded: _LoadedLog, request: Any, world_from_ego: Float[np.ndarray, "4 4"]) -> Snapshot:  # noqa: ANN401
    """Return the state of a log at the end of a frame, with the objects where the request has them.

    Raises:
        ServiceError: the log has no such object.
    """
    log = loaded.log
    time_us = time_of(request.frame_end_us, "frame_end_us")
    within = int(np.clip(time_us, log.times_us[0], log.times_us[-1]))
    step = int(np.searchsorted(log.times_us, within, side="right")) - 1
    tracks = _placed(log.tracks, tracks_at(log.tracks, log.times_us, within), loaded.still, request.dynamic_objects)
    return Snapshot(world_from_ego, tracks, log.lights.at(slice(step, step + 1)), within)


def _placed(logged: Tracks, now: Tracks, still: Bool[np.ndarray, "n"], objects: Sequence[Any]) -> Tracks:
    """Return the tracks of a single step: those named at their poses, those that never move where they are logged.

    Raises:
        ServiceError: an object is no track of the log, or there are too many.
    """
    if len(objects) > _MOST_OBJECTS:
        raise invalid(f"{len(objects)} dynamic objects, {_MOST_OBJECTS} are the most")
    rows = {name: row for row, name in enumerate(now.ids)}
    positions, headings, sizes = now.positions.copy(), now.headings.copy(), now.sizes.copy()
    valid = now.valid & still[:, None]
    for one in objects:
        if one.track_id not in rows:
            raise invalid(f"dynamic object {one.track_id[:200]!r} is no track of the log, so that its size is unknown")
        row, pose = rows[one.track_id], pose_of(one.pose_pair.end_pose, f"dynamic object {one.track_id}")
        positions[row, 0], headings[row, 0], valid[row, 0] = pose[:3, 3], float(yaw_of(pose)), True
        if not now.valid[row, 0]:
            sizes[row, 0] = logged.sizes[row, int(np.argmax(logged.valid[row]))]
    return replace(now, positions=positions, headings=headings, sizes=sizes, valid=valid)


def _still(tracks: Tracks) -> Bool[np.ndarray, "n"]:
    """Return the tracks that never move by a metre."""
    places = np.where(tracks.valid[..., None], tracks.positions[..., :2], np.nan)
    first = np.take_along_axis(places, tracks.valid.argmax(axis=1)[:, None, None], axis=1)
    apart = np.nan_to_num(np.linalg.norm(places - first, axis=2), nan=0.0)
    return np.asarray(apart.max(axis=1, initial=0.0) < _STILL)


def _encoded(image: UInt8[np.ndarray, "h w 3"], image_format: int, quality: float) -> bytes:
    """Encode an image as AlpaSim's format of this number."""
    if image_format == _PLANAR:
        return np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()
    if image_format == _PNG:
        return encode_image(image, "png")
    known = np.isfinite(quality) and quality > 0
    return encode_image(image, "jpeg", int(np.clip(quality, 1, 100)) if known else _QUALITY)


def _no_lidar() -> ServiceError:
    return ServiceError("UNIMPLEMENTED", "LiDAR is not rendered")
