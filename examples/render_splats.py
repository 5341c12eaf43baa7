"""Render a fitted splat scene from Python: `python examples/render_splats.py SOURCE SPLATS [FOLDER]`.

SPLATS is a folder that `swerve fit SOURCE SPLATS` wrote. The first log's front camera is looked through as it was
driven, then 1 m to the left of it.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from swerve.data import open_source
from swerve.data.splats.splat_files import read_splats
from swerve.rasterizer.splats import render_splats
from swerve.scenes.transforms import rigid_transform


def main(text: str, splats: Path, folder: Path) -> None:
    """Write one picture: the logged view beside the shifted one."""
    source = open_source(text)
    name = next(name for name in source.names() if (splats / name / "graph.json").is_file())
    log, scene = source.load(name), read_splats(splats / name)
    step = len(log.times_us) // 2
    time_us, world_from_ego = int(log.times_us[step]), log.ego.world_from_ego[step]
    shifted = world_from_ego @ rigid_transform(np.eye(3), np.array([0.0, 1.0, 0.0]))
    # The poses of a fit may be refined: corrections lead from the log's world to the scene's.
    poses = scene.scene_from_log(time_us) @ np.stack([world_from_ego, shifted])
    views = render_splats(scene.at(time_us), log.cameras[:1], poses, outputs=("rgb", "depth"))
    print(f"{name} at {time_us} us: median depth {np.median(views[0][0].depth):.1f} m")
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([pose[0].rgb for pose in views], axis=1)).save(folder / "splat_views.png")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3] if len(sys.argv) > 3 else "out/examples"))
