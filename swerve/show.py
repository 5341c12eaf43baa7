"""What a contact sheet shows of a scene."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from swerve.data.samples.capture import tracks_at
from swerve.rasterizer import Style, render
from swerve.rasterizer.birdseye import BirdsEye
from swerve.rasterizer.overlay import blend, draw_boxes
from swerve.scenes import Camera, Log, Photo, Scene, SwerveError
from swerve.scenes.primitives import Primitives, agent_cuboids, build_dynamic, build_static, signal_cuboids
from swerve.scenes.viewpoints import (
    RecoveryOptions,
    Rejection,
    Viewpoint,
    ViewpointKind,
    ViewpointOptions,
    prepare,
    viewpoints,
)
from swerve.sheet import Panel, Section

_HISTORY, _FUTURE = 2.0, 5.0
_DRAWS, _MOST_SEATS = 16, 6
_PAST, _LOGGED, _RECOVERY = (120, 130, 145), (255, 255, 255), (255, 166, 43)


def pick_scene(log: Log, at: float | None) -> Scene:
    """The scene at `at` seconds; without it, at the first photograph, or else in the middle of the log.

    Its history and future are the usual 2 s and 5 s where the log is long enough, and what there is otherwise.

    Raises:
        SwerveError: the log does not last that long.
    """
    seconds = (log.times_us - log.times_us[0]) * 1e-6
    if at is not None and not 0 <= at <= seconds[-1]:
        raise SwerveError(f"{log.name} lasts {seconds[-1]:.1f} s: --at {at} is outside")
    if at is None:
        at = (log.photos[0].time_us - log.times_us[0]) * 1e-6 if log.photos else seconds[-1] / 2
    now = int(np.abs(seconds - at).argmin())
    history = min(round(_HISTORY / log.step), now)
    future = min(round(_FUTURE / log.step), len(seconds) - 1 - now)
    return Scene(log, now, history, future)


def scene_sections(scene: Scene, seed: int) -> tuple[Section, ...]:
    """All sections of the sheet.

    Raises:
        SwerveError: the log has no cameras.
    """
    log = scene.log
    if not log.cameras:
        raise SwerveError(f"{log.name} has no cameras to draw")
    static = build_static(log.road_map)
    primitives = static.joined(build_dynamic(log.tracks, log.lights, scene.now))
    pose = log.ego.world_from_ego[scene.now]
    made, rejected = _viewpoints(scene, seed)
    recovery = [viewpoint for viewpoint in made if viewpoint.kind == ViewpointKind.RECOVERY]
    seats = [viewpoint for viewpoint in made if viewpoint.kind == ViewpointKind.CROSS_AGENT]
    sections = [
        _photo_section(scene, static),
        _camera_section(primitives, log.cameras, pose),
        _layer_section(primitives, log.cameras, pose),
        _above_section(scene, primitives, recovery, rejected),
        _recovery_section(primitives, recovery),
        _seat_section(scene, static, seats[:_MOST_SEATS]),
    ]
    return tuple(section for section in sections if section.panels)


def _viewpoints(scene: Scene, seed: int) -> tuple[list[Viewpoint], list[Rejection]]:
    """Recovery and cross-agent viewpoints, where the scene has a past and a future."""
    if scene.history < 2 or scene.future < 2:
        return [], []
    kinds = (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)
    options = ViewpointOptions(recovery=RecoveryOptions(per_scene=_DRAWS))
    return viewpoints(scene, kinds, options, seed, prepare(scene.log))


def _photo_section(scene: Scene, static: Primitives) -> Section:
    """Each photograph with its boxes, and with the raster over it, at its own time and pose."""
    log, cameras, style = scene.log, {camera.name: camera for camera in scene.log.cameras}, Style.rap()
    moment = int(log.times_us[scene.now])
    nearest: dict[str, Photo] = {}
    for photo in sorted(log.photos, key=lambda photo: -abs(photo.time_us - moment)):
        nearest[photo.camera] = photo
    panels = []
    for name, photo in sorted(nearest.items()):
        tracks = tracks_at(log.tracks, log.times_us, photo.time_us)
        primitives = static.joined(agent_cuboids(tracks, 0)).joined(signal_cuboids(log.lights, scene.now))
        image = np.asarray(Image.open(io.BytesIO(photo.read())).convert("RGB"))
        boxes = draw_boxes(image, cameras[name], photo.world_from_ego, tracks, 0, style)
        raster = _colors(primitives, cameras[name], photo.world_from_ego, style)
        panels += [Panel(f"{name}: photograph, boxes projected", _reduced(boxes))]
        panels += [Panel(f"{name}: raster over it", _reduced(blend(image, raster)))]
    text = (
        "The raster is drawn through each camera's own lens, at the pose that the car had when the picture was taken."
    )
    return Section("Photographs", text, tuple(panels), width=460)


def _camera_section(primitives: Primitives, cameras: Sequence[Camera], pose: Float[np.ndarray, "4 4"]) -> Section:
    panels = [Panel(camera.name, _reduced(_colors(primitives, camera, pose, Style.rap()))) for camera in cameras]
    return Section("Logged pose", "What the rig sees from where the car was.", tuple(panels))


def _layer_section(primitives: Primitives, cameras: Sequence[Camera], pose: Float[np.ndarray, "4 4"]) -> Section:
    camera, style = _front(cameras), Style.surfaces()
    view = render(primitives, [camera], pose[None], style, ("depth", "semantic", "instance"))[0][0]
    assert view.depth is not None
    assert view.semantic is not None
    assert view.instance is not None
    panels = (
        Panel(f"{camera.name}: surfaces tinted", _reduced(_colors(primitives, camera, pose, style))),
        Panel("depth, black at 120 m", _reduced(_gray(np.clip(1 - view.depth / style.depth_limit, 0, 1)))),
        Panel("classes", _reduced(_palette(view.semantic.astype(np.int64)))),
        Panel("instances", _reduced(_palette(view.instance.astype(np.int64)))),
    )
    return Section("Layers", "The same view in another style, and what else can be drawn of it.", panels)


def _above_section(
    scene: Scene, primitives: Primitives, recovery: list[Viewpoint], rejected: list[Rejection]
) -> Section:
    ego = scene.ego
    now = ego.world_from_ego[scene.history]
    panels = []
    for reach, caption in ((60.0, "Logged path (white), "), (18.0, "Closer: ")):
        picture = BirdsEye(now[:2, 3], float(ego.headings[scene.history]), reach, 900)
        picture.primitives(primitives, Style.surfaces())
        picture.path(ego.positions[: scene.history + 1], _PAST)
        picture.path(ego.positions[scene.history :], _LOGGED)
        for viewpoint in recovery:
            picture.path(viewpoint.ego.positions, _PAST, 0.12)
            picture.path(np.concatenate([viewpoint.ego.positions[-1:], viewpoint.target[:, :3, 3]]), _RECOVERY, 0.15)
            picture.vehicle(viewpoint.world_from_ego, viewpoint.vehicle, _RECOVERY, filled=False)
        picture.vehicle(now, scene.log.vehicle, _LOGGED)
        picture.scale_bar()
        panels.append(Panel(caption + "perturbed poses and the manoeuvres back (orange)", picture.picture()))
    reasons = [rejection.reason for rejection in rejected if rejection.kind == ViewpointKind.RECOVERY]
    counted = ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons)))
    text = f"{len(recovery)} recovery viewpoints; rejected: {counted or 'none'}."
    return Section("From above", text, tuple(panels), width=620)


def _recovery_section(primitives: Primitives, recovery: list[Viewpoint]) -> Section:
    panels = []
    for viewpoint in recovery[:_MOST_SEATS]:
        image = _colors(primitives, _front(viewpoint.cameras), viewpoint.world_from_ego, Style.rap())
        numbers = viewpoint.parameters
        caption = (
            f"#{viewpoint.index}: {numbers['lateral']:+.1f} m left, {np.rad2deg(numbers['heading']):+.0f}°, "
            f"speed {numbers['speed'] * 100:+.0f} %"
        )
        panels.append(Panel(caption, _reduced(image)))
    return Section("Recovery poses", "The front camera from poses the car never took.", tuple(panels))


def _seat_section(scene: Scene, static: Primitives, seats: list[Viewpoint]) -> Section:
    panels = []
    for seat in seats:
        primitives = static.joined(build_dynamic(seat.tracks, scene.lights, scene.history))
        image = _colors(primitives, _front(seat.cameras), seat.world_from_ego, Style.rap())
        speed = float(np.hypot(*seat.ego.velocity[-1]))
        name = scene.log.tracks.ids[seat.index]
        short = name if len(name) < 16 else name[:8]
        panels.append(Panel(f"{short}: {speed:.1f} m/s, command {seat.command.name.lower()}", _reduced(image)))
    text = "The front camera from other vehicles; the recording car is now one of the boxes."
    return Section("Other agents' seats", text, tuple(panels))


def _colors(
    primitives: Primitives, camera: Camera, pose: Float[np.ndarray, "4 4"], style: Style
) -> UInt8[np.ndarray, "h w 3"]:
    """One camera's colours from one pose."""
    rgb = render(primitives, [camera], pose[None], style, ("rgb",))[0][0].rgb
    assert rgb is not None
    return rgb


def _front(cameras: Sequence[Camera]) -> Camera:
    """The camera that looks ahead the most."""
    return max(cameras, key=lambda camera: camera.ego_from_camera[0, 2])


def _reduced(image: UInt8[np.ndarray, "h w 3"], width: int = 960) -> UInt8[np.ndarray, "h2 w2 3"]:
    """At most `width` pixels wide: a sheet is looked at, not measured."""
    if image.shape[1] <= width:
        return image
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _gray(share: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.repeat((share * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def _palette(numbers: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """A colour for each number that is far from its neighbours'; 0 is black."""
    mixed = numbers * 2654435761 % 2**32
    channels = np.stack([64 + (mixed >> shift) % 192 for shift in (8, 16, 24)], axis=-1)
    return np.where(numbers[..., None] == 0, 0, channels).astype(np.uint8)
