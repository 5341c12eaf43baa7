"""Records of planners in the parts of an evaluation: which are missing, and the job that makes them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import (
    Failure,
    FolderLayout,
    JobSpec,
    RunResult,
    Workers,
    open_job,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs.execution import Execution
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import (
    make_folder,
    os_errors_as_swerve_errors,
    remove_file,
    remove_leftovers,
    safe_name,
    to_json,
    write_atomically,
)
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.evaluation_summary import remove_summary
from swerve.eval.benchmark.evaluate.result_store import (
    is_record,
    read_record,
    recorded_planners,
    remove_damaged_records,
    results_path,
)
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner
from swerve.scenes.printable import sentence

# Subfolder of the records, and its file with the timing of the last run.
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
        privileged_input: what it is told that no car knows: "recorded drive", "simulator", or nothing.
    """

    label: str
    spec: str
    identity: str
    planner: str = ""
    views: ViewKind | None = None
    privileged_input: str = ""


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


@dataclass(frozen=True)
class PlannerRecords:
    """Records of planners, one for each part of each log.

    Attributes:
        folder: of the records.
        chunks: number of parts by log.
        entries: the planners.
        load: creates a planner from its spec.
        layout: of the folder; its kind names the command.
    """

    folder: Path
    chunks: Mapping[str, int]
    entries: tuple[PlannerSpec, ...]
    load: Loader
    layout: FolderLayout = LAYOUT

    @cached_property
    def planners(self) -> dict[str, Planner]:
        """Load the planners by label, once in each worker."""
        return {entry.label: self.load(entry.spec) for entry in self.entries}

    def load_planners(self, watch: Stopwatch) -> None:
        """Load the planners in the first call of a worker.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        with watch.measure("loading planners"):
            _ = self.planners

    def load_anew(self) -> list[Planner]:
        """Load the planners without keeping them, so that they are not sent to the workers.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        return [self.load(entry.spec) for entry in self.entries]

    def path(self, log: str, chunk: int) -> Path:
        """Return the path of a part's record."""
        return results_path(self.folder, log, chunk)

    def paths(self) -> list[Path]:
        """Return the paths of all records."""
        return [self.path(log, chunk) for log, count in self.chunks.items() for chunk in range(count)]

    def finished(self) -> dict[str, tuple[set[int], int]]:
        """Return by log the numbers of the parts evaluated for every planner, and the total."""
        finished = {}
        for log, count in self.chunks.items():
            if done := {chunk for chunk in range(count) if not self.missing(self.path(log, chunk))}:
                finished[log] = done, count
        return finished

    def rows(self, log: str, schema: pa.Schema) -> Iterator[dict[str, Any]]:
        """Yield the rows of these planners, not of others that have been in the folder, in the order of the parts.

        Raises:
            SwerveError: a record is missing or damaged.
        """
        labels = {entry.label for entry in self.entries}
        for chunk in range(self.chunks[log]):
            rows = read_record(self.path(log, chunk), schema).to_pylist()
            yield from (row for row in rows if row["planner"] in labels)

    def missing(self, record: Path) -> dict[str, str]:
        """Return by label the identities of the planners that a record lacks in their current version."""
        known = recorded_planners(record)
        return {entry.label: entry.identity for entry in self.entries if known.get(entry.label) != entry.identity}


def make_records(
    records: PlannerRecords,
    work: JobSpec,
    folder: Path,
    config: dict[str, Any],
    schema: pa.Schema,
    noun: str,
    write: Callable[[], tuple[dict[str, Any], Sequence[Failure]]],
    workers: Workers = None,
    console: Console | None = None,
    single: bool = False,
    submission: str = "",
) -> Evaluation:
    """Run the job that makes the missing records, and write the results.

    Args:
        records: the records.
        work: makes them.
        folder: of the results.
        config: see `job_config`.
        schema: of the records; others are removed, and made again.
        noun: what a part holds, in the plural.
        write: writes the results, and returns the summary and the planners' failures.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        single: see `run_work`.
        submission: name of the submission that is made of the records, if one is. That of an earlier run is removed,
            and records with an error of a planner are made again; their schema has a column "error".

    Raises:
        SwerveError: the folder is another evaluation's or cannot be written, or parts could not be evaluated: then only
            failures.json is written.
        ArrayPartDone: this run of an array made its part.
    """
    with open_job(records.folder, config, records.layout, workers, console), os_errors_as_swerve_errors(folder):
        if Execution.of(workers).part is None:
            remove_leftovers(folder)
        remove_summary(folder)
        report_damaged(console, remove_damaged_records(records.folder, schema))
        if submission:
            remove_file(folder / submission)
            _remove_failed(records, schema, Execution.of(workers), single)
        logs, done = tuple(records.chunks), records.finished()
        outcome = run_work(work, records.folder, logs, done, "plans", workers, console, single=single)
        _require_all(records, folder, outcome, noun)
        summary, failures = write()
        write_atomically(records.folder / TIMING, to_json(outcome.timing))
    return Evaluation(summary, tuple(failures), outcome.timing)


def _remove_failed(records: PlannerRecords, schema: pa.Schema, execution: Execution, single: bool) -> None:
    """Remove the records with an error of the planners that this run makes, so that what they hold is tried again.

    A run of an array leaves those of the other runs, which may have ended; and a run that completes an array, all.
    """
    if execution.finish:
        return
    owns = execution.part.owns(tuple(records.chunks), single) if execution.part else lambda _log, _chunk: True
    labels = {entry.label for entry in records.entries}
    for log, count in records.chunks.items():
        for path in (records.path(log, chunk) for chunk in range(count) if owns(log, chunk)):
            if is_record(path, schema) and any(
                row["error"] for row in read_record(path, schema).to_pylist() if row["planner"] in labels
            ):
                remove_file(path)


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
    if not (folder / JOB).is_dir() and (others := sorted(folder.iterdir())):
        raise SwerveError(f"{folder} is not empty (it holds {others[0].name}): choose another folder")


def _require_all(records: PlannerRecords, folder: Path, outcome: RunResult, noun: str) -> None:
    """Check that all parts were evaluated.

    Raises:
        SwerveError: one could not be.
    """
    paths = records.paths()
    if count := sum(bool(records.missing(path)) for path in paths):
        write_failures(folder, outcome.failures)
        first = outcome.failures[0]
        raise SwerveError(
            f"{count} of {len(paths)} {noun} could not be evaluated, the first: {first.where}: "
            f"{sentence(first.reason)} There are no results; see {folder / 'failures.json'}. Fix it and run the same "
            "command again to resume"
        )
