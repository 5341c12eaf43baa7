"""Render docs/hero.png, the image of the README: `python docs/hero.py`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from swerve.data import open_source
from swerve.rasterizer import Style, render
from swerve.scenes import Scene, extract_scenes
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import inverse
from swerve.scenes.viewpoints import (
    RecoveryOptions,
    Viewpoint,
    ViewpointKind,
    ViewpointOptions,
    build_log_geometry,
    build_viewpoints,
    logged,
)
from swerve.viz.birds_eye import BirdsEye

# Towns among which a scene is looked for, in order; and what it has.
TOWNS = range(100)
RECOVERIES, CROSS_AGENTS, SPEED, AHEAD = 10, 2, 4.0, 5
WIDTH, HEIGHT, GAP = 560, 320, 6


def front(viewpoint: Viewpoint, style: Style) -> np.ndarray:
    """Render the view of the front camera from a viewpoint."""
    scene = viewpoint.scene
    primitives = build_static(scene.log.road_map).concatenate(
        build_dynamic(viewpoint.tracks, scene.lights, scene.history)
    )
    (camera,) = [camera for camera in viewpoint.cameras if camera.name == "front"]
    return render(primitives, [camera.resized(WIDTH, HEIGHT)], viewpoint.world_from_ego[None], style)[0][0].rgb


def above(viewpoint: Viewpoint, others: list[Viewpoint], style: Style) -> np.ndarray:
    """Render the scene from above, with the target trajectories of recovery viewpoints."""
    scene = viewpoint.scene
    birds_eye = BirdsEye(viewpoint.world_from_ego[:2, 3], float(viewpoint.ego.headings[-1]), 24.0, 2 * HEIGHT + GAP)
    birds_eye.primitives(build_static(scene.log.road_map), style)
    birds_eye.primitives(build_dynamic(viewpoint.tracks, scene.lights, scene.history), style)
    for other in others:
        birds_eye.path(np.concatenate([other.ego.positions, other.target[:, :3, 3]]), (255, 166, 43), 0.12)
        birds_eye.vehicle(other.world_from_ego, other.vehicle, (255, 166, 43), filled=False)
    birds_eye.path(scene.ego.positions, (255, 255, 255), 0.2)
    birds_eye.vehicle(viewpoint.world_from_ego, viewpoint.vehicle, (255, 255, 255))
    return birds_eye.picture()


def scenes() -> Iterator[Scene]:
    """Yield scenes of towns in which the vehicle turns."""
    source = open_source(f"town:{TOWNS.stop}")
    for town in TOWNS:
        log = source.load(source.names()[town])
        for scene in extract_scenes(log, 2.0, 5.0, 1.0):
            headings = log.ego.headings[scene.now : scene.now + 40]
            if abs(np.unwrap(headings)[-1] - headings[0]) > 0.8:
                yield scene


def made(scene: Scene) -> tuple[Viewpoint, list[Viewpoint], list[Viewpoint]]:
    """Return the logged viewpoint of a scene, its recovery viewpoints and its cross-agent viewpoints."""
    geometry = build_log_geometry(scene.log)
    options = ViewpointOptions(recovery=RecoveryOptions(samples_per_scene=12))
    found, _ = build_viewpoints(scene, (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT), options, 0, geometry)
    own = logged(scene, geometry)
    recovery = [one for one in found if one.kind == ViewpointKind.RECOVERY]
    return own, recovery, [one for one in found if one.kind == ViewpointKind.CROSS_AGENT]


def suits(viewpoints: tuple[Viewpoint, list[Viewpoint], list[Viewpoint]]) -> bool:
    """Return whether a scene has enough viewpoints, and traffic ahead."""
    own, recovery, cross_agent = viewpoints
    tracks, place = own.tracks, inverse(own.world_from_ego)
    near = tracks.positions[tracks.valid[:, own.scene.history], own.scene.history] @ place[:3, :3].T + place[:3, 3]
    ahead = (near[:, 0] > 4.0) & (near[:, 0] < 40.0) & (np.abs(near[:, 1]) < 0.9 * near[:, 0])
    fast = np.linalg.norm(own.ego.velocity[-1]) > SPEED
    return bool(fast and len(recovery) >= RECOVERIES and len(cross_agent) >= CROSS_AGENTS and ahead.sum() >= AHEAD)


def main() -> None:
    """Render a scene of a town: from above, at the logged, a recovery and a cross-agent viewpoint."""
    style = Style.surfaces()
    own, recovery, cross_agent = next(filter(suits, map(made, scenes())))
    farthest = max(recovery, key=lambda viewpoint: abs(viewpoint.parameters["heading"]))
    grid = np.full((2 * HEIGHT + GAP, 2 * WIDTH + GAP, 3), 12, np.uint8)
    images = [front(own, Style.rap()), front(farthest, style), front(cross_agent[0], style), front(own, style)]
    for number, image in enumerate([images[0], images[3], images[1], images[2]]):
        top, left = (number // 2) * (HEIGHT + GAP), (number % 2) * (WIDTH + GAP)
        grid[top : top + HEIGHT, left : left + WIDTH] = image
    gap = np.full((len(grid), GAP, 3), 12, np.uint8)
    hero = np.concatenate([above(own, recovery, style), gap, grid], axis=1)
    Image.fromarray(hero).save(Path(__file__).with_name("hero.png"), optimize=True)


if __name__ == "__main__":
    main()
