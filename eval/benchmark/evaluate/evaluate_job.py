"""The job that evaluates planners on a benchmark: a record per scene group, then the tables (docs/evaluate.md)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.jobs import CORE_PACKAGES, Failure, PartResult, Workers, job_config
from swerve.data.jobs import ProgressCallback as PartReport
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.benchmark_protocol import GroupedScenes
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.evaluate_worker import OpenedGroups, open_groups
from swerve.eval.benchmark.evaluate.evaluation_summary import write_summary
from swerve.eval.benchmark.evaluate.observations import check_available, required_cameras, uses_images
from swerve.eval.benchmark.evaluate.planner_records import (
    JOB,
    Evaluation,
    Loader,
    PlannerRecords,
    PlannerSpec,
    check_folder,
    check_labels,
    make_records,
)
from swerve.eval.benchmark.evaluate.result_store import add_to_record
from swerve.eval.benchmark.evaluate.results import RESULTS_VERSION, SCHEMA, PlannerResult, result_rows
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.scoring.score_tables import provenance
from swerve.eval.scoring.weighting import Weighting
from swerve.eval.traffic.policy import Policy
from swerve.scenes.planning import Planner


def evaluate(
    benchmark: GroupedScenes,
    entries: Sequence[PlannerSpec],
    load: Loader,
    folder: str | Path,
    policy: Policy,
    weighting: Weighting,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Run planners on every scene group of a benchmark, and write their scores.

    The output depends on the benchmark, the planners and the policy alone, except for the planning times. An
    interrupted evaluation resumes; planners already recorded in the folder are not run again.

    Args:
        benchmark: the scene groups.
        entries: the planners.
        load: creates a planner from its spec, in every worker; must be picklable.
        folder: for the results; new, empty, or of an evaluation of the same benchmark.
        policy: traffic policy of the agents.
        weighting: of follow-up scenes.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: there is no planner or two of one label, a planner needs images that are not available, the folder
            is another evaluation's or cannot be written, or scene groups could not be evaluated: then only
            failures.json is written.
        ArrayPartDone: this run of an array made its part.
    """
    folder = Path(folder)
    check_labels([entry.label for entry in entries])
    check_folder(folder)
    chunks = {log: len(benchmark.scene_groups(log)) for log in benchmark.logs}
    records = PlannerRecords(folder / JOB, chunks, tuple(entries), load)
    check_cameras(benchmark, records.load_anew())
    stamp = _stamp(benchmark, entries, policy, weighting)
    options = {"traffic": policy, "benchmark": stamp["benchmark"]["digest"]}
    config = job_config(options, [("benchmark", log) for log in benchmark.logs], CORE_PACKAGES)
    work = EvaluateWork(records, benchmark, policy)

    def write() -> tuple[dict[str, Any], Sequence[Failure]]:
        return write_summary(folder, records.paths(), stamp, benchmark.source_of)

    return make_records(records, work, folder, config, SCHEMA, "scene groups", write, workers, console)


def check_cameras(benchmark: GroupedScenes, planners: Iterable[Planner]) -> None:
    """Check that every log has the cameras that the planners need; all scene groups of a log share its cameras.

    Raises:
        SwerveError: a planner needs images that are not available.
    """
    seeing = [planner for planner in planners if uses_images(planner)]
    for log in benchmark.logs if seeing else ():
        scene_group = benchmark.scene_group(benchmark.scene_groups(log)[0])
        for planner in seeing:
            scene = scene_group.scenes[scene_group.group.now]
            check_available(partial(required_cameras, scene, planner, scene_group.views))


@dataclass(frozen=True)
class EvaluateWork:
    """Work of an evaluation, sent once to every worker.

    Attributes:
        records: of the planners.
        benchmark: the scene groups.
        policy: traffic policy of the agents.
    """

    records: PlannerRecords
    benchmark: GroupedScenes
    policy: Policy

    def by_views(self, labels: Collection[str]) -> dict[ViewKind | None, dict[str, Planner]]:
        """Group the planners of the given labels by the kind of views they are given; None for the benchmark's."""
        found = dict[ViewKind | None, dict[str, Planner]]()
        for entry in self.records.entries:
            if entry.label in labels:
                found.setdefault(entry.views, {})[entry.label] = self.records.planners[entry.label]
        return found

    def open(self, log: str, watch: Stopwatch) -> OpenedGroups:
        """Return the scene groups of a log. The first call of a worker loads the planners.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        self.records.load_planners(watch)
        return open_groups(self.benchmark, log, partial(self._evaluated, watch), watch)

    def _evaluated(self, watch: Stopwatch, chunk: int, scene_group: SceneGroup, report: PartReport) -> PartResult:
        """Evaluate a scene group for the planners missing in its record, and write the record."""
        path = self.records.path(scene_group.log, chunk)
        missing = self.records.missing(path)
        with watch.measure("planning and scoring"):
            results = self._results(scene_group, missing, report)
        with watch.measure("writing"):
            add_to_record(path, result_rows(results, "navsim-exact"), missing)
        count = len(scene_group.group.tokens) * len(missing)
        return PartResult(count, tuple(failure for result in results for failure in failures_of(result)))

    def _results(self, scene_group: SceneGroup, labels: Collection[str], report: PartReport) -> list[PlannerResult]:
        """Evaluate the planners of these labels on a scene group, each with its kind of views."""
        whole, results = len(scene_group.group.tokens) * len(labels), list[PlannerResult]()
        for kind, planners in self.by_views(labels).items():
            done, part = len(results) / len(labels), len(planners) / len(labels)

            def tell(token: str, share: float, done: float = done, part: float = part) -> None:
                report(token, round((done + part * share) * whole), done + part * share)

            results += evaluate_group(
                scene_group.with_views(kind) if kind else scene_group, planners, self.policy, tell
            )
        return results


def failures_of(result: PlannerResult) -> Iterator[Failure]:
    """Return a planner's failures; without tracebacks, which a job would print as program errors."""
    for token, error in zip(result.group.tokens, result.errors, strict=True):
        if error:
            yield Failure(result.scenes.logs[0], token, result.planner, error.splitlines()[-1])


def _stamp(
    benchmark: GroupedScenes, entries: Sequence[PlannerSpec], policy: Policy, weighting: Weighting
) -> dict[str, Any]:
    """Return the provenance of the scores."""
    return {
        "version": RESULTS_VERSION,
        **provenance(policy, weighting),
        "benchmark": benchmark.identity(),
        "planners": {entry.label: entry.spec for entry in entries},
        "views": {
            entry.label: {"planner": entry.planner or entry.label, "kind": entry.views or benchmark.view_kind}
            for entry in entries
        },
        "identities": {entry.label: entry.identity for entry in entries},
        "privileged_input": {entry.label: entry.privileged_input for entry in entries if entry.privileged_input},
        "inactive_sub_scores": benchmark.inactive_sub_scores(),
    }
