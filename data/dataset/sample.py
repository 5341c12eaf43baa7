"""Training samples: all inputs and targets of a planner at one viewpoint, as files (docs/formats.md)."""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import ImageRequest, image_requests
from swerve.data.dataset.gpu_encoding import EncodedView, GpuJpegs, jpeg_packages
from swerve.data.dataset.image_encoding import EXTENSIONS, encode_depth, encode_image, encode_instance, encode_png
from swerve.data.dataset.manifest import relaxed_of
from swerve.data.dataset.sample_shape import FORMAT
from swerve.data.dataset.shards import Sample
from swerve.data.dataset.stored_snapshots import MEMBER, capture_groups, dynamic_objects_at, snapshots_to_bytes
from swerve.data.dataset.synthetic_photos import SyntheticPhoto, SyntheticPhotos
from swerve.data.dataset.targets import Arrays, expert_arrays, trajectory_arrays
from swerve.data.dataset.viewpoint_maker import ExpertTarget
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.checked_npz import encode_npz
from swerve.data.storage.files import safe_name
from swerve.rasterizer import StaticLayer, Style, View
from swerve.scenes import Camera, Log, LogError, Photo, Split
from swerve.scenes.primitives import Primitives, build_dynamic
from swerve.scenes.transforms import inverse, pose_from_yaw, transform_points, yaw_of
from swerve.scenes.viewpoints import Viewpoint

STYLES = {"rap": Style.rap, "surfaces": Style.surfaces}


class SampleRenderer:
    """Renderer of one log's viewpoints; keeps static primitives and image memory.

    Args:
        static: static primitives of the log.
        options: options of the set.
        watch: timer of "drawing", and of "encoding" for JPEGs encoded on the GPU.
        synthetic_photos: renderer of synthetic photos, if requested.
        kept: number of calls of `draw` with separate image memory, reused in turn.
    """

    def __init__(
        self,
        static: Primitives,
        options: AugmentOptions,
        watch: Stopwatch,
        synthetic_photos: SyntheticPhotos | None = None,
        kept: int = 1,
    ) -> None:
        self.static, self._watch, self._synthetic_photos = static, watch, synthetic_photos
        self._backdrop = StaticLayer(static, options.backend)
        self._style = STYLES[options.style](supersampling=options.supersampling)
        self._outputs = ("rgb", *options.extra_outputs)
        self._jpegs = GpuJpegs(options.jpeg_quality) if jpeg_packages(options) else None
        self._canvases = deque(dict[tuple[str, int, int], View]() for _ in range(kept))

    def draw(self, viewpoint: Viewpoint, captures: Sequence[ImageRequest]) -> list[View]:
        """Render one view per capture, with agents at its time; valid for `kept` - 1 further calls.

        With JPEGs encoded on the GPU they are `EncodedView`s.
        """
        self._canvases.rotate()
        views = dict[int, View]()
        for rows in capture_groups(captures):
            group = [captures[row] for row in rows]
            views.update(zip(rows, self._draw_together(viewpoint, group), strict=True))
        return [views[row] for row in range(len(captures))]

    def add_synthetic_photos(
        self, viewpoint: Viewpoint, captures: tuple[ImageRequest, ...]
    ) -> tuple[ImageRequest, ...]:
        """Return the captures with synthetic photos; unchanged where none are requested."""
        if self._synthetic_photos is None:
            return captures
        with self._watch.measure("photographs"):
            return self._synthetic_photos.render(viewpoint, captures)

    def _draw_together(self, viewpoint: Viewpoint, group: Sequence[ImageRequest]) -> list[View]:
        """Render captures of one time and pose."""
        cameras, pose = [capture.camera for capture in group], group[0].world_from_ego[None]
        with self._watch.measure("drawing"):
            moving = build_dynamic(*dynamic_objects_at(viewpoint, group[0].time_us), 0)
            if self._jpegs is None:
                return self._draw_on_canvas(moving, cameras, pose)
            # Copies all at once, so that the GPU has finished and the measured time is that of the JPEGs only.
            passes = list(self._backdrop.passes_on_gpu(moving, cameras, pose, self._style, self._outputs))
        with self._watch.measure("encoding"):
            jpegs = self._jpegs.encode([one.image("rgb", row) for one in passes for row in range(len(one.shapes))])
        with self._watch.measure("drawing"):
            rest = [image for one in passes for image in one.to_host(self._outputs[1:])]
        return [
            EncodedView(camera, pose[0], jpeg=jpeg, **images)
            for camera, jpeg, images in zip(cameras, jpegs, rest, strict=True)
        ]

    def _draw_on_canvas(
        self, moving: Primitives, cameras: Sequence[Camera], pose: Float[np.ndarray, "1 4 4"]
    ) -> list[View]:
        """Render into the memory of an earlier call, if there is one."""
        places = [(camera.name, camera.width, camera.height) for camera in cameras]
        canvases = self._canvases[0]
        canvas = [[canvases[place] for place in places]] if all(place in canvases for place in places) else None
        drawn = self._backdrop.render(moving, cameras, pose, self._style, self._outputs, canvas)
        canvases.update(zip(places, drawn[0], strict=True))
        return drawn[0]


