"""3D views in the browser, by viser (extra `view`)."""

import html
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.scenes import SwerveError
from swerve.scenes.camera import Camera
from swerve.scenes.transforms import quaternion_from_rotation
from swerve.viz.glb import encode_glb
from swerve.viz.scene_picture import Eye, height_colors
from swerve.viz.scene_view import EGO_COLOR, Facts, SceneView3D, ego_box, track_colors, track_facts
from swerve.viz.solids import outline

_FRUSTUM: Final = 0.7
_GROUND: Final = (20, 24, 32)
# Beside the scene, where a camera has none.
_NO_IMAGE: Final = np.full((9, 16, 3), _GROUND, np.uint8)
_HELP: Final = "Click an object for its numbers. Drag to turn, right button to move, wheel to zoom."


def import_viser() -> ModuleType:
    """Import viser.

    Raises:
        SwerveError: it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise SwerveError(
            "the viewer needs viser: pip install 'PATH[view]', where PATH is Swerve's folder. --once OUT.png does "
            "without"
        ) from error
    module: ModuleType = viser
    return module


class ViserView:
    """A view on a viser server.

    Args:
        server: a `viser.ViserServer`.
        view: what is shown.
    """

    def __init__(self, server: Any, view: SceneView3D) -> None:  # noqa: ANN401 viser is optional
        self.server, self.view, self.step = server, view, view.start
        self._boxes: list[Any] = []
        self._frusta: list[Any] = []
        self._group_handles: dict[str, list[tuple[Any, Callable[[int], bool]]]] = {}
        self._shown: dict[str, bool] = {}
        self._moving: dict[str, Any] = {}
        self._add_still()
        self._add_tracks()
        self._add_ego()
        self._add_gui()
        self._look()
        self.show(self.step)

    def show(self, step: int) -> None:
        """Show a step."""
        self.step = step
        with self.server.atomic():
            self._place_tracks(step)
            self._place_ego(step)
            self._place_points(step)
            self._place_signals(step)
            for group, handles in self._group_handles.items():
                for handle, shown_at in handles:
                    handle.visible = self._shown[group] and shown_at(step)
        self._tell_time(step)

    def play(self, until: Callable[[], bool] = lambda: True) -> None:
        """Advance the time while the play button is on, and block; returns when `until` is False."""
        while until():
            begun = time.monotonic()
            if self._playing.value and len(self.view) > 1:
                self.show((self.step + 1) % len(self.view))
                self._slider.value = self.step
            pace = float(np.median(np.diff(self.view.times))) if len(self.view) > 1 else 0.1
            time.sleep(max(pace / float(self._speed.value) - (time.monotonic() - begun), 0.01))

    def _look(self) -> None:
        """Place the eye of browsers behind the ego."""
        pose = Eye().world_from_camera(self.view.world_from_ego[self.view.start])
        camera = self.server.initial_camera
        camera.position, camera.look_at = pose[:3, 3], pose[:3, 3] + 26.0 * pose[:3, 2]
        camera.up, camera.fov = (0.0, 0.0, 1.0), np.deg2rad(50.0)
        camera.near, camera.far = 0.2, 2000.0

    def _add_still(self) -> None:
        """Add what does not move."""
        scene, view = self.server.scene, self.view
        scene.set_up_direction("+z")
        scene.set_background_image(np.full((2, 2, 3), _GROUND, np.uint8))
        scene.configure_environment_map(None)
        scene.configure_default_lights(False)
        scene.add_light_ambient("/lights/ambient", intensity=1.6)
        scene.add_light_directional("/lights/sun", intensity=2.2, position=(30.0, -20.0, 60.0), cast_shadow=False)
        for mesh in view.meshes:
            self._register(mesh.name, scene.add_glb(f"/{mesh.name}", encode_glb([mesh], keep_z_up=True)))
        if view.splats is not None:
            splats, colors = view.splats, np.clip(view.splats.colors, 0.0, 1.0)
            self._register(
                "splats",
                scene.add_gaussian_splats(
                    "/splats", splats.centers, splats.covariances, colors, splats.opacities[:, None]
                ),
            )
        for number, path in enumerate(view.paths):
            segments = np.stack([path.points[:-1], path.points[1:]], axis=1).astype(np.float32)
            handle = scene.add_line_segments(f"/paths/{number}", segments, path.color, thickness=path.width)
            self._register(path.group, handle, path.shown_at)
            if path.facts:  # lines of viser take no clicks: a ball at the end does
                ball = scene.add_icosphere(f"/paths/{number}/end", 0.3, path.color, position=path.points[-1])
                self._register(path.group, ball, path.shown_at, path.facts)
        for number, marker in enumerate(view.markers):
            line = outline(marker.center, marker.heading, marker.size)
            segments = np.stack([line[:-1], line[1:]], axis=1).astype(np.float32)
            border = scene.add_line_segments(f"/markers/{number}/line", segments, marker.color, thickness=0.06)
            body = scene.add_box(
                f"/markers/{number}/body", marker.color, marker.size, opacity=0.25, position=marker.center,
                wxyz=_about_z(marker.heading),
            )  # fmt: skip
            self._register(marker.group, border, marker.shown_at)
            self._register(marker.group, body, marker.shown_at, marker.facts)

    def _register(
        self,
        group: str,
        handle: Any,  # noqa: ANN401
        shown_at: Callable[[int], bool] = lambda step: True,
        facts: Facts | None = None,
    ) -> None:
        """Add an object to a group, which is shown and hidden together, and tell its facts on a click."""
        self._group_handles.setdefault(group, []).append((handle, shown_at))
        self._shown.setdefault(group, True)
        if facts:
            handle.on_click(lambda _: self._tell(facts))

    def _add_tracks(self) -> None:
        tracks, scene = self.view.tracks, self.server.scene
        for row, color in enumerate(track_colors(tracks).tolist()):
            steps = np.flatnonzero(tracks.valid[row])
            size = tracks.sizes[row, steps[0]] if len(steps) else np.ones(3)
            handle = scene.add_box(f"/tracks/{row}", tuple(color), tuple(size.tolist()), visible=False)
            handle.on_click(partial(self._tell_track, row))
            self._boxes.append(handle)

    def _tell_track(self, row: int, _: Any) -> None:  # noqa: ANN401
        self._tell(track_facts(self.view, row, self.step))

    def _add_ego(self) -> None:
        scene, view = self.server.scene, self.view
        self._ego = scene.add_box("/ego", EGO_COLOR, tuple(view.vehicle.size.tolist()), opacity=0.85)
        self._ego.on_click(lambda _: self._tell(self._ego_facts()))
        self._rig = scene.add_frame("/rig", show_axes=False)
        for number, one in enumerate(view.cameras):
            fov, aspect = _field_of(one.camera)
            pose = one.camera.ego_from_camera
            frustum = scene.add_camera_frustum(
                f"/rig/{number}", fov, aspect, scale=_FRUSTUM, color=(200, 206, 216), jpeg_quality=75,
                wxyz=quaternion_from_rotation(pose[:3, :3]), position=pose[:3, 3],
            )  # fmt: skip
            frustum.on_click(lambda _, camera=one.camera: self._tell(_camera_facts(camera)))
            self._frusta.append(frustum)

    def _ego_facts(self) -> dict[str, str]:
        facts = {"ego": self.view.vehicle.name, "time": f"{self.view.times[self.step]:.2f} s"}
        return {**facts, **{one.name: f"{one.values[self.step]:.3f}" for one in self.view.curves}}

    def _add_gui(self) -> None:
        gui, view = self.server.gui, self.view
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, control_width="medium")
        gui.set_panel_label("Swerve")
        gui.add_markdown(f"**{plain_text(view.title)}**\n\n{plain_text(view.text)}")
        self._clock = gui.add_markdown("")
        self._slider = gui.add_slider("step", 0, max(len(view) - 1, 1), 1, view.start, disabled=len(view) < 2)
        self._slider.on_update(lambda _: self._slid())
        self._playing = gui.add_checkbox("play", False, disabled=len(view) < 2)
        self._speed = gui.add_dropdown("speed", ("0.25", "0.5", "1", "2", "4"), initial_value="1")
        self._facts = gui.add_markdown(_HELP)
        with gui.add_folder("shown"):
            for group in (*self._shown, "agents", "cameras", "LiDAR"):
                if group in self._shown or _has(view, group):
                    self._switch(group)
        with gui.add_folder("images", expand_by_default=False):
            self._images = [
                gui.add_image(_NO_IMAGE if image is None else image, label=one.camera.name, jpeg_quality=75)
                for one, image in ((one, one.image(view.start)) for one in view.cameras)
            ]

    def _slid(self) -> None:
        step = min(int(self._slider.value), len(self.view) - 1)
        if step != self.step:
            self.show(step)

    def _switch(self, group: str) -> None:
        self._shown.setdefault(group, True)
        box = self.server.gui.add_checkbox(group, True)

        def change(_: Any) -> None:  # noqa: ANN401
            self._shown[group] = bool(box.value)
            self.show(self.step)

        box.on_update(change)

    def _tell(self, facts: Mapping[str, str]) -> None:
        rows = "\n".join(f"| {plain_text(name)} | {plain_text(value)} |" for name, value in facts.items())
        self._facts.content = f"| | |\n|---|---|\n{rows}"

    def _tell_time(self, step: int) -> None:
        curves = "".join(f"<br>{one.name}: {one.values[step]:.2f}" for one in self.view.curves)
        self._clock.content = f"{self.view.moment(step)}{curves}"

    def _place_tracks(self, step: int) -> None:
        tracks = self.view.tracks
        for row, handle in enumerate(self._boxes):
            handle.visible = bool(tracks.valid[row, step]) and self._shown.get("agents", True)
            if handle.visible:
                handle.position = tracks.positions[row, step]
                handle.wxyz = _about_z(float(tracks.headings[row, step]))

    def _place_ego(self, step: int) -> None:
        pose, view = self.view.world_from_ego[step], self.view
        center, _ = ego_box(pose, view.vehicle)
        wxyz = quaternion_from_rotation(pose[:3, :3])
        self._ego.position, self._ego.wxyz = center, wxyz
        self._rig.position, self._rig.wxyz = pose[:3, 3], wxyz
        shown = self._shown.get("cameras", True)
        self._rig.visible = shown
        for number, (frustum, one) in enumerate(zip(self._frusta, view.cameras, strict=True)):
            if not shown:
                continue
            frustum.image = image = one.image(step)  # None removes that of the step before
            self._images[number].image = _NO_IMAGE if image is None else image

    def _place_points(self, step: int) -> None:
        if self.view.points is None:
            return
        points = self.view.points(step) if self._shown.get("LiDAR", True) else None
        self._replace("points", lambda scene: self._cloud(scene, points, step) if points is not None else None)

    def _cloud(self, scene: Any, points: Float[np.ndarray, "n 3"], step: int) -> Any:  # noqa: ANN401
        colors: UInt8[np.ndarray, "n 3"] = height_colors(
            points.astype(float), self.view.world_from_ego[step, 2, 3]
        ).astype(np.uint8)
        return scene.add_point_cloud("/points", points, colors, point_size=0.06, precision="float32")

    def _place_signals(self, step: int) -> None:
        if self.view.signals is None:
            return
        mesh = self.view.signals(step)
        if not np.array_equal(mesh.colors, self._moving.get("signal colors", np.zeros(0))):
            self._moving["signal colors"] = mesh.colors
            self._replace("signals", lambda scene: scene.add_glb("/signals", encode_glb([mesh], keep_z_up=True)))

    def _replace(self, name: str, add: Callable[[Any], Any]) -> None:
        """Remove the object that showed the step before, and add that of now."""
        old = self._moving.pop(name, None)
        if old is not None:
            old.remove()
        self._moving[name] = add(self.server.scene)


def _has(view: SceneView3D, group: str) -> bool:
    return {"agents": len(view.tracks) > 0, "cameras": bool(view.cameras), "LiDAR": view.points is not None}[group]


def plain_text(text: str) -> str:
    """Return a text in which neither HTML nor Markdown of an untrusted file takes effect."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"&#{ord(sign)};" if sign in "|[]*_`\\!#~" else sign for sign in escaped)


def _camera_facts(camera: Camera) -> dict[str, str]:
    place = ", ".join(f"{value:.2f}" for value in camera.ego_from_camera[:3, 3])
    return {
        "camera": camera.name,
        "image": f"{camera.width} x {camera.height}",
        "focal length": f"{camera.fx:.0f} pixels",
        "lens": camera.lens.model.name.lower(),
        "mounted at": f"{place} m",
    }


def _field_of(camera: Camera) -> tuple[float, float]:
    """Return the vertical field of view in radians, and width over height."""
    return 2.0 * float(np.arctan(0.5 * camera.height / camera.fy)), camera.width / camera.height


def _about_z(heading: float) -> tuple[float, float, float, float]:
    return float(np.cos(heading / 2)), 0.0, 0.0, float(np.sin(heading / 2))
