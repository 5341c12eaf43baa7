"""Contact sheet of a benchmark."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from swerve.eval.benchmark.benchmark_store import Benchmark, folder_size, open_benchmark
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.rasterizer import Style
from swerve.scenes.camera_roles import cameras_by_role
from swerve.scenes.primitives import agent_cuboids, build_dynamic, build_static
from swerve.sheet_images import LOGGED, RECOVERY, evenly, front_camera, reduced
from swerve.viz.birds_eye import BirdsEye
from swerve.viz.contact_sheet import Panel, Section

# Scene groups shown, follow-up scenes of each, metres from the middle of a map to its edge, and pixels of images.
_SHOWN, _FOLLOW_UPS, _REACH, _PIXELS = 6, 2, 50.0, 480
_HUMAN: Final = 4.0


class BenchmarkSheet:
    """Sheet of a benchmark: its contents, and some of its scene groups.

    Args:
        folder: a finished benchmark.

    Raises:
        SwerveError: it is not finished, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._benchmark: Benchmark = open_benchmark(folder)

    @property
    def title(self) -> str:
        """Return the heading."""
        return f"Benchmark {self._benchmark.folder.resolve().name}"

    @property
    def text(self) -> str:
        """Return a sentence on what is in the benchmark."""
        info, counts = self._benchmark.info, self._benchmark.info["counts"]
        size, kinds = info["options"]["size"], self._benchmark.stored_kinds
        pixels = "the cameras' own size" if size is None else f"{size[0]}x{size[1]} ({info['options']['fit']})"
        views = f"{' and '.join(kinds)} views of all cameras at {pixels}" if kinds else "no stored views"
        return (
            f"{counts['scene_groups']} scene groups of {counts['logs']} logs: {counts['scenes']} scenes, "
            f"{folder_size(self._benchmark.folder) / 1e6:.1f} MB, with {views}. Traffic {info['options']['traffic']}."
        )

    def sections(self) -> tuple[Section, ...]:
        """Return all sections of the sheet."""
        logs = self._benchmark.logs
        groups = [(log, group) for log in logs for group in self._benchmark.scene_groups(log)]
        shown = [self._benchmark.scene_group(group) for _, group in evenly(groups, _SHOWN)]
        return (
            self._scenes(),
            self._logs(),
            *self._cameras(shown[0]),
            *(section for group in shown for section in self._group(group)),
            *self._rejections(),
        )

    def _scenes(self) -> Section:
        counts, table = self._benchmark.info["counts"], self._benchmark.scenes()
        stages = Counter(table["stage"].to_pylist())
        commands = Counter(table["command"].to_pylist()).most_common()
        origins = ", ".join(f"{count} {name}" for name, count in sorted(counts["follow_ups_by_origin"].items()))
        rows = (
            ("initial scenes, and those 0.5 s before", str(stages[1])),
            (f"follow-up scenes ({origins or 'none'} and those 0.5 s before)", str(stages[2])),
        )
        text = f"Commands: {', '.join(f'{count} {name}' for name, count in commands)}."
        return Section("Scenes", text, (), table=(("scenes", "count"), *rows))

    def _logs(self) -> Section:
        info = self._benchmark.info
        kept = dict(info["scene_groups"])
        found = dict[str, list[str]]()
        for kind, name in info["logs"]:
            found.setdefault(kind, []).append(name)
        rows = []
        for kind, names in sorted(found.items()):
            used = [name for name in names if name in kept]
            groups = sum(len(kept[name]) for name in used)
            rows.append((kind, str(len(names)), str(len(used)), str(groups), names[0]))
        return Section("Sources", "", (), table=(("source", "logs", "with scene groups", "groups", "first log"), *rows))

    def _cameras(self, group: SceneGroup) -> Iterator[Section]:
        """Yield the cameras of the first scene, with their images, if it has views."""
        if group.views is None:
            return
        scene = group.scenes[group.group.now]
        cameras = group.views.cameras(scene)
        role_of = {camera.name: role for role, camera in cameras_by_role(cameras).items()}
        images = group.views.images(scene, [camera.name for camera in cameras])
        rows = [(one.name, role_of.get(one.name, "none"), f"{one.width}x{one.height}") for one in cameras]
        panels = tuple(Panel(name, reduced(image, _PIXELS)) for name, image in images.items())
        text = f"Of scene {scene.token}, {group.view_kind} views."
        yield Section("Cameras", text, panels, width=320, table=(("camera", "role", "pixels"), *rows))

    def _group(self, group: SceneGroup) -> Iterator[Section]:
        """Yield a scene group from above, and its scenes by the camera that looks ahead."""
        now = group.scenes[group.group.now]
        follow_ups = [group.scenes[pair[0]] for pair in group.group.follow_ups]
        panels: list[Panel | None] = [
            Panel(f"{2 * _REACH:.0f} m across; {len(follow_ups)} follow-up scenes", _above(now, follow_ups))
        ]
        panels += [self._seen(group, now, "initial scene")]
        for one in evenly(follow_ups, _FOLLOW_UPS):
            panels.append(self._seen(group, one, f"follow-up, {_offset(one)}"))
        text = "White: the ego, and its logged path for 4 s. Orange: start points of follow-up scenes, 4 s later."
        found = tuple(panel for panel in panels if panel is not None)
        yield Section(f"Scene group {group.group.now}", text, found)

    def _seen(self, group: SceneGroup, scene: BenchmarkScene, caption: str) -> Panel | None:
        if group.views is None:
            return None
        camera = front_camera(group.views.cameras(scene)).name
        return Panel(f"{camera}: {caption}", reduced(group.views.images(scene, [camera])[camera], _PIXELS))

    def _rejections(self) -> Iterator[Section]:
        counts: dict[str, Any] = dict(self._benchmark.info["counts"])
        rows = [
            (what, reason.replace("_", " "), str(count))
            for what, name in (("start points", "rejected_starts"), ("scene groups", "dropped_scene_groups"))
            for reason, count in sorted(counts[name].items(), key=lambda item: -item[1])
        ]
        if rows:
            text = "What was left out; docs/benchmark.md explains the reasons."
            yield Section("Rejected", text, (), table=(("", "reason", "count"), *rows))


