"""Contact sheet of a scene."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from swerve.photo_overlays import PhotoOverlays
from swerve.rasterizer import Style, render
from swerve.scenes import Camera, Log, Photo, Scene, SwerveError
from swerve.scenes.primitives import (
    Face,
    Primitives,
    Semantic,
    agent_cuboids,
    build_dynamic,
    build_static,
)
from swerve.scenes.viewpoints import (
    RecoveryOptions,
    Rejection,
    Viewpoint,
    ViewpointKind,
    ViewpointOptions,
    build_log_geometry,
    build_viewpoints,
)
from swerve.sheet_images import CROSS_AGENT, LOGGED, PAST, RECOVERY, front_camera, gray, offsets_text, palette, reduced
from swerve.viz.birds_eye import BirdsEye, Color
from swerve.viz.contact_sheet import Panel, Section

_HISTORY, _FUTURE = 2.0, 5.0
_DRAWS, _SHOWN = 16, 8
_EMPTY = (40, 45, 54)


def pick_scene(log: Log, at: float | None) -> Scene:
    """Return the scene at `at` seconds; if None, at a photo, or else in the middle of the log.

    Its history and future are 2 s and 5 s, or shorter at the ends of the log. The photo is the first with these around
    it, or else the first.

    Raises:
        SwerveError: the log is shorter.
    """
    seconds = (log.times_us - log.times_us[0]) * 1e-6
    if at is not None and not 0 <= at <= seconds[-1]:
        raise SwerveError(f"{log.name} lasts {seconds[-1]:.1f} s: --at {at} is outside")
    if at is None:
        at = _time_of_photo(log, seconds[-1]) if log.photos else seconds[-1] / 2
    now = int(np.abs(seconds - at).argmin())
    history = min(round(_HISTORY / log.step), now)
    future = min(round(_FUTURE / log.step), len(seconds) - 1 - now)
    return Scene(log, now, history, future)


def _time_of_photo(log: Log, length: float) -> float:
    """Return the time of the first photo with a history and a future in the log, or else of the first, seconds."""
    times = sorted((photo.time_us - int(log.times_us[0])) * 1e-6 for photo in log.photos)
    return next((time for time in times if _HISTORY <= time <= length - _FUTURE), times[0])


@dataclass(frozen=True)
class SceneSheet:
    """Sheet of a scene of a log with cameras.

    Attributes:
        scene: the scene.
        source: text that names the log's source.
        seed: seed of the recovery viewpoints.
    """

    scene: Scene
    source: str
    seed: int

    @property
    def title(self) -> str:
        """Return the heading."""
        log = self.scene.log
        return f"{log.name} at {(log.times_us[self.scene.now] - log.times_us[0]) * 1e-6:.1f} s"

    @property
    def text(self) -> str:
        """Return a sentence on what the log has, and lacks."""
        log = self.scene.log
        counts = f"{len(log.tracks)} tracks, {len(log.cameras)} cameras, {len(log.photos)} photos"
        lacks = [what for what, has in (("map", log.road_map), ("boxes", len(log.tracks))) if not has]
        missing = f" This log has {' and '.join(f'no {what}' for what in lacks)}." if lacks else ""
        return f"Rendered by Swerve from {self.source}: {counts}.{missing}"

    def sections(self) -> tuple[Section, ...]:
        """Return all sections of the sheet."""
        return scene_sections(self.scene, self.seed)


def scene_sections(scene: Scene, seed: int) -> tuple[Section, ...]:
    """Return all sections of the sheet that have something to show; the log must have cameras."""
    log = scene.log
    static = build_static(log.road_map)
    primitives = static.concatenate(build_dynamic(log.tracks, log.lights, scene.now))
    pose = log.ego.world_from_ego[scene.now]
    viewpoints, rejected = scene_viewpoints(scene, seed)
    recovery = [viewpoint for viewpoint in viewpoints if viewpoint.kind == ViewpointKind.RECOVERY]
    cross_agent = [viewpoint for viewpoint in viewpoints if viewpoint.kind == ViewpointKind.CROSS_AGENT]
    sections = [_photo_section(scene)]
    if len(primitives.triangles):
        sections += [
            _above_section(scene, primitives, recovery, cross_agent, rejected),
            _camera_section(primitives, log.cameras, pose),
            _layer_section(primitives, log.cameras, pose),
            _recovery_section(primitives, recovery),
            _cross_agent_section(scene, static, cross_agent[:_SHOWN]),
            _legend_section(Style.surfaces()),
        ]
    else:
        sections.append(_path_section(scene))
    return tuple(section for section in sections if section.panels)


def scene_viewpoints(scene: Scene, seed: int) -> tuple[list[Viewpoint], list[Rejection]]:
    """Build recovery and cross-agent viewpoints, if the scene has a history and a future."""
    if scene.history < 2 or scene.future < 2:
        return [], []
    kinds = (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)
    options = ViewpointOptions(recovery=RecoveryOptions(samples_per_scene=_DRAWS))
    return build_viewpoints(scene, kinds, options, seed, build_log_geometry(scene.log))


def _photo_section(scene: Scene) -> Section:
    """Overlay the photo of each camera that is nearest in time with its boxes, and with the raster."""
    log, overlays = scene.log, PhotoOverlays(scene.log)
    now_us = int(log.times_us[scene.now])
    nearest: dict[str, Photo] = {}
    for photo in sorted(log.photos, key=lambda photo: -abs(photo.time_us - now_us)):
        nearest[photo.camera] = photo
    panels = []
    for name, photo in sorted(nearest.items()):
        away = (photo.time_us - now_us) * 1e-6
        told = f"{name}, {away:+.1f} s" if abs(away) > log.step else name
        drawn = overlays.of(photo)
        images = {"photo with projected boxes": drawn.boxes, "photo with raster overlay": drawn.raster}
        own = [Panel(f"{told}: {what}", reduced(image)) for what, image in images.items() if image is not None]
        panels += own or [Panel(f"{told}: photo", reduced(drawn.photo))]
    text = "The raster is rendered with each camera's lens, at the pose of the ego when the photo was taken."
    if log.road_map is None and not len(log.tracks):
        text = "This log has no map and no boxes: there is nothing to draw over the photos."
    return Section("Photos", text, tuple(panels), width=460)


def _camera_section(primitives: Primitives, cameras: Sequence[Camera], pose: Float[np.ndarray, "4 4"]) -> Section:
    drawn = {camera.name: reduced(_colors(primitives, camera, pose, Style.rap())) for camera in cameras}
    black = [name for name, image in drawn.items() if not image.any()]
    text = "All cameras at the logged pose."
    if black:
        text += f" Nothing that the log annotates is seen by {', '.join(black)}: left out."
    panels = [Panel(name, image) for name, image in drawn.items() if name not in black or len(black) == len(drawn)]
    return Section("Logged pose", text, tuple(panels))


def _layer_section(primitives: Primitives, cameras: Sequence[Camera], pose: Float[np.ndarray, "4 4"]) -> Section:
    camera, style = front_camera(cameras), Style.surfaces()
    view = render(primitives, [camera], pose[None], style, ("depth", "semantic", "instance"))[0][0]
    assert view.depth is not None
    assert view.semantic is not None
    assert view.instance is not None
    panels = (
        Panel(f"{camera.name}: surfaces tinted", reduced(_colors(primitives, camera, pose, style))),
        Panel("depth, black at 120 m", reduced(gray(np.clip(1 - view.depth / style.depth_limit, 0, 1)))),
        Panel("classes", reduced(palette(view.semantic.astype(np.int64)))),
        Panel("instances", reduced(palette(view.instance.astype(np.int64)))),
    )
    return Section("Layers", "The same view in another style, and its depth, classes and instances.", panels)


def _above_section(
    scene: Scene,
    primitives: Primitives,
    recovery: list[Viewpoint],
    cross_agent: list[Viewpoint],
    rejected: list[Rejection],
) -> Section:
    panels = [Panel("120 m across; white: the logged path", _above(scene, primitives, recovery, RECOVERY, reach=60.0))]
    if recovery:
        close = _above(scene, primitives, recovery[:_SHOWN], RECOVERY, reach=16.0)
        caption = f"the first {min(len(recovery), _SHOWN)} recovery viewpoints: histories grey, targets orange"
        panels.append(Panel(caption, close))
    if cross_agent:
        wide = _above(scene, primitives, cross_agent, CROSS_AGENT, reach=60.0)
        panels.append(Panel("cross-agent viewpoints and their trajectories, green", wide))
    text = "White: the logged path. Grey: histories of the recovery viewpoints. Orange: their target trajectories."
    return Section("Bird's-eye view", f"{text} {_counts(recovery, rejected)}", tuple(panels), width=560)


def _path_section(scene: Scene) -> Section:
    """Return the logged path from above, where there is nothing else to draw."""
    positions, now = scene.ego.positions, scene.ego.world_from_ego[scene.history]
    reach = max(float(np.abs(positions[:, :2] - now[:2, 3]).max()) * 1.1, 10.0)
    birds_eye = BirdsEye(now[:2, 3], float(scene.ego.headings[scene.history]), reach, 900, _EMPTY)
    if len(positions) > 1:
        birds_eye.path(positions, LOGGED, reach / 150)
    birds_eye.vehicle(now, scene.log.vehicle, LOGGED)
    birds_eye.scale_bar()
    panel = Panel(f"{2 * reach:.0f} m across", birds_eye.picture())
    return Section("Bird's-eye view", "White: the logged path.", (panel,))


def _above(
    scene: Scene, primitives: Primitives, others: list[Viewpoint], color: Color, reach: float
) -> UInt8[np.ndarray, "h w 3"]:
    ego, style = scene.ego, Style.surfaces()
    now = ego.world_from_ego[scene.history]
    birds_eye = BirdsEye(now[:2, 3], float(ego.headings[scene.history]), reach, 900)
    birds_eye.primitives(primitives, style)
    birds_eye.sides(agent_cuboids(scene.tracks, scene.history), style)
    for other in others:
        birds_eye.path(other.ego.positions, PAST, 0.08)
        birds_eye.path(np.concatenate([other.ego.positions[-1:], other.target[:, :3, 3]]), color, reach / 200)
        birds_eye.vehicle(other.world_from_ego, other.vehicle, color, filled=False)
    if len(ego) > 1:
        birds_eye.path(ego.positions, LOGGED, 0.2)
    birds_eye.vehicle(now, scene.log.vehicle, LOGGED)
    birds_eye.scale_bar()
    return birds_eye.picture()


def _counts(recovery: list[Viewpoint], rejected: list[Rejection]) -> str:
    """Return the numbers of recovery viewpoints used and rejected, by reason."""
    reasons = [rejection.reason for rejection in rejected if rejection.kind == ViewpointKind.RECOVERY]
    if not recovery and not reasons:
        return "The log is too short here for recovery viewpoints."
    counted = ", ".join(f"{reasons.count(reason)} {reason.replace('_', ' ')}" for reason in sorted(set(reasons)))
    return (
        f"{len(recovery)} of {len(recovery) + len(reasons)} sampled viewpoints accepted; rejected: {counted or 'none'}."
    )


def _recovery_section(primitives: Primitives, recovery: list[Viewpoint]) -> Section:
    panels = []
    for viewpoint in recovery[:_SHOWN]:
        image = _colors(primitives, front_camera(viewpoint.cameras), viewpoint.world_from_ego, Style.rap())
        panels.append(Panel(offsets_text(viewpoint.parameters), reduced(image)))
    text = "The front camera at the recovery viewpoints that were accepted."
    return Section("Recovery viewpoints", text, tuple(panels))


def _cross_agent_section(scene: Scene, static: Primitives, viewpoints: list[Viewpoint]) -> Section:
    panels = []
    for viewpoint in viewpoints:
        primitives = static.concatenate(build_dynamic(viewpoint.tracks, scene.lights, scene.history))
        image = _colors(primitives, front_camera(viewpoint.cameras), viewpoint.world_from_ego, Style.rap())
        speed = float(np.hypot(*viewpoint.ego.velocity[-1]))
        name = scene.log.tracks.ids[viewpoint.index]
        short = name if len(name) < 16 else name[:8]
        panels.append(Panel(f"{short}: {speed:.1f} m/s, command {viewpoint.command.name.lower()}", reduced(image)))
    text = "The front camera of other vehicles; the recording vehicle is one of the boxes."
    return Section("Cross-agent viewpoints", text, tuple(panels))


def _legend_section(style: Style) -> Section:
    """Return swatches of every class, by side where the colours differ."""
    sides = (Face.FRONT, Face.BACK, Face.LEFT, Face.RIGHT, Face.TOP)
    rows = [(kind.name.lower().replace("_", " "), style.palette[kind]) for kind in Semantic if kind != Semantic.NOTHING]
    swatches = Image.new("RGB", (960, 26 * ((len(rows) + 1) // 2) + 40), (21, 25, 32))
    draw, font = ImageDraw.Draw(swatches), ImageFont.load_default(15)
    for column in (0, 480):
        for number, side in enumerate(sides):
            draw.text((column + 190 + 56 * number, 6), side.name.lower(), fill=PAST, font=font)
    for row, (name, colors) in enumerate(rows):
        left, top = 480 * (row % 2), 32 + 26 * (row // 2)
        draw.text((left + 16, top + 2), name, fill=LOGGED, font=font)
        for number, side in enumerate(sides):
            corner = (left + 190 + 56 * number, top)
            draw.rectangle((*corner, corner[0] + 48, corner[1] + 20), fill=tuple(colors[side].tolist()))
    panel = Panel("colours at the camera; they fade to black at 120 m", np.asarray(swatches))
    return Section("Legend", "The colours of an agent's sides show its heading.", (panel,), width=620)


def _colors(
    primitives: Primitives, camera: Camera, pose: Float[np.ndarray, "4 4"], style: Style
) -> UInt8[np.ndarray, "h w 3"]:
    """Render the colours of a camera at a pose."""
    rgb = render(primitives, [camera], pose[None], style, ("rgb",))[0][0].rgb
    assert rgb is not None
    return rgb
