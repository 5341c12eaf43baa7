r"""Render docs/views.png: one follow-up scene in each kind of views that a benchmark stores.

swerve fit town:1 fits --cameras front --image-scale 0.1667 --photo-interval 0.5 --steps 700 \\
    --densification.max-gaussians 80000
swerve build town:1 bench --views raster photo splat --splats fits --cameras front --size 320x187 \\
    --scene-interval 3 --max-follow-ups 12
python docs/views.py bench docs/views.png
"""

import sys
from pathlib import Path

import numpy as np

from swerve.data.dataset.image_encoding import encode_png
from swerve.data.storage.files import write_atomically
from swerve.eval.benchmark.benchmark_store import open_benchmark

_GAP = 6


def main(folder: Path, path: Path) -> None:
    """Write the views of the first follow-up of the last scene group, in the order of the stored kinds."""
    benchmark = open_benchmark(folder)
    name = benchmark.scene_groups(benchmark.logs[0])[-1]
    images = []
    for kind in benchmark.stored_kinds:
        scene_group = benchmark.with_views(kind).scene_group(name)
        frame = scene_group.scenes[scene_group.group.follow_ups[0][0]]
        assert scene_group.views is not None
        images.append(scene_group.views.images(frame, ["front"])["front"])
    gap = np.full((len(images[0]), _GAP, 3), 255, np.uint8)
    row = [part for image in images for part in (gap, image)][1:]
    write_atomically(path, encode_png(np.concatenate(row, axis=1)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
