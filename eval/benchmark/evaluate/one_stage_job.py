"""The job that evaluates planners on single scenes, as NAVSIM's one-stage script does: a record per batch of scenes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from swerve.data.jobs import CORE_PACKAGES, Failure, PartResult, Workers, job_config, write_failures
from swerve.data.jobs import ProgressCallback as PartReport
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import safe_name, to_json, write_atomically
from swerve.data.storage.parquet_file import write_parquet
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_scenes
from swerve.eval.benchmark.evaluate.evaluation_summary import SCORES, SUMMARY, comparison_summary
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
from swerve.eval.benchmark.evaluate.result_store import add_to_record, read_record
from swerve.eval.benchmark.evaluate.results import (
    PROVENANCE,
    RESULTS,
    RESULTS_VERSION,
    SCHEMA,
    SceneResults,
    scene_columns,
)
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneViews
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores, ScoredScenes, one_stage
from swerve.eval.scoring.score_tables import METRICS, one_stage_rows, provenance, write_rows
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.eval.scoring.thresholds import STEPS
from swerve.eval.traffic.policy import Policy
from swerve.scenes.compilation import announce_compilation

# Columns of a record: those of a scene by itself, and the simulated states, which extended comfort compares.
_ALONE: Final = ("group_token", "stage", "frame", "index", "two_frame_extended_comfort", "score", "weight")
RECORD: Final = pa.schema(
    [*(field for field in SCHEMA if field.name not in _ALONE), pa.field("states", pa.list_(pa.float64()))]
)


@runtime_checkable
class SingleScenes(Protocol):
    """Scenes by log, in batches; a light handle that can be pickled."""

    @property
    def scene_logs(self) -> tuple[str, ...]:
        """Return the names of the logs with a scene."""

    @property
    def views(self) -> SceneViews | None:
        """Return the images of the scenes."""

    def batches(self, log: str) -> tuple[tuple[str, ...], ...]:
        """Return the tokens of a log's scenes, in batches."""

    def batch(self, tokens: Sequence[str]) -> list[BenchmarkScene]:
        """Load scenes.

        Raises:
            SwerveError: one cannot be read.
        """

    def source_of(self, log: str) -> str:
        """Return the kind of source that a log is from."""

    def identity(self) -> dict[str, Any]:
        """Return the provenance of the scenes, with "digest": equal digests mean equal scenes."""

    def inactive_sub_scores(self) -> list[str]:
        """Return lines on sub-scores that cannot fail, because the logs lack what they need."""


