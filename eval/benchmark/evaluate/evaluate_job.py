"""The job that evaluates planners on a benchmark: a record per scene group, then the tables (docs/evaluate.md)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.jobs import (
    CORE_PACKAGES,
    Failure,
    FolderLayout,
    PartResult,
    RunResult,
    Workers,
    job_config,
    open_job,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs import ProgressCallback as PartReport
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors, safe_name, to_json, write_atomically
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.benchmark_protocol import GroupedScenes
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.evaluate_worker import OpenedGroups, open_groups
from swerve.eval.benchmark.evaluate.evaluation_summary import remove_summary, write_summary
from swerve.eval.benchmark.evaluate.observations import check_available, required_cameras, uses_images
from swerve.eval.benchmark.evaluate.result_store import (
    add_to_record,
    recorded_planners,
    remove_damaged_records,
    results_path,
)
from swerve.eval.benchmark.evaluate.results import RESULTS_VERSION, SCHEMA, PlannerResult, result_rows
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.scoring.score_tables import provenance
from swerve.eval.scoring.weighting import Weighting
from swerve.eval.traffic.policy import Policy
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner

# Packages whose version may change a score.
JOB, TIMING = "job", "timing.json"
LAYOUT = FolderLayout(completion_file=TIMING, files=(), parts={"records": ".parquet"}, kind="evaluate")


@dataclass(frozen=True)
class PlannerSpec:
    """A planner of an evaluation.

    Attributes:
        label: its name in all tables.
        spec: the argument of its loader.
        identity: a changed identity invalidates its earlier plans, see `swerve.planners.fingerprint`.
        planner: its label in other entries, if it is evaluated with several kinds of views; else empty.
        views: kind of views that it is given; the benchmark's if None.
    """

    label: str
    spec: str
    identity: str
    planner: str = ""
    views: ViewKind | None = None


Loader = Callable[[str], Planner]


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        summary: as in summary.json.
        failures: of planners, as in failures.json, with tracebacks.
        timing: of this run.
    """

    summary: dict[str, Any]
    failures: tuple[Failure, ...]
    timing: dict[str, Any]


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
    check_cameras(benchmark, [load(entry.spec) for entry in entries])
    stamp = _stamp(benchmark, entries, policy, weighting)
    options = {"traffic": policy, "benchmark": stamp["benchmark"]["digest"]}
    config = job_config(options, [("benchmark", log) for log in benchmark.logs], CORE_PACKAGES)
    work = EvaluateWork(folder / JOB, benchmark, tuple(entries), load, policy)
    with open_job(work.folder, config, LAYOUT, workers), os_errors_as_swerve_errors(folder):
        remove_summary(folder)
        report_damaged(console, remove_damaged_records(work.folder, SCHEMA))
        outcome = run_work(work, work.folder, benchmark.logs, work.finished(), "plans", workers, console)
        _require_all(work, folder, outcome)
        summary, failures = write_summary(folder, work.records(), stamp, benchmark.source_of)
        write_atomically(work.folder / TIMING, to_json(outcome.timing))
    return Evaluation(summary, tuple(failures), outcome.timing)


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
        folder: of the records.
        benchmark: the scene groups.
        entries: the planners.
        load: creates a planner from its spec.
        policy: traffic policy of the agents.
    """

    folder: Path
    benchmark: GroupedScenes
    entries: tuple[PlannerSpec, ...]
    load: Loader
    policy: Policy

    @property
    def identities(self) -> dict[str, str]:
        """Return the identities of the planners by label."""
        return {entry.label: entry.identity for entry in self.entries}

    @cached_property
    def planners(self) -> dict[str, Planner]:
        """Load the planners by label, once in each worker."""
        return {entry.label: self.load(entry.spec) for entry in self.entries}

    def record(self, log: str, chunk: int) -> Path:
        """Return the path of a scene group's record."""
        return results_path(self.folder, log, chunk)

    def records(self) -> list[Path]:
        """Return the paths of all scene groups' records."""
        logs = self.benchmark.logs
        return [self.record(log, chunk) for log in logs for chunk in range(len(self.benchmark.scene_groups(log)))]

    def finished(self) -> dict[str, tuple[set[int], int]]:
        """Return by log the numbers of the scene groups evaluated for every planner, and the total."""
        finished = {}
        for log in self.benchmark.logs:
            count = len(self.benchmark.scene_groups(log))
            if done := {chunk for chunk in range(count) if not self.missing(self.record(log, chunk))}:
                finished[log] = done, count
        return finished

    def missing(self, record: Path) -> dict[str, str]:
        """Return by label the identities of the planners that a record lacks in their current version."""
        known = recorded_planners(record)
        return {label: identity for label, identity in self.identities.items() if known.get(label) != identity}

    def by_views(self, labels: Collection[str]) -> dict[ViewKind | None, dict[str, Planner]]:
        """Group the planners of the given labels by the kind of views they are given; None for the benchmark's."""
        found = dict[ViewKind | None, dict[str, Planner]]()
        for entry in self.entries:
            if entry.label in labels:
                found.setdefault(entry.views, {})[entry.label] = self.planners[entry.label]
        return found

    def open(self, log: str, watch: Stopwatch) -> OpenedGroups:
        """Return the scene groups of a log. The first call of a worker loads the planners.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        with watch.measure("loading planners"):
            _ = self.planners
        return open_groups(self.benchmark, log, partial(self._evaluated, watch), watch)

    def _evaluated(self, watch: Stopwatch, chunk: int, scene_group: SceneGroup, report: PartReport) -> PartResult:
        """Evaluate a scene group for the planners missing in its record, and write the record."""
        path = self.record(scene_group.log, chunk)
        missing = self.missing(path)
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


def check_labels(labels: Sequence[str]) -> None:
    """Check that there are planners, and that the names of their files differ.

    Args:
        labels: of the planners.

    Raises:
        SwerveError: otherwise.
    """
    if not labels:
        raise SwerveError("no planner to evaluate: give --planners")
    names = Counter(map(safe_name, labels))
    if twice := [label for label in labels if names[safe_name(label)] > 1]:
        raise SwerveError(
            f"planners {' and '.join(map(repr, twice))}: give different labels, as in {twice[0]},label=other"
        )


def check_folder(folder: Path) -> None:
    """Check that the folder holds no other files.

    Raises:
        SwerveError: the folder holds something that is not of an evaluation.
    """
    make_folder(folder)
    if not (folder / JOB).is_dir() and (strangers := sorted(folder.iterdir())):
        raise SwerveError(f"{folder} is not empty (it holds {strangers[0].name}): choose another folder")


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
        "inactive_sub_scores": benchmark.inactive_sub_scores(),
    }


def _require_all(work: EvaluateWork, folder: Path, outcome: RunResult) -> None:
    """Check that all scene groups were evaluated.

    Raises:
        SwerveError: a scene group could not be evaluated.
    """
    records = work.records()
    if count := sum(bool(work.missing(record)) for record in records):
        write_failures(folder, outcome.failures)
        first = outcome.failures[0]
        raise SwerveError(
            f"{count} of {len(records)} scene groups could not be evaluated, the first: {first.where}: {first.reason}. "
            f"There are no scores; see {folder / 'failures.json'}. Fix it and run the same command again to resume"
        )
