"""Workers of a study: every planner on every scene of a scene group, and in all closed loops from its first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from swerve.data.jobs import RECORDS, Failure, PartResult, ProgressCallback, existing_parts, part_stem, record_path
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import remove_file, safe_name, write_atomically
from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.evaluate_worker import OpenedGroups, open_groups
from swerve.eval.benchmark.evaluate.observations import uses_images
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.closed_loop.closed_loop_scene import build_closed_loop_scene
from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS
from swerve.eval.closed_loop.nuplan_metrics import NUPLAN_METRICS
from swerve.eval.closed_loop.rollout import Rollout, drive_prepared, metric_names
from swerve.eval.closed_loop.rollout_views import RolloutViews
from swerve.eval.study.open_loop import FramesPart, study_frames, subsample_follow_ups
from swerve.eval.study.study_options import Reference, StudyOptions, StudyPlanner
from swerve.eval.study.study_records import StudyRecord
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner

Loader = Callable[[str], Planner]
# Columns of a record: the closed loops have different metrics.
_WIDTH = max(len(ROLLOUT_METRICS), len(NUPLAN_METRICS))


@dataclass(frozen=True)
class StudyWork:
    """Work of a study, sent once to every worker.

    Attributes:
        folder: of the study.
        benchmark: the scene groups.
        planner_specs: the planners.
        load: creates a planner from its spec.
        options: of the study.
    """

    folder: Path
    benchmark: Benchmark
    planner_specs: tuple[StudyPlanner, ...]
    load: Loader
    options: StudyOptions

    @cached_property
    def planners(self) -> dict[str, Planner]:
        """Load the planners by spec, once in each worker."""
        return {planner_spec.spec: self.load(planner_spec.spec) for planner_spec in self.planner_specs}

    def finished(self) -> dict[str, tuple[set[int], int]]:
        """Return by log the numbers of the scene groups with a record, and the total."""
        there = existing_parts(self.folder / RECORDS, ".npz")
        return {
            log: (there[safe_name(log)], len(self.benchmark.scene_groups(log)))
            for log in self.benchmark.logs
            if safe_name(log) in there
        }

    def remove_damaged_records(self) -> list[Path]:
        """Remove records that are damaged or of another scene group, which are made again; return them."""
        names = {part_stem(log, chunk): log for log in self.benchmark.logs for chunk in self._chunks(log)}
        paths = sorted((self.folder / RECORDS).glob("*.npz"))
        damaged = [path for path in paths if not self._is_record(path, names.get(path.stem))]
        for path in damaged:
            remove_file(path)
        return damaged

    def _chunks(self, log: str) -> range:
        return range(len(self.benchmark.scene_groups(log)))

    def _is_record(self, path: Path, log: str | None) -> bool:
        try:
            record = StudyRecord.from_bytes(path.read_bytes())
        except SwerveError:
            return False
        specs = tuple(planner_spec.spec for planner_spec in self.planner_specs)
        return record.log == log and record.planners == specs

    def records(self) -> list[StudyRecord]:
        """Read the existing records, in the benchmark's order.

        Raises:
            SwerveError: one is damaged.
        """
        paths = [
            record_path(self.folder, log, chunk, ".npz")
            for log in self.benchmark.logs
            for chunk in range(len(self.benchmark.scene_groups(log)))
        ]
        return [StudyRecord.from_bytes(path.read_bytes()) for path in paths if path.is_file()]

    def open(self, log: str, watch: Stopwatch) -> OpenedGroups:
        """Open the scene groups of a log.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        with watch.measure("loading"):
            sees = any(uses_images(planner) for planner in self.planners.values())
            views = RolloutViews(*self.benchmark.log_renderer(log)) if sees else None
        return open_groups(self.benchmark, log, partial(self._run_group, views, watch), watch)

    def _run_group(
        self,
        views: RolloutViews | None,
        watch: Stopwatch,
        chunk: int,
        scene_group: SceneGroup,
        report: ProgressCallback,
    ) -> PartResult:
        """Study a scene group and write its record.

        Raises:
            SwerveError: a scene cannot be scored or driven from.
        """
        options = self.options
        scene_group = subsample_follow_ups(scene_group, options.density, options.seed)
        record = study_group(scene_group, self.planners, options, views, watch, report)
        with watch.measure("writing"):
            write_atomically(record_path(self.folder, scene_group.log, chunk, ".npz"), record.to_bytes())
        return PartResult(_plans(scene_group, options, len(record.planners)), tuple(failures_of(record)))