def evaluate_one_stage(
    scenes: SingleScenes,
    entries: Sequence[PlannerSpec],
    load: Loader,
    folder: str | Path,
    policy: Policy,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Run planners on every scene, and write their scores: the mean over the scenes, as `one_stage` computes it.

    Resumes as `evaluate` does.

    Args:
        scenes: the scenes.
        entries: the planners.
        load: creates a planner from its spec, in every worker; must be picklable.
        folder: for the results; new, empty, or of an evaluation of the same scenes.
        policy: traffic policy of the agents.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: see `evaluate`.
    """
    folder = Path(folder)
    check_labels([entry.label for entry in entries])
    check_folder(folder)
    chunks = {log: len(scenes.batches(log)) for log in scenes.scene_logs}
    records = PlannerRecords(folder / JOB, chunks, tuple(entries), load)
    work = OneStageWork(records, scenes, policy)
    work.check_cameras()
    stamp = _stamp(scenes, entries, policy)
    options = {"traffic": policy, "benchmark": stamp["benchmark"]["digest"], "stages": 1}
    config = job_config(options, [("benchmark", log) for log in scenes.scene_logs], CORE_PACKAGES)

    def write() -> tuple[dict[str, Any], Sequence[Failure]]:
        return _write_summary(folder, work, stamp)

    return make_records(records, work, folder, config, RECORD, "batches of scenes", write, workers, console)


@dataclass(frozen=True)
class OneStageWork:
    """Work of the job, sent once to every worker.

    Attributes:
        records: of the planners.
        scenes: the scenes.
        policy: traffic policy of the agents.
    """

    records: PlannerRecords
    scenes: SingleScenes
    policy: Policy

    def check_cameras(self) -> None:
        """Check that the first scene of every log has the images that the planners need.

        Raises:
            SwerveError: it has not.
        """
        seeing = [planner for planner in self.records.load_anew() if uses_images(planner)]
        for log in self.scenes.scene_logs if seeing else ():
            first = self.scenes.batch(self.scenes.batches(log)[0][:1])[0]
            for planner in seeing:
                check_available(partial(required_cameras, first, planner, self.scenes.views))

    def open(self, log: str, watch: Stopwatch) -> "_OpenedScenes":
        """Return the batches of a log. The first call of a worker loads the planners.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        announce_compilation()
        self.records.load_planners(watch)
        return _OpenedScenes(self, log, watch)


@dataclass(frozen=True)
class _OpenedScenes:
    """The batches of a log, see `swerve.data.jobs.LogHandle`."""

    work: OneStageWork
    log: str
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        return len(self.work.scenes.batches(self.log))

    def make(self, chunk: int, report: PartReport) -> PartResult:
        records, tokens = self.work.records, self.work.scenes.batches(self.log)[chunk]
        path = records.path(self.log, chunk)
        missing = records.missing(path)
        with self.watch.measure("reading"):
            scenes = self.work.scenes.batch(tokens)
        planners = {label: records.planners[label] for label in missing}
        with self.watch.measure("planning and scoring"):
            tell = _progress(report, len(tokens) * len(missing))
            results = evaluate_scenes(scenes, planners, self.work.policy, self.work.scenes.views, tell)
        with self.watch.measure("writing"):
            add_to_record(path, pa.concat_tables([_rows(result) for result in results]), missing, RECORD)
        failures = tuple(failure for result in results for failure in _failures(result))
        return PartResult(len(tokens) * len(missing), failures)


def _progress(report: PartReport, whole: int) -> Callable[[str, float], None]:
    return lambda token, share: report(token, round(share * whole), share)


def _rows(results: SceneResults) -> pa.Table:
    states = [one.ravel() for one in results.scenes.states]
    return pa.Table.from_pydict({**scene_columns(results), "states": states}, schema=RECORD)


def _failures(results: SceneResults) -> Iterator[Failure]:
    for log, token, error in zip(results.scenes.logs, results.scenes.tokens, results.errors, strict=True):
        if error:
            yield Failure(log, token, results.planner, error.splitlines()[-1])


def _stamp(scenes: SingleScenes, entries: Sequence[PlannerSpec], policy: Policy) -> dict[str, Any]:
    return {
        "version": RESULTS_VERSION,
        **provenance(policy, None),
        "benchmark": scenes.identity(),
        "planners": {entry.label: entry.spec for entry in entries},
        "identities": {entry.label: entry.identity for entry in entries},
        "privileged_input": {entry.label: entry.privileged_input for entry in entries if entry.privileged_input},
        "inactive_sub_scores": scenes.inactive_sub_scores(),
    }


def _write_summary(folder: Path, work: OneStageWork, stamp: dict[str, Any]) -> tuple[dict[str, Any], list[Failure]]:
    """Write the scores of each planner, failures.json, provenance.json and, last of all, summary.json."""
    planners, failures, count, results = {}, list[Failure](), 0, list[pa.Table]()
    for entry in work.records.entries:
        rows = pa.concat_tables(
            [read_record(path, RECORD).filter(pc.field("planner") == entry.label) for path in work.records.paths()]
        )
        table, count = one_stage(_scored(rows)), rows.num_rows
        results.append(_result_rows(rows, table))
        own = {**stamp, "planner": {"label": entry.label, "spec": entry.spec}}
        write_rows(folder / SCORES / f"{safe_name(entry.label)}.csv", one_stage_rows(table), own)
        failures += _recorded_failures(rows)
        planners[entry.label] = _planner_summary(table, rows)
    whole = pa.concat_tables(results)
    write_parquet(folder / RESULTS, whole)
    write_failures(folder, failures)
    write_atomically(folder / PROVENANCE, to_json(stamp))
    summary = {
        "stages": 1,
        "scenes": count,
        "planners": planners,
        "inactive_sub_scores": stamp["inactive_sub_scores"],
        "differences": [],
        **_comparisons(whole, list(planners), work.scenes.source_of),
    }
    write_atomically(folder / SUMMARY, to_json(summary))
    return summary, failures


def _result_rows(rows: pa.Table, table: AggregatedScores) -> pa.Table:
    """Return a planner's records as rows of the results: each scene is a group of its own."""
    tokens, count = rows["token"].to_pylist(), rows.num_rows
    of_token = dict(zip(table.tokens, table.values, strict=True))
    values = np.stack([of_token[token] for token in tokens])
    own = {
        "group_token": tokens,
        "stage": [1] * count,
        "frame": ["now"] * count,
        "index": [-1] * count,
        "two_frame_extended_comfort": values[:, COLUMNS.index("two_frame_extended_comfort")],
        "score": values[:, COLUMNS.index("score")],
        "weight": [1.0] * count,
    }
    columns = {name: own.get(name, rows[name] if name not in own else None) for name in SCHEMA.names}
    return pa.Table.from_pydict(columns, schema=SCHEMA)


def _comparisons(rows: pa.Table, labels: Sequence[str], source_of: Callable[[str], str]) -> dict[str, Any]:
    """Return the parts of the summary that compare planners, and scenes of different logs and sources."""
    of_planner = {label: rows.filter(pc.field("planner") == label) for label in labels}
    logs = of_planner[labels[0]]["log"].to_pylist()
    return comparison_summary({label: one["score"].to_numpy() for label, one in of_planner.items()}, logs, source_of)


def _scored(rows: pa.Table) -> ScoredScenes:
    def columns(names: Sequence[str]) -> np.ndarray:
        return np.column_stack([rows[name].to_numpy() for name in names])

    states = rows["states"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return ScoredScenes(
        tokens=tuple(rows["token"].to_pylist()),
        logs=tuple(rows["log"].to_pylist()),
        times_us=rows["time_us"].to_numpy(),
        metrics=columns(METRIC_NAMES),
        states=states.reshape(rows.num_rows, STEPS, len(State)),
        starts=columns(("start_x", "start_y")),
        ends=columns(("end_x", "end_y")),
    )


def _planner_summary(table: AggregatedScores, rows: pa.Table) -> dict[str, Any]:
    return {
        "score": table.score,
        "stage_one": {
            "score": table.score,
            **dict(zip(METRICS, table.combined[: COLUMNS.index("score")].tolist(), strict=True)),
        },
        "failures": sum(bool(error) for error in rows["error"].to_pylist()),
        "seconds_per_plan": float(np.mean(rows["plan_seconds"].to_numpy())),
    }


def _recorded_failures(rows: pa.Table) -> Iterator[Failure]:
    failed = rows.select(["log", "token", "planner", "error"]).filter(pc.field("error") != "")
    for row in failed.to_pylist():
        yield Failure(row["log"], row["token"], row["planner"], row["error"].splitlines()[-1], row["error"])