def _offset(scene: BenchmarkScene) -> str:
    """Describe the offset of a follow-up scene's start point."""
    numbers = scene.viewpoint.parameters
    aside, ahead, turn = numbers["lateral"], numbers["longitudinal"], np.rad2deg(numbers["heading"])
    place = f"{abs(aside):.1f} m {'left' if aside > 0 else 'right'}, {abs(ahead):.1f} m {'on' if ahead > 0 else 'back'}"
    return f"{place}, turned {abs(turn):.0f}°"


def _above(now: BenchmarkScene, follow_ups: list[BenchmarkScene]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the initial scene from above, with its logged path and the starts of its follow-up scenes."""
    viewpoint, style = now.viewpoint, Style.surfaces()
    scene = viewpoint.scene
    primitives = build_static(scene.log.road_map).concatenate(
        build_dynamic(viewpoint.tracks, scene.lights, scene.history)
    )
    pose = viewpoint.world_from_ego
    heading = float(viewpoint.ego.headings[-1])
    center = pose[:2, 3] + 0.5 * _REACH * np.array([np.cos(heading), np.sin(heading)])
    eye = BirdsEye(center, heading, _REACH, 900)
    eye.primitives(primitives, style)
    eye.sides(agent_cuboids(viewpoint.tracks, scene.history), style)
    ahead = round(_HUMAN / scene.log.step)
    eye.path(np.concatenate([pose[None, :3, 3], viewpoint.human[:ahead, :3, 3]]), LOGGED, 0.3)
    for one in follow_ups:
        eye.vehicle(one.viewpoint.world_from_ego, one.viewpoint.vehicle, RECOVERY, filled=False)
    eye.vehicle(pose, viewpoint.vehicle, LOGGED)
    eye.scale_bar()
    return eye.picture()