@dataclass(frozen=True)
class RenderedSample:
    """Viewpoint with its images, before encoding.

    Attributes:
        viewpoint: viewpoint.
        captures: time and pose of each image.
        views: image of each capture; empty where rasters are not stored.
        expert: pseudo-expert target, if any.
    """

    viewpoint: Viewpoint
    captures: tuple[ImageRequest, ...]
    views: list[View]
    expert: ExpertTarget | None = None


def draw_sample(
    viewpoint: Viewpoint, drawer: SampleRenderer, options: AugmentOptions, expert: ExpertTarget | None = None
) -> RenderedSample:
    """Render a viewpoint.

    Args:
        viewpoint: viewpoint.
        drawer: renderer of the viewpoint's log; it keeps ownership of the views, see `SampleRenderer.draw`.
        options: options of the set.
        expert: pseudo-expert target, if any.
    """
    requests = image_requests(viewpoint, options.cameras, options.resize, options.past_seconds)
    captures = drawer.add_synthetic_photos(viewpoint, requests)
    if options.rasters == "primitives":
        return RenderedSample(viewpoint, captures, [View(one.camera, one.world_from_ego) for one in captures], expert)
    return RenderedSample(viewpoint, captures, drawer.draw(viewpoint, captures), expert)


def encode_numbers(drawn: RenderedSample, options: AugmentOptions) -> Sample:
    """Encode the sample without its images: its JSON, its arrays, its row in the manifest."""
    viewpoint = drawn.viewpoint
    boxes, details = box_arrays(viewpoint), _details(viewpoint, drawn.captures, options)
    arrays = {**trajectory_arrays(viewpoint, options.history, options.future), **boxes}
    if drawn.expert is not None:
        arrays |= expert_arrays(drawn.expert.poses, options.future)
        details["expert"] = {name: value for name, value in vars(drawn.expert).items() if name != "poses"}
    members = {
        "npz": encode_npz(arrays),
        "json": json.dumps(details, sort_keys=True, ensure_ascii=False, allow_nan=False).encode(),
    }
    if options.rasters == "primitives":
        members[MEMBER] = snapshots_to_bytes(viewpoint, drawn.captures, options)
    return Sample(details["key"], details["split"], members, _row(details, viewpoint, len(boxes["box_id"])))


def encode_view(capture: ImageRequest, view: View, options: AugmentOptions) -> dict[str, bytes]:
    """Encode the files of one camera: raster outputs, and the photo.

    Raises:
        SwerveError: the photo's file cannot be read, or is cut short.
    """
    name, members = safe_name(capture.camera.name), dict[str, bytes]()
    extension = EXTENSIONS[options.image_format]
    if isinstance(view, EncodedView):
        members[f"{name}.{extension}"] = view.jpeg
    elif view.rgb is not None:
        members[f"{name}.{extension}"] = encode_image(view.rgb, options.image_format, options.jpeg_quality)
    if view.depth is not None:
        members[f"{name}.depth.png"] = encode_depth(view.depth)
    if view.semantic is not None:
        members[f"{name}.semantic.png"] = encode_png(view.semantic)
    if view.instance is not None:
        members[f"{name}.instance.png"] = encode_instance(view.instance)
    if capture.photo is not None:
        content = capture.photo.read()
        if is_cut_short(content):
            file = capture.photo.file if isinstance(capture.photo, Photo) else capture.camera.name
            raise LogError(file, "photo", "ends before the image does", "Was it downloaded to its end?")
        members[f"{name}.photo.{_photo_extension(content)}"] = content
    return members


def split_of(log: Log, options: AugmentOptions) -> Split:
    """Return the log's split; the option's where the source does not state one. All viewpoints of a log share it."""
    return log.split or options.split


def sample_key(viewpoint: Viewpoint) -> str:
    """Return log, token, kind and index: unique in a set."""
    scene = viewpoint.scene
    return f"{safe_name(scene.log.name)}-{scene.token}-{viewpoint.kind.value}-{viewpoint.index}"


