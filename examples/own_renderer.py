"""Draw the views of a benchmark yourself: `python examples/own_renderer.py [FOLDER]`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import swerve
from swerve.scenes.primitives import Primitives, build_dynamic, build_static


@dataclass(frozen=True)
class DepthRenderer:
    """Grey images of depth. A frozen dataclass is hashable and can be sent to worker processes."""

    name: str = "depth"  # in benchmark.json
    synthetic: bool = False  # whether the images are synthetic photos

    def check(self, log: swerve.Log) -> None:
        """Raise a SwerveError if a log cannot be rendered; this renderer accepts all."""

    def prepare(self, log: swerve.Log) -> "LogDepth":
        """Prepare what does not move, once per log."""
        return LogDepth(build_static(log.road_map))


@dataclass(frozen=True)
class LogDepth:
    """Draws one log."""

    static: Primitives

    def render(self, snapshot: Any, cameras: Sequence[swerve.Camera]) -> list[np.ndarray]:  # noqa: ANN401
        """RGB of each camera, in its own size; a snapshot has a pose, and tracks and lights of a single step."""
        primitives = self.static.concatenate(build_dynamic(snapshot.tracks, snapshot.lights, 0))
        (views,) = swerve.render(primitives, cameras, snapshot.world_from_ego[None], outputs=("depth",))
        depths = [np.where(view.depth > 0, np.clip(view.depth, 0, 80), 80) for view in views]  # 0: nothing there
        return [np.repeat((255 - 255 * depth / 80).astype(np.uint8)[..., None], 3, axis=2) for depth in depths]


def main(folder: Path) -> None:
    """Builds a benchmark whose raster views are this renderer's."""
    options = swerve.BuildOptions(
        scene_interval=10.0, min_follow_ups=1, max_follow_ups=2, cameras=("front",), size=(192, 112)
    )
    report = swerve.build_benchmark(["town:1"], folder, options, workers=1, renderers={"raster": DepthRenderer()})
    print(report.counts)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/depth"))
