"""The job that runs a planner in WOD-E2E frames for a submission: a record for every 64 frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from rich.console import Console

from swerve.data.jobs import CORE_PACKAGES, Failure, PartResult, Workers, job_config
from swerve.data.jobs import ProgressCallback as PartReport
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.wod_e2e.frame_index import FrameEntry, digest_of
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
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
from swerve.eval.rater_feedback.frame_planning import FramePlan, plan_frames
from swerve.eval.submission.wod_submission import FILE_NAME
from swerve.scenes import SwerveError

FRAMES_PER_PART: Final = 64
# Frames whose images are in memory at once, and the planner's largest batch.
_BATCH: Final = 16
_STAGE: Final = "frames"
RECORD: Final = pa.schema(
    [
        ("planner", pa.string()),
        ("frame", pa.string()),
        ("x", pa.list_(pa.float64())),
        ("y", pa.list_(pa.float64())),
        ("error", pa.string()),
    ]
)


def plan_all(
    planner: PlannerSpec,
    load: Loader,
    source: WodE2eSource,
    entries: Sequence[FrameEntry],
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
    frames_per_part: int = FRAMES_PER_PART,
) -> tuple[dict[str, Float[np.ndarray, "20 2"]], dict[str, str]]:
    """Return the positions that a planner plans, and its errors, by frame.

    Resumes an interrupted run; frames in which the planner failed are tried again. An earlier run's
    submission is removed.

    Args:
        planner: the planner.
        load: creates it from its spec, in every worker; must be picklable.
        source: the data.
        entries: the frames.
        folder: for the records; new, empty, or of the same frames.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        frames_per_part: number of frames of a record.

    Raises:
        SwerveError: the planner needs the future, the folder holds something else or cannot be written, or frames could
            not be read: then only failures.json is written.
        ArrayPartDone: this run of an array made its part.
    """
    check_folder(folder)
    if getattr(load(planner.spec), "privileged", False):
        raise SwerveError(f"planner {planner.label}: needs the future, which nobody has in the test split")
    counts = {_STAGE: -(-len(entries) // frames_per_part)}
    records = PlannerRecords(folder / JOB, counts, (planner,), load, replace(LAYOUT, kind="submit wod"))
    work = PlanWork(records, source, tuple(entries), frames_per_part)
    stated = {"frames": digest_of(entries), "frames_per_part": frames_per_part}
    found, failed = dict[str, Float[np.ndarray, "20 2"]](), dict[str, str]()

    def collect() -> tuple[dict[str, Any], Sequence[Failure]]:
        for row in records.rows(_STAGE, RECORD):
            if row["error"]:
                failed[row["frame"]] = row["error"]
            else:
                found[row["frame"]] = np.column_stack([row["x"], row["y"]])
        return {}, ()

    config = job_config(stated, [("wod_e2e", _STAGE)], CORE_PACKAGES)
    noun = "batches of frames"
    make_records(records, work, folder, config, RECORD, noun, collect, workers, console, submission=FILE_NAME)
    return found, failed


@dataclass(frozen=True)
class PlanWork:
    """Work of the job, sent once to every worker.

    Attributes:
        records: of the planner.
        source: the data.
        entries: the frames.
        frames_per_part: number of frames of a record.
    """

    records: PlannerRecords
    source: WodE2eSource
    entries: tuple[FrameEntry, ...]
    frames_per_part: int

    def open(self, log: str, watch: Stopwatch) -> "_OpenedFrames":
        """Return the frames. The first call of a worker loads the planner.

        Raises:
            SwerveError: the planner cannot be loaded.
        """
        self.records.load_planners(watch)
        return _OpenedFrames(self, log, watch)


@dataclass(frozen=True)
class _OpenedFrames:
    """All frames, see `swerve.data.jobs.LogHandle`."""

    work: PlanWork
    log: str
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        return self.work.records.chunks[self.log]

    def make(self, chunk: int, report: PartReport) -> PartResult:
        records, size = self.work.records, self.work.frames_per_part
        path, own = records.path(self.log, chunk), self.work.entries[chunk * size :][:size]
        ((label, planner),) = records.planners.items()
        rows = list[dict[str, Any]]()
        for first in range(0, len(own), _BATCH):
            report(own[first].name, first, first / len(own))
            with self.watch.measure("reading"):
                frames = [self.work.source.frame(entry) for entry in own[first : first + _BATCH]]
            with self.watch.measure("planning"):
                plans = plan_frames(planner, frames)
            rows += [_row(label, frame.name, plan) for frame, plan in zip(frames, plans, strict=True)]
        with self.watch.measure("writing"):
            add_to_record(path, pa.Table.from_pylist(rows, schema=RECORD), records.missing(path), RECORD)
        return PartResult(len(own))


def _row(label: str, frame: str, plan: FramePlan) -> dict[str, Any]:
    where = np.zeros((0, 2)) if plan.waypoints is None else plan.waypoints
    x, y = where.T.tolist()
    return {"planner": label, "frame": frame, "x": x, "y": y, "error": plan.error}
