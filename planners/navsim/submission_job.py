"""The job that runs a planner in all scenes of a NAVSIM split, with a record for every 64 scenes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import CORE_PACKAGES, Failure, PartResult, Workers, job_config
from swerve.data.jobs import ProgressCallback as PartReport
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
from swerve.eval.submission.submission import FILE_NAME, Predictions, SubmittedTrajectory
from swerve.planners.navsim.predict import PredictionFailure, SceneSet, check_allowed, predict

SCENES_PER_PART: Final = 64
# The poses are rows (x, y, heading) one after another.
RECORD: Final = pa.schema(
    [
        ("planner", pa.string()),
        ("token", pa.string()),
        ("poses", pa.list_(pa.float64())),
        ("dtype", pa.string()),
        ("horizon", pa.float64()),
        ("interval", pa.float64()),
        ("error", pa.string()),
    ]
)


def predict_all(
    planner: PlannerSpec,
    load: Loader,
    scenes: SceneSet,
    tokens: Mapping[str, Sequence[str]],
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
    scenes_per_part: int = SCENES_PER_PART,
) -> tuple[dict[str, Predictions], list[PredictionFailure]]:
    """Return a planner's trajectories by stage, and the scenes in which it failed.

    Resumes an interrupted run; scenes in which the planner failed are tried again. An earlier run's
    submission is removed.

    Args:
        planner: the planner.
        load: creates it from its spec, in every worker; must be picklable.
        scenes: where the scenes are.
        tokens: which scenes, by stage (the key of the submission).
        folder: for the records; new, empty, or of the same scenes.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        scenes_per_part: number of scenes of a record.

    Raises:
        SwerveError: the planner needs what submissions do not allow, the folder holds something else or cannot be
            written, or scenes could not be read: then only failures.json is written.
        ArrayPartDone: this run of an array made its part.
    """
    check_folder(folder)
    counts = {stage: -(-len(wanted) // scenes_per_part) for stage, wanted in tokens.items()}
    layout = replace(LAYOUT, kind="submit navsim")
    records = PlannerRecords(folder / JOB, counts, (planner,), load, layout)
    check_allowed(load(planner.spec))
    work = SubmissionWork(records, scenes, {stage: tuple(wanted) for stage, wanted in tokens.items()}, scenes_per_part)
    digest = hashlib.sha256(json.dumps({stage: list(wanted) for stage, wanted in tokens.items()}).encode())
    config = job_config(
        {"scenes": digest.hexdigest(), "scenes_per_part": scenes_per_part},
        [("navsim", stage) for stage in tokens],
        CORE_PACKAGES,
    )
    found = dict[str, Predictions]()
    failed: list[PredictionFailure] = []

    def collect() -> tuple[dict[str, Any], Sequence[Failure]]:
        found.update({stage: _collected(records, stage, failed) for stage in tokens})
        return {}, ()

    noun = "batches of scenes"
    make_records(records, work, folder, config, RECORD, noun, collect, workers, console, submission=FILE_NAME)
    return found, failed


@dataclass(frozen=True)
class SubmissionWork:
    """Work of the job, sent once to every worker.

    Attributes:
        records: of the planner.
        scenes: where the scenes are.
        tokens: of the scenes, by stage.
        scenes_per_part: number of scenes of a record.
    """

    records: PlannerRecords
    scenes: SceneSet
    tokens: Mapping[str, tuple[str, ...]]
    scenes_per_part: int

    def open(self, log: str, watch: Stopwatch) -> "_OpenedStage":
        """Return a stage. The first call of a worker loads the planner.

        Raises:
            SwerveError: the planner cannot be loaded.
        """
        self.records.load_planners(watch)
        return _OpenedStage(self, log, watch)


@dataclass(frozen=True)
class _OpenedStage:
    """Scenes of a stage, see `swerve.data.jobs.LogHandle`."""

    work: SubmissionWork
    stage: str
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        return self.work.records.chunks[self.stage]

    def make(self, chunk: int, report: PartReport) -> PartResult:
        records, size = self.work.records, self.work.scenes_per_part
        path, tokens = records.path(self.stage, chunk), self.work.tokens[self.stage][chunk * size :][:size]
        ((label, planner),) = records.planners.items()
        with self.watch.measure("reading and planning"):
            found, failed = predict(
                planner, self.work.scenes, tokens, lambda done, count: report(tokens[done - 1], done, done / count)
            )
        rows = [_row(label, token, trajectory) for token, trajectory in found.items()]
        rows += [{"planner": label, "token": one.token, "error": one.reason} for one in failed]
        with self.watch.measure("writing"):
            add_to_record(path, pa.Table.from_pylist(rows, schema=RECORD), records.missing(path), RECORD)
        return PartResult(len(tokens))


def _row(label: str, token: str, trajectory: SubmittedTrajectory) -> dict[str, Any]:
    return {
        "planner": label,
        "token": token,
        "poses": trajectory.poses.ravel().tolist(),
        "dtype": trajectory.poses.dtype.str,
        "horizon": trajectory.horizon,
        "interval": trajectory.interval,
        "error": "",
    }


def _collected(records: PlannerRecords, stage: str, failed: list[PredictionFailure]) -> Predictions:
    """Return the trajectories of a stage; add the scenes in which the planner failed to `failed`."""
    found = dict[str, SubmittedTrajectory]()
    for row in records.rows(stage, RECORD):
        if row["error"]:
            failed.append(PredictionFailure(row["token"], row["error"]))
        else:
            poses = np.array(row["poses"], dtype=row["dtype"]).reshape(-1, 3)
            found[row["token"]] = SubmittedTrajectory(poses, row["horizon"], row["interval"])
    return found
