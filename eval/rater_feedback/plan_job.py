"""Plans in WOD-E2E frames for a submission, see `swerve.eval.submission.plan_job`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from rich.console import Console

from swerve.data.jobs import ProgressCallback, Workers
from swerve.data.sources.wod_e2e.frame_index import FrameEntry, digest_of
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.benchmark.evaluate.planner_records import Loader, PlannerSpec
from swerve.eval.rater_feedback.frame_planning import FramePlan, plan_frames
from swerve.eval.submission.plan_job import ITEMS_PER_PART, SubmissionKind, plan_rows
from swerve.eval.submission.wod_submission import FILE_NAME
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner

# Frames whose images are in memory at once, and the planner's largest batch.
_BATCH: Final = 16
_STAGE: Final = "frames"
_COLUMNS: Final = (("frame", pa.string()), ("x", pa.list_(pa.float64())), ("y", pa.list_(pa.float64())))
_KIND: Final = SubmissionKind("submit wod", "wod_e2e", "frames", FILE_NAME, _COLUMNS)


def plan_all(
    planner: PlannerSpec,
    load: Loader,
    source: WodE2eSource,
    entries: Sequence[FrameEntry],
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
    frames_per_part: int = ITEMS_PER_PART,
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
    if getattr(load(planner.spec), "privileged", False):
        raise SwerveError(f"planner {planner.label}: needs the future, which nobody has in the test split")
    plan, items = partial(_plans, source), {_STAGE: entries}
    digest = digest_of(entries)
    rows = plan_rows(_KIND, planner, load, items, digest, plan, folder, workers, console, frames_per_part)[_STAGE]
    found = {row["frame"]: np.column_stack([row["x"], row["y"]]) for row in rows if not row["error"]}
    return found, {row["frame"]: row["error"] for row in rows if row["error"]}


def _plans(
    source: WodE2eSource, planner: Planner, entries: Sequence[FrameEntry], report: ProgressCallback
) -> list[dict[str, Any]]:
    """Return a row for each frame."""
    rows = list[dict[str, Any]]()
    for first in range(0, len(entries), _BATCH):
        report(entries[first].name, first, first / len(entries))
        frames = [source.frame(entry) for entry in entries[first : first + _BATCH]]
        rows += [_row(frame.name, plan) for frame, plan in zip(frames, plan_frames(planner, frames), strict=True)]
    return rows


def _row(frame: str, plan: FramePlan) -> dict[str, Any]:
    where = np.zeros((0, 2)) if plan.waypoints is None else plan.waypoints
    x, y = where.T.tolist()
    return {"frame": frame, "x": x, "y": y, "error": plan.error}