def study_group(
    scene_group: SceneGroup,
    planners: Mapping[str, Planner],
    options: StudyOptions,
    views: RolloutViews | None,
    watch: Stopwatch,
    report: ProgressCallback,
) -> StudyRecord:
    """Run all planners on one scene group, in open loop and in all closed loops.

    Args:
        scene_group: the scene group.
        planners: by name.
        options: of the study.
        views: camera images in closed loop; None if no planner uses any.
        watch: measures "frames" and "closed loop".
        report: progress callback.

    Raises:
        SwerveError: a scene cannot be scored or driven from.
    """
    whole, of_open = _plans(scene_group, options, len(planners)), len(planners) * len(scene_group.group.tokens)

    def tell(token: str, plans: float) -> None:
        report(token, round(plans), plans / whole)

    with watch.measure("frames"):
        part = study_frames(scene_group, planners, options.policy, lambda token, share: tell(token, of_open * share))
    with watch.measure("closed loop"):
        token, of_closed = scene_group.group.now, whole - of_open
        rollouts = _rollouts(
            scene_group, planners, options, views, lambda share: tell(token, of_open + of_closed * share)
        )
    return _record(scene_group, tuple(planners), part, rollouts, options)


def _record(
    scene_group: SceneGroup,
    planners: tuple[str, ...],
    part: FramesPart,
    rollouts: Mapping[Reference, Sequence[Rollout]],
    options: StudyOptions,
) -> StudyRecord:
    """Return the record of what was run in open loop and, by reference, in closed loops."""
    by_planner = list(zip(*rollouts.values(), strict=True))
    closed_loops = options.closed_loops.values()
    metrics = [[_metrics(*pair) for pair in zip(own, closed_loops, strict=True)] for own in by_planner]
    return StudyRecord(
        token=scene_group.group.now,
        log=scene_group.log,
        planners=planners,
        **{**vars(part), "errors": _first_errors(part.errors, by_planner)},
        references=tuple(rollouts),
        closed_loop=np.array([[rollout.score for rollout in own] for own in by_planner]),
        closed_loop_metrics=np.array(metrics),
    )


def failures_of(record: StudyRecord) -> Iterator[Failure]:
    """Yield the planners' failures."""
    for planner, error in zip(record.planners, record.errors, strict=True):
        if error:
            yield Failure(record.log, record.token, planner, error.splitlines()[-1])


def _rollouts(
    scene_group: SceneGroup,
    planners: Mapping[str, Planner],
    options: StudyOptions,
    views: RolloutViews | None,
    report: Callable[[float], None],
) -> dict[Reference, list[Rollout]]:
    """Drive all planners in all closed loops; a scene's preparation is the same for all of them."""
    closed_loops, token = options.closed_loops, scene_group.group.now
    scene = scene_group.scenes[token]
    first = replace(next(iter(closed_loops.values())), traffic_seed=scene.traffic_seed)
    prepared = build_closed_loop_scene(scene.viewpoint, first, token)
    found: dict[Reference, list[Rollout]] = {reference: [] for reference in closed_loops}
    pairs = [(reference, planner) for reference in closed_loops for planner in planners.values()]
    for place, (reference, planner) in enumerate(pairs):
        report(place / len(pairs))
        closed_loop_scene = replace(prepared, options=closed_loops[reference])
        found[reference].append(drive_prepared(closed_loop_scene, planner, views))
    return found


def _metrics(rollout: Rollout, options: ClosedLoopOptions) -> list[float]:
    """Return the sub-scores in the order of `metric_names`, followed by NaN up to the width of a record."""
    values = [rollout.metrics[name] for name in metric_names(options)]
    return values + [float("nan")] * (_WIDTH - len(values))


def _first_errors(errors: Sequence[str], by_planner: Sequence[Sequence[Rollout]]) -> tuple[str, ...]:
    """Return each planner's first error: in open loop, else in closed loop."""
    driven = (next((rollout.error for rollout in own if rollout.error), "") for own in by_planner)
    return tuple(error or other for error, other in zip(errors, driven, strict=True))


def _plans(scene_group: SceneGroup, options: StudyOptions, planners: int) -> int:
    """Return the number of planner calls in a scene group; fewer if a log ends early."""
    driven = len(options.references) * round(options.seconds * options.rate)
    return planners * (len(scene_group.group.tokens) + driven)
