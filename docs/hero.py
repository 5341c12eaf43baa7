"""Render docs/hero.png, the image of the README: `python docs/hero.py`. Also a tour of the library in fifty lines."""

from pathlib import Path

import numpy as np
from PIL import Image

from swerve.data import open_source
from swerve.rasterizer import Style, render
from swerve.scenes import Scene
from swerve.scenes.primitives import build_dynamic, build_static
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

TOWN, NOW = 11, 90
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


def main() -> None:
    """Render a scene of a town: from above, at the logged, a recovery and a cross-agent viewpoint."""
    style = Style.surfaces()
    source = open_source(f"town:{TOWN + 1}")
    scene = Scene(source.load(source.names()[TOWN]), NOW, history=20, future=50)
    geometry = build_log_geometry(scene.log)
    options = ViewpointOptions(recovery=RecoveryOptions(samples_per_scene=12))
    viewpoints, _ = build_viewpoints(scene, (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT), options, 0, geometry)
    recovery = [viewpoint for viewpoint in viewpoints if viewpoint.kind == ViewpointKind.RECOVERY]
    cross_agent = [viewpoint for viewpoint in viewpoints if viewpoint.kind == ViewpointKind.CROSS_AGENT]
    own = logged(scene, geometry)
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
