"""Benchmark of synthetic photos of a town: milliseconds per image by stage, on one core."""

import time

from benchmarks.measure import report, timed
from swerve.data.sources.town import generate_town
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.rasterizer import Style, render
from swerve.scenes.primitives import build_dynamic, build_static

GOAL_MS = 150.0
SIZES, STEP = ((960, 560), (480, 280)), 100


def run():
    """Print and write the table: eight cameras at one timestamp, with the raster of the same."""
    log = generate_town("town-000001")
    start = time.process_time()
    studio = TownPhotoRenderer(log)
    opened = 1e3 * (time.process_time() - start)
    now, pose = slice(STEP, STEP + 1), log.ego.world_from_ego[STEP]
    tracks, lights = log.tracks.at(now), log.lights.at(now)
    primitives = build_static(log.road_map).concatenate(build_dynamic(tracks, lights, 0))
    rows = []
    for size in SIZES:
        cameras = [camera.resized(*size) for camera in log.cameras]

        def photograph(cameras=cameras):
            return studio.photograph(cameras, pose, tracks, lights)

        def raster(cameras=cameras):
            return render(primitives, cameras, pose[None], Style.rap(), ("rgb",))

        photograph()
        taken, drawn = timed(photograph, repeats=3), timed(raster, repeats=3)
        rows.append(
            {
                "size": f"{size[0]}x{size[1]}",
                "photograph ms": taken.wall_ms / len(cameras),
                "raster ms": drawn.wall_ms / len(cameras),
            }
        )
    verdict = "met" if rows[0]["photograph ms"] < GOAL_MS else "missed"
    notes = [
        f"Building a renderer takes {opened:.0f} ms of a core, once a log.",
        f"Goal: {GOAL_MS:.0f} ms for 960x560, {verdict}. Eight cameras share the dynamic geometry.",
    ]
    report("photographs", "Synthetic photos of a town", rows, notes)