def box_arrays(viewpoint: Viewpoint) -> Arrays:
    """Return the agents annotated now, in the ego frame; velocities over ground, along the ego's axes."""
    now = viewpoint.scene.history
    rows = np.flatnonzero(viewpoint.tracks.valid[:, now])
    tracks = viewpoint.tracks.at(slice(now, now + 1)).select_tracks(rows)
    ego_from_world = inverse(viewpoint.world_from_ego)
    boxes = ego_from_world @ pose_from_yaw(tracks.positions[:, 0], tracks.headings[:, 0])
    ground = np.pad(tracks.velocities[:, 0], ((0, 0), (0, 1)))
    return {
        "box_id": np.array(tracks.ids, np.str_),
        "box_instance": (rows + 1).astype(np.int32),
        "box_class": tracks.classes,
        "box_center": transform_points(ego_from_world, tracks.positions[:, 0]).astype(np.float32),
        "box_size": tracks.sizes[:, 0].astype(np.float32),
        "box_heading": yaw_of(boxes).astype(np.float32),
        "box_velocity": (ground @ ego_from_world[:3, :3].T)[:, :2].astype(np.float32),
    }


def is_cut_short(content: bytes) -> bool:
    """Test whether a JPEG or PNG file lacks its end, without decoding it.

    The last scan of a JPEG (marker SOS, 0xFFDA) is followed by the end of the image (EOI, 0xFFD9), and neither is in
    the coded data (ITU-T T.81, B.1); the data of a PNG (IDAT) are followed by the chunk IEND. Bytes after the end do no
    harm. A JPEG with a thumbnail that is cut within its headers is not noticed.
    """
    start, end = (b"IDAT", b"IEND") if content.startswith(b"\x89PNG") else (b"\xff\xda", b"\xff\xd9")
    return content.rfind(end) < content.rfind(start) or end not in content


def _photo_extension(content: bytes) -> str:
    """Detect the image format by the first bytes of the file."""
    return "png" if content.startswith(b"\x89PNG") else "jpg"


def _details(viewpoint: Viewpoint, captures: Sequence[ImageRequest], options: AugmentOptions) -> dict[str, Any]:
    """Return the content of the sample's JSON."""
    scene = viewpoint.scene
    return {
        "key": sample_key(viewpoint),
        "kind": viewpoint.kind.value,
        "index": viewpoint.index,
        "parameters": viewpoint.parameters,
        "coverage": viewpoint.coverage,
        "command": viewpoint.command.name.lower(),
        "source": scene.log.source,
        "log": scene.log.name,
        "token": scene.token,
        "time_us": int(scene.log.times_us[scene.now]),
        "split": split_of(scene.log, options),
        "seed": options.seed,
        "style": options.style,
        "format": FORMAT,
        "version": version("swerve"),
        "vehicle": asdict(viewpoint.vehicle),
        "world_from_ego": viewpoint.world_from_ego.tolist(),
        "origin": list(scene.log.origin),
        "cameras": [_camera(viewpoint, capture) for capture in captures],
    }


def _camera(viewpoint: Viewpoint, capture: ImageRequest) -> dict[str, Any]:
    """Return the calibration of an image, and its capture time and pose."""
    camera, lens = capture.camera, capture.camera.lens
    poses = capture.world_from_ego, viewpoint.world_from_ego
    is_now = not isinstance(capture.photo, Photo) and np.array_equal(*poses)
    now_from_capture = np.eye(4) if is_now else inverse(poses[1]) @ poses[0]
    return {
        "name": camera.name,
        "member": safe_name(camera.name),
        **{name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")},
        "lens": lens.model.name.lower(),
        "coefficients": list(lens.coefficients),
        "ego_from_camera": camera.ego_from_camera.tolist(),
        "time_us": int(capture.time_us),
        "now_from_capture": now_from_capture.tolist(),
        "photo": capture.photo is not None,
        "photo_window": list(capture.photo_window),
        "synthetic": isinstance(capture.photo, SyntheticPhoto),
    }


def _row(details: dict[str, Any], viewpoint: Viewpoint, boxes: int) -> dict[str, Any]:
    """Return the sample's row in the manifest; the writer adds the shard."""
    names = ("key", "split", "source", "log", "token", "time_us", "kind", "index", "command", "coverage")
    velocity: Float[np.ndarray, "2"] = viewpoint.ego.velocity[-1]
    relaxed = relaxed_of(details["parameters"])
    return {
        **{name: details[name] for name in names},
        "speed": float(np.hypot(*velocity)),
        "boxes": boxes,
        "photos": sum(camera["photo"] for camera in details["cameras"]),
        "relaxed": ",".join(sorted(relaxed)),
        "relaxation": max(relaxed.values(), default=1.0),
        "parameters": json.dumps(details["parameters"], sort_keys=True, allow_nan=False),
    }
