"""Trajectories in a NAVSIM split for a submission, see `swerve.eval.submission.plan_job`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import ProgressCallback, Workers
from swerve.eval.benchmark.evaluate.observations import check_available, declared_cameras, uses_images
from swerve.eval.benchmark.evaluate.planner_records import Loader, PlannerSpec
from swerve.eval.benchmark.navsim_scenes import calibrated_cameras
from swerve.eval.submission.plan_job import ITEMS_PER_PART, SubmissionKind, plan_rows
from swerve.eval.submission.submission import FILE_NAME, Predictions, SubmittedTrajectory
from swerve.planners.navsim.predict import PredictionFailure, SceneSet, check_allowed, predict
from swerve.scenes.planning import Planner

# The poses are rows (x, y, heading) one after another.
_COLUMNS: Final = (
    ("token", pa.string()),
    ("poses", pa.list_(pa.float64())),
    ("dtype", pa.string()),
    ("horizon", pa.float64()),
    ("interval", pa.float64()),
)
_KIND: Final = SubmissionKind("submit navsim", "navsim", "scenes", FILE_NAME, _COLUMNS)


def predict_all(
    planner: PlannerSpec,
    load: Loader,
    scenes: SceneSet,
    tokens: Mapping[str, Sequence[str]],
    folder: Path,
    workers: Workers = None,
    console: Console | None = None,
    scenes_per_part: int = ITEMS_PER_PART,
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
    loaded = load(planner.spec)
    check_allowed(loaded)
    _check_cameras(loaded, scenes, tokens)
    digest = hashlib.sha256(json.dumps({stage: list(wanted) for stage, wanted in tokens.items()}).encode()).hexdigest()
    plan = partial(_trajectories, scenes)
    rows = plan_rows(_KIND, planner, load, tokens, digest, plan, folder, workers, console, scenes_per_part)
    found = dict[str, Predictions]()
    for stage, own in rows.items():
        found[stage] = {row["token"]: _trajectory(row) for row in own if not row["error"]}
    return found, [
        PredictionFailure(row["token"], row["error"]) for own in rows.values() for row in own if row["error"]
    ]


def _check_cameras(planner: Planner, scenes: SceneSet, tokens: Mapping[str, Sequence[str]]) -> None:
    """Check that the first scene has the cameras that a planner asks for, by name or role; their images are not read.

    Raises:
        SwerveError: it has not.
    """
    if getattr(planner, "recording", False) or not uses_images(planner):
        return
    first = scenes.load(next(token for wanted in tokens.values() for token in wanted))
    rig, lacking = calibrated_cameras(first), "the split's scenes have no cameras. Plan without"
    check_available(partial(declared_cameras, planner, rig, first.token, lacking))


def _trajectories(
    scenes: SceneSet, planner: Planner, tokens: Sequence[str], report: ProgressCallback
) -> list[dict[str, Any]]:
    """Return a row for each scene, those in which the planner failed last."""
    found, failed = predict(planner, scenes, tokens, lambda done, count: report(tokens[done - 1], done, done / count))
    rows = [_row(token, trajectory) for token, trajectory in found.items()]
    return rows + [{"token": one.token, "error": one.reason} for one in failed]


def _row(token: str, trajectory: SubmittedTrajectory) -> dict[str, Any]:
    return {
        "token": token,
        "poses": trajectory.poses.ravel().tolist(),
        "dtype": trajectory.poses.dtype.str,
        "horizon": trajectory.horizon,
        "interval": trajectory.interval,
        "error": "",
    }


def _trajectory(row: Mapping[str, Any]) -> SubmittedTrajectory:
    poses = np.array(row["poses"], dtype=row["dtype"]).reshape(-1, 3)
    return SubmittedTrajectory(poses, row["horizon"], row["interval"])
