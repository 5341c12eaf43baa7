"""The quality gate on a benchmark's splat views."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from swerve.data.splats.photo_poses import read_training_poses
from swerve.eval.benchmark.assemble import FollowUpStart, GroupRecord
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.splat_renderer import LogSplats
from swerve.eval.benchmark.view_renderers import Snapshot
from swerve.eval.splat_quality import (
    RASTER_OUTPUTS,
    SPLAT_OUTPUTS,
    FittedPhotos,
    GateOptions,
    check_view,
)
from swerve.rasterizer import StaticLayer, Style
from swerve.scenes import Camera, Log
from swerve.scenes.primitives import build_dynamic, build_static

UNFIT = "unfit_splats"
# Filled surfaces have a depth at every pixel of the ground; the thresholds were chosen with them.
_STYLE = Style.surfaces()


@dataclass(frozen=True, eq=False)
class GatedSplats:
    """Renders splat views of one log and checks them against the gate.

    Attributes:
        splats: of the log.
        static_layer: static primitives of the log's map, for the reference raster.
        photos: that the splats were fitted to.
        options: the thresholds.
    """

    splats: LogSplats
    static_layer: StaticLayer
    photos: FittedPhotos
    options: GateOptions

    @classmethod
    def of(cls, splats: LogSplats, log: Log) -> "GatedSplats":
        """Create the gate with default thresholds.

        Raises:
            SwerveError: the poses of the fitted photos cannot be read.
        """
        photos = FittedPhotos(read_training_poses(splats.folder))
        return cls(splats, StaticLayer(build_static(log.road_map)), photos, GateOptions())

    def render_and_check(
        self, snapshot: Snapshot, cameras: Sequence[Camera]
    ) -> tuple[list[UInt8[np.ndarray, "_ _ 3"]], tuple[str, ...]]:
        """Render the colours; also return the names of the thresholds missed by some camera's view."""
        views = self.splats.views(snapshot, cameras, ("rgb", *SPLAT_OUTPUTS))
        moving = build_dynamic(snapshot.tracks, snapshot.lights, 0)
        rasters = self.static_layer.render(moving, cameras, snapshot.world_from_ego[None], _STYLE, RASTER_OUTPUTS)[0]
        lacking = self.splats.without_gaussians(snapshot.tracks)
        nodes = {row + 1 for row, track in enumerate(snapshot.tracks.ids) if track not in lacking}
        gate_results = [
            check_view(*pair, self.options, self.photos, nodes) for pair in zip(views, rasters, strict=True)
        ]
        missed = dict.fromkeys(name for gate_result in gate_results for name in gate_result.missed)
        return [view.rgb for view in views if view.rgb is not None], tuple(missed)


def unfit_starts(
    record: GroupRecord, scenes: Iterable[BenchmarkScene], missed: Mapping[str, tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Return the thresholds missed by the views of either of a start's two scenes, by number of the start.

    Args:
        record: the scene group.
        scenes: of the scene group.
        missed: by token, see `GatedSplats.render_and_check`; empty if they were not checked.
    """
    found = dict[int, dict[str, None]]()
    for benchmark_scene in scenes:
        if benchmark_scene.follow_up and missed.get(benchmark_scene.token):
            found.setdefault(benchmark_scene.viewpoint.index, {}).update(dict.fromkeys(missed[benchmark_scene.token]))
    return {start.index: tuple(found[start.index]) for start in record.starts if start.index in found}


def without_starts(record: GroupRecord, numbers: Iterable[int]) -> GroupRecord:
    """Return a scene group without the starts of these numbers."""
    gone = set(numbers)
    starts: tuple[FollowUpStart, ...] = tuple(start for start in record.starts if start.index not in gone)
    return replace(record, starts=starts)
