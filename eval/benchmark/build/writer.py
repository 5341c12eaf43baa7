"""The files of a scene group: its views of every kind, the gate's results on splat views, and its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import file_digest
from swerve.eval.benchmark.assemble import GroupRecord, build_scenes
from swerve.eval.benchmark.benchmark_store import group_path, save_group, views_path
from swerve.eval.benchmark.build.build_records import BuildRecord, scene_rows
from swerve.eval.benchmark.build.make_scene_group import FEW
from swerve.eval.benchmark.build.splat_gate import UNFIT, GatedSplats, unfit_starts, without_starts
from swerve.eval.benchmark.build_options import BuildOptions, ViewKind
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.splat_renderer import LogSplats
from swerve.eval.benchmark.stored_views import RenderScene, write_views
from swerve.eval.benchmark.view_renderers import LogRenderer, Renderers, snapshot_of
from swerve.scenes import Camera, Log

Missed = dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class GroupWriter:
    """Writes the scene groups of one log.

    Attributes:
        folder: the benchmark.
        log: log of the scene groups.
        renderers_by_kind: of its views, by kind.
        gate: checks splat views; None if there are none, or the gate is off.
        options: of the build.
        watch: measures "drawing", "encoding" and "writing".
    """

    folder: Path
    log: Log
    renderers_by_kind: Mapping[ViewKind, LogRenderer]
    gate: GatedSplats | None
    options: BuildOptions
    watch: Stopwatch

    @classmethod
    def of(cls, folder: Path, log: Log, renderers: Renderers, options: BuildOptions, watch: Stopwatch) -> "GroupWriter":
        """Create the writer with the renderers of the log.

        Raises:
            SwerveError: one of the renderers cannot render it.
        """
        with watch.measure("drawing"):
            renderers_by_kind = {kind: renderer.prepare(log) for kind, renderer in renderers.items()}
        splats = renderers_by_kind.get("splat")
        gate = GatedSplats.of(splats, log) if isinstance(splats, LogSplats) and options.gate != "off" else None
        return cls(folder, log, renderers_by_kind, gate, options, watch)

    def write(self, build_record: BuildRecord, record: GroupRecord) -> BuildRecord:
        """Write a scene group; return its record completed with the files, or with the reason why it is dropped."""
        missed: Missed = {}
        paths = []
        # The gate decides which scenes the other renderers render.
        if "splat" in self.renderers_by_kind:
            paths.append(self._write_views(build_record, "splat", record, missed))
            build_record, record = self._gated(build_record, record, missed)
            if build_record.drop_reason:
                return build_record
        paths += [
            self._write_views(build_record, kind, record, missed) for kind in self.renderers_by_kind if kind != "splat"
        ]
        paths.append(group_path(self.folder, build_record.scene_group))
        with self.watch.measure("writing"):
            save_group(paths[-1], record)
        group, scenes = build_scenes(self.log, record)
        names = {path.relative_to(self.folder).as_posix(): path for path in paths}
        return replace(
            build_record,
            scenes=tuple(scene_rows(build_record.scene_group, record, group, scenes, missed)),
            files={name: path.stat().st_size for name, path in names.items()},
            sha256={name: file_digest(path) for name, path in names.items()},
        )

    def _write_views(self, build_record: BuildRecord, kind: ViewKind, record: GroupRecord, missed: Missed) -> Path:
        """Write the views of a kind, and record the thresholds that splat views miss; return the path."""
        path = views_path(self.folder, build_record.scene_group, kind)
        write_views(path, self._frames(record), self._draw(kind, missed), self.options.resize, self.watch)
        return path

    def _draw(self, kind: ViewKind, missed: Missed) -> RenderScene:
        """Return the function that renders a scene's views of a kind."""

        def draw(benchmark_scene: BenchmarkScene, cameras: Sequence[Camera]) -> Sequence[UInt8[np.ndarray, "_ _ 3"]]:
            snapshot = snapshot_of(benchmark_scene.viewpoint)
            if kind != "splat" or self.gate is None:
                return self.renderers_by_kind[kind].render(snapshot, cameras)
            images, missed[benchmark_scene.token] = self.gate.render_and_check(snapshot, cameras)
            return images

        return draw

    def _gated(self, build_record: BuildRecord, record: GroupRecord, missed: Missed) -> tuple[BuildRecord, GroupRecord]:
        """Return the record with the gate's results, and the scene group without the follow-ups dropped by it."""
        scenes = self._frames(record)
        unfit = unfit_starts(record, scenes, missed)
        build_record = replace(build_record, unfit=tuple(unfit.items()), tracks_without_gaussians=self._unseen(scenes))
        if self.options.gate != "drop" or not unfit:
            return build_record, record
        record, rejected = without_starts(record, unfit), ((index, UNFIT) for index in unfit)
        few = len(record.starts) < self.options.min_follow_ups
        return replace(
            build_record, rejected=tuple(sorted((*build_record.rejected, *rejected))), drop_reason=FEW if few else ""
        ), record

    def _unseen(self, scenes: Sequence[BenchmarkScene]) -> tuple[str, ...]:
        """Return the ids of the tracks present in some scene that have no Gaussians."""
        splats = self.renderers_by_kind["splat"]
        if not isinstance(splats, LogSplats):
            return ()
        unseen = [splats.without_gaussians(snapshot_of(benchmark_scene.viewpoint).tracks) for benchmark_scene in scenes]
        return tuple(sorted(set().union(*unseen)))

    def _frames(self, record: GroupRecord) -> list[BenchmarkScene]:
        """Return the scenes of a scene group in the order of its tokens."""
        group, scenes = build_scenes(self.log, record)
        return [scenes[token] for token in group.tokens]
