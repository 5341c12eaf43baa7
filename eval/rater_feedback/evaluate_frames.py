"""The job that evaluates planners on rated WOD-E2E frames: a record per frame, then the tables (docs/wod_e2e.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import (
    CORE_PACKAGES,
    Failure,
    PartResult,
    Workers,
    job_config,
)
from swerve.data.jobs import ProgressCallback as PartReport
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.wod_e2e.frame import E2EFrame
from swerve.data.sources.wod_e2e.frame_index import FrameEntry, digest_of
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.benchmark.evaluate.observations import check_available
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
from swerve.eval.rater_feedback.displacement import average_displacements
from swerve.eval.rater_feedback.frame_planning import FramePlan, initial_speed, plan_frames, required_cameras
from swerve.eval.rater_feedback.frame_results import RECORD, write_results
from swerve.eval.rater_feedback.rater_feedback_score import padded_ratings, rater_feedback

# A failed frame scores this.
FAILED_SCORE: Final = 0.0


def evaluate_frames(
    source: WodE2eSource,
    frames: Sequence[FrameEntry],
    clusters: Sequence[str] | None,
    entries: Sequence[PlannerSpec],
    load: Loader,
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Run planners on rated frames, and write their rater feedback scores and displacement errors.

    Resumes an interrupted evaluation; planners already recorded in the folder are not run again.

    Args:
        source: the data.
        frames: the rated frames.
        clusters: scenario cluster of each frame; None if they are not known.
        entries: the planners.
        load: creates a planner from its spec, in every worker; must be picklable.
        folder: for the results; new, empty, or of an evaluation of the same frames.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: there is no planner or two of one label, a planner needs what the frames do not have, the folder is
            another evaluation's or cannot be written, or frames could not be read: then only failures.json is written.
    """
    check_labels([entry.label for entry in entries])
    check_folder(folder)
    records = PlannerRecords(folder / JOB, {frame.name: 1 for frame in frames}, tuple(entries), load)
    work = FramesWork(records, source, tuple(frames))
    work.check_planners()
    logs = [("wod_e2e", name) for name in records.chunks]
    config = job_config({"frames": digest_of(frames), "metric": "rfs"}, logs, CORE_PACKAGES)

    def write() -> tuple[dict[str, Any], Sequence[Failure]]:
        return write_results(folder, records.paths(), entries, clusters)

    return make_records(records, work, folder, config, RECORD, "frames", write, workers, console, single=True)


@dataclass(frozen=True)
class FramesWork:
    """Work of the job, sent once to every worker.

    Attributes:
        records: of the planners.
        source: the data.
        frames: the rated frames.
    """

    records: PlannerRecords
    source: WodE2eSource
    frames: tuple[FrameEntry, ...]

    def check_planners(self) -> None:
        """Check that the first frame has what the planners need.

        Raises:
            SwerveError: it has not.
        """
        first = self.source.frame(self.frames[0])
        for planner in self.records.load_anew():
            check_available(partial(required_cameras, planner, first))

    def open(self, log: str, watch: Stopwatch) -> "_OpenedFrame":
        """Return the one part of a frame. The first call of a worker loads the planners.

        Raises:
            SwerveError: a planner cannot be loaded.
        """
        self.records.load_planners(watch)
        (entry,) = (frame for frame in self.frames if frame.name == log)
        return _OpenedFrame(self, entry, watch)


@dataclass(frozen=True)
class _OpenedFrame:
    """A frame, see `swerve.data.jobs.LogHandle`."""

    work: FramesWork
    entry: FrameEntry
    watch: Stopwatch
    chunks: int = 1

    def make(self, chunk: int, report: PartReport) -> PartResult:
        records = self.work.records
        path = records.path(self.entry.name, chunk)
        missing = records.missing(path)
        with self.watch.measure("reading"):
            frame = self.work.source.frame(self.entry)
        rows, failures = [], []
        with self.watch.measure("planning and scoring"):
            for done, label in enumerate(missing):
                report(frame.name, done, done / len(missing))
                (plan,) = plan_frames(records.planners[label], [frame])
                rows.append(scored_row(label, frame, plan))
                if plan.error:
                    failures.append(Failure(frame.sequence, frame.name, label, plan.error.splitlines()[-1]))
        with self.watch.measure("writing"):
            add_to_record(path, pa.Table.from_pylist(rows, schema=RECORD), missing, RECORD)
        return PartResult(len(missing), tuple(failures))


def scored_row(label: str, frame: E2EFrame, plan: FramePlan) -> dict[str, Any]:
    """Return the row of a planner in a rated frame, columns as in `RECORD`; a failed one scores 0.

    Raises:
        SwerveError: the frame has no ratings.
    """
    row = {
        "planner": label,
        "frame": frame.name,
        "sequence": frame.sequence,
        "initial_speed": initial_speed(frame),
        "command": frame.command.name.lower(),
        "horizon": plan.horizon,
        "error": plan.error,
        "plan_seconds": plan.seconds,
    }
    if plan.waypoints is None:
        return {**row, "rfs": FAILED_SCORE, "inside": False, "ade_3s": None, "ade_5s": None, "x": [], "y": []}
    rated, labels = padded_ratings(frame.rated.trajectories, frame.rated.scores)
    found = rater_feedback(
        plan.waypoints[None, None], np.ones((1, 1)), rated[None], labels[None], np.array([row["initial_speed"]])
    )
    near, far = _displacements(plan.waypoints, frame)
    scores = {"rfs": float(found.scores[0]), "inside": bool(found.inside[0, 0]), "ade_3s": near, "ade_5s": far}
    return {**row, **scores, "x": plan.waypoints[:, 0].tolist(), "y": plan.waypoints[:, 1].tolist()}


def _displacements(waypoints: np.ndarray, frame: E2EFrame) -> tuple[float | None, float | None]:
    """Return the displacement errors; None where the future is hidden."""
    if not len(frame.future):
        return None, None
    near, far = average_displacements(waypoints, frame.future[:, :2]).tolist()
    return near, far
