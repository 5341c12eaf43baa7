"""Hand-made scene group of a benchmark: follow-ups are the logged drive, offset laterally and longitudinally."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.scoring.aggregate import GroupTokens
from swerve.rasterizer import Style, render
from swerve.scenes import Camera, Log, Scene
from swerve.scenes.planning import Observation, Trajectory
from swerve.scenes.primitives import Primitives, build_dynamic, build_static
from swerve.scenes.viewpoints import ViewpointKind, logged
from tests.support.geometries import geometry_of

# (lateral, longitudinal) in metres.
SHIFTS = ((0.0, 0.0), (0.5, 0.0), (-0.5, 0.0), (1.0, -4.0), (-1.0, 4.0), (0.0, -4.0), (0.5, 4.0))


def shifted_case(log: Log, now: int, shifts: Sequence[tuple[float, float]] = SHIFTS) -> SceneGroup:
    """Return the scene group at a step of a 10 Hz log that has 9 s after it."""
    frames = [_frame(log, now, "now"), _frame(log, now - 5, "before")]
    pairs = []
    for number, shift in enumerate(shifts):
        moved = _moved(log, *shift)
        pair = [_frame(moved, now + 40, f"now-{number}", log), _frame(moved, now + 35, f"before-{number}", log)]
        frames += pair
        pairs.append(tuple(frame.token for frame in pair))
    group = GroupTokens(frames[0].token, frames[1].token, tuple(pairs))
    return SceneGroup(
        log.name, group, {frame.token: frame for frame in frames}, RenderedViews(build_static(log.road_map))
    )


class RenderedViews:
    """Images rendered on demand."""

    def __init__(self, static: Primitives) -> None:
        self.static = static

    def cameras(self, frame: BenchmarkScene) -> tuple[Camera, ...]:
        return tuple(camera.resized(160, 90) for camera in frame.viewpoint.cameras)

    def images(self, frame: BenchmarkScene, cameras: Sequence[str]) -> Mapping[str, np.ndarray]:
        scene, wanted = frame.viewpoint.scene, [one for one in self.cameras(frame) if one.name in cameras]
        world = self.static.concatenate(build_dynamic(scene.tracks, scene.lights, scene.history))
        views = render(world, wanted, frame.viewpoint.world_from_ego[None], Style.rap(), ("rgb",))[0]
        return {camera.name: view.rgb for camera, view in zip(wanted, views, strict=True)}


class Straight:
    """Planner that keeps its speed times `share`, and steers towards `aside` metres to the left."""

    cameras: tuple[str, ...] = ()

    def __init__(self, share: float = 1.0, aside: float = 0.0, fails: bool = False) -> None:
        self.share, self.aside, self.fails = share, aside, fails

    def plan(self, observation: Observation) -> Trajectory:
        if self.fails and observation.time_us % 200_000:
            raise RuntimeError("<b>no idea</b> & no plan")
        seconds = np.arange(1, 9) * 0.5
        speed = observation.history.velocity[-1, 0] * self.share
        return Trajectory(np.stack([speed * seconds, self.aside * seconds / 4, np.zeros(8)], axis=1))


def _moved(log: Log, aside: float, ahead: float) -> Log:
    poses = log.ego.world_from_ego.copy()
    poses[:, :3, 3] += poses[:, :3, 1] * aside + poses[:, :3, 0] * ahead
    return replace(log, name=f"{log.name}-{aside}-{ahead}", ego=replace(log.ego, world_from_ego=poses))


def _frame(log: Log, now: int, name: str, driven: Log | None = None) -> BenchmarkScene:
    """Return a benchmark scene; `driven` is the log that a follow-up was moved from, whose path gives the command."""
    scene = Scene(log, now, 20, 50)
    kind = ViewpointKind.FOLLOW_UP if driven else ViewpointKind.LOGGED
    viewpoint = replace(logged(scene, geometry_of(driven or log)), kind=kind)
    return BenchmarkScene(f"{log.name.split('--')[0]}-{scene.token}-{name}", viewpoint, driven is not None)
