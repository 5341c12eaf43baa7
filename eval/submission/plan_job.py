"""The job that runs a planner for a submission: a record for every batch of what it plans in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import CORE_PACKAGES, Failure, PartResult, ProgressCallback, Workers, job_config, write_failures
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.evaluate.planner_records import (
    JOB,
    LAYOUT,
    Loader,
    PlannerRecords,
    PlannerSpec,
    check_folder,
    make_records,
)
from swerve.eval.benchmark.evaluate.result_store import add_to_record
from swerve.scenes.planning import Planner

ITEMS_PER_PART: Final = 64
# Returns a row for each item, columns as in `SubmissionKind.columns`, where "error" is empty or says why there is none.
PlanItems = Callable[[Planner, Sequence[Any], ProgressCallback], list[dict[str, Any]]]


@dataclass(frozen=True)
class SubmissionKind:
    """Describes a kind of submission to its job.

    Attributes:
        command: that the job is of.
        source: kind of the source, for the job's description.
        noun: plural name of the items.
        file: name of the submission, of which an earlier one is removed.
        columns: of the records, beside the planner and its error; the first names the item.
    """

    command: str
    source: str
    noun: str
    file: str
    columns: tuple[tuple[str, pa.DataType], ...]

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of the records."""
        return pa.schema([("planner", pa.string()), *self.columns, ("error", pa.string())])


def plan_rows(
    kind: SubmissionKind,
    planner: PlannerSpec,
    load: Loader,
    items: Mapping[str, Sequence[Any]],
    digest: str,
    plan: PlanItems,
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
    items_per_part: int = ITEMS_PER_PART,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a planner by stage, in the order of the items.

    Resumes an interrupted run; parts in which the planner failed are made again.

    Args:
        kind: of the submission.
        planner: the planner.
        load: creates it from its spec, in every worker; must be picklable.
        items: by stage, what it plans in.
        digest: of the items.
        plan: runs the planner; must be picklable.
        folder: for the records; new, empty, or of the same items.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        items_per_part: number of items of a record.

    Raises:
        SwerveError: the folder holds something else or cannot be written, or items could not be read: then only
            failures.json is written.
        ArrayPartDone: this run of an array made its part.
    """
    check_folder(folder)
    counts = {stage: -(-len(wanted) // items_per_part) for stage, wanted in items.items()}
    records = PlannerRecords(folder / JOB, counts, (planner,), load, replace(LAYOUT, kind=kind.command))
    work = PlanWork(records, {stage: tuple(wanted) for stage, wanted in items.items()}, items_per_part, kind, plan)
    stated = {kind.noun: digest, f"{kind.noun}_per_part": items_per_part}
    config = job_config(stated, [(kind.source, stage) for stage in items], CORE_PACKAGES)
    found = dict[str, list[dict[str, Any]]]()

    def collect() -> tuple[dict[str, Any], Sequence[Failure]]:
        found.update({stage: list(records.rows(stage, kind.schema)) for stage in items})
        write_failures(folder, _failures(kind, found))
        return {}, ()

    noun = f"batches of {kind.noun}"
    make_records(records, work, folder, config, kind.schema, noun, collect, workers, console, submission=kind.file)
    return found


def _failures(kind: SubmissionKind, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Failure]:
    """Yield the failures of the planner."""
    name = kind.columns[0][0]
    for stage, own in rows.items():
        for row in own:
            if row["error"]:
                yield Failure(stage, row[name], row["planner"], row["error"].splitlines()[-1], row["error"])


@dataclass(frozen=True)
class PlanWork:
    """Work of the job, sent once to every worker.

    Attributes:
        records: of the planner.
        items: what it plans in, by stage.
        items_per_part: number of items of a record.
        kind: of the submission.
        plan: runs the planner.
    """

    records: PlannerRecords
    items: Mapping[str, tuple[Any, ...]]
    items_per_part: int
    kind: SubmissionKind
    plan: PlanItems

    def open(self, log: str, watch: Stopwatch) -> "_OpenedStage":
        """Return a stage. The first call of a worker loads the planner.

        Raises:
            SwerveError: the planner cannot be loaded.
        """
        self.records.load_planners(watch)
        return _OpenedStage(self, log, watch)


@dataclass(frozen=True)
class _OpenedStage:
    """Items of a stage, see `swerve.data.jobs.LogHandle`."""

    work: PlanWork
    stage: str
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        return self.work.records.chunks[self.stage]

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        work, records, size = self.work, self.work.records, self.work.items_per_part
        path, own = records.path(self.stage, chunk), work.items[self.stage][chunk * size :][:size]
        ((label, planner),) = records.planners.items()
        with self.watch.measure("reading and planning"):
            rows = [{"planner": label, **row} for row in work.plan(planner, own, report)]
        with self.watch.measure("writing"):
            schema = work.kind.schema
            add_to_record(path, pa.Table.from_pylist(rows, schema=schema), records.missing(path), schema)
        return PartResult(len(own))
