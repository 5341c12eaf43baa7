"""Records of a study: per scene group the results of every planner, and all scene groups stacked into arrays.

They hold everything that the measures and their variants need, so that none of them plans or simulates again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.storage.checked_npz import encode_npz, read_npz
from swerve.scenes import LogError, SwerveError


@dataclass(frozen=True)
class StudyRecord:
    """Results of all planners on one scene group. Axes of size 2 are a scene and the one 0.5 s before it.

    Attributes:
        token: of its current stage-one scene.
        log: name of its log.
        planners: names of the planners, in the order of the rows.
        stage_one: filtered sub-scores of the stage-one scenes, columns as in Metric.
        stage_one_raw: the same without the human filter.
        comfort_one: extended comfort of the stage-one pair.
        stage_two: sub-scores of the follow-up scenes.
        comfort_two: extended comfort of their pairs.
        ends: ends of the plans of the stage-one scenes: rear axle (x, y), heading, speed; world.
        starts: starts of the follow-up scenes, the same columns.
        open_loop: columns as in measures.OPEN_LOOP, of the current stage-one scene.
        references: names of the closed loops, see StudyOptions.
        closed_loop: scores of the rollouts from the current stage-one scene, a column per closed loop.
        closed_loop_metrics: their sub-scores, columns as `rollout.metric_names` of the closed loop; beyond these, NaN.
        errors: each planner's first error message; empty if it did not fail.
    """

    token: str
    log: str
    planners: tuple[str, ...]
    stage_one: Float[np.ndarray, "p 2 8"]
    stage_one_raw: Float[np.ndarray, "p 2 8"]
    comfort_one: Float[np.ndarray, "p"]
    stage_two: Float[np.ndarray, "p k 2 8"]
    comfort_two: Float[np.ndarray, "p k"]
    ends: Float[np.ndarray, "p 2 4"]
    starts: Float[np.ndarray, "k 2 4"]
    open_loop: Float[np.ndarray, "p 4"]
    references: tuple[str, ...]
    closed_loop: Float[np.ndarray, "p q"]
    closed_loop_metrics: Float[np.ndarray, "p q 10"]
    errors: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Serialize as npz; equal records give equal bytes."""
        return encode_npz({item.name: np.asarray(getattr(self, item.name)) for item in fields(self)})

    @classmethod
    def from_bytes(cls, content: bytes) -> "StudyRecord":
        """Deserialize a record of `to_bytes`.

        Raises:
            SwerveError: it is not one.
        """
        try:
            values: dict[str, Any] = dict(read_npz(content, "record", [item.name for item in fields(cls)]))
        except LogError as error:
            raise SwerveError(f"not a record of a study ({error}): delete the study's folder and run again") from error
        _check_record(values)
        values.update({name: str(values[name]) for name in ("token", "log")})
        values.update({name: tuple(map(str, values[name])) for name in ("planners", "references", "errors")})
        return cls(**values)


def _check_record(values: dict[str, np.ndarray]) -> None:
    """Check ranks and types of a record's arrays.

    Raises:
        SwerveError: one is of another rank than its field says, or not of text or numbers as it says.
    """
    texts, ranks = {"token": 0, "log": 0, "planners": 1, "references": 1, "errors": 1}, dict[str, int]()
    for item in fields(StudyRecord):
        ranks[item.name] = texts.get(item.name, _RANKS.get(item.name, 1))
    for name, array in values.items():
        if array.ndim != ranks[name] or (array.dtype.kind == "U") != (name in texts):
            raise SwerveError(
                f"not a record of a study ({name} is of {array.dtype} and rank {array.ndim}): delete the study's "
                "folder and run again"
            )


_RANKS = {
    **{"stage_one": 3, "stage_one_raw": 3, "stage_two": 4, "comfort_two": 2, "ends": 3, "starts": 3},
    **{"open_loop": 2, "closed_loop": 2, "closed_loop_metrics": 3},
}


@dataclass(frozen=True)
class Study:
    """Results of all planners on all scene groups: arrays of planners x scene groups x ...; StudyRecords, stacked.

    The first of the references is the headline. If a scene group has fewer follow-up pairs than another, `present` is
    False and the values are 0.
    """

    planners: tuple[str, ...]
    families: tuple[str, ...]
    tokens: tuple[str, ...]
    logs: tuple[str, ...]
    stage_one: Float[np.ndarray, "p c 2 8"]
    stage_one_raw: Float[np.ndarray, "p c 2 8"]
    comfort_one: Float[np.ndarray, "p c"]
    stage_two: Float[np.ndarray, "p c k 2 8"]
    comfort_two: Float[np.ndarray, "p c k"]
    present: Bool[np.ndarray, "c k"]
    ends: Float[np.ndarray, "p c 2 4"]
    starts: Float[np.ndarray, "c k 2 4"]
    open_loop: Float[np.ndarray, "p c 4"]
    references: tuple[str, ...]
    closed_loop: Float[np.ndarray, "p c q"]
    closed_loop_metrics: Float[np.ndarray, "p c q 10"]

    @property
    def headline(self) -> str:
        """Return the name of the closed loop that the findings are about."""
        return self.references[0]

    def closed_loop_of(self, reference: str) -> Float[np.ndarray, "p c"]:
        """Return the scores in a closed loop."""
        return self.closed_loop[..., self.references.index(reference)]


def stack(records: Sequence[StudyRecord], families: Sequence[str]) -> tuple[Study, tuple[str, ...]]:
    """Stack all scene groups into a study, without the planners that failed in any scene.

    Args:
        records: of the same planners.
        families: of the planners.

    Returns:
        The study, and the names of the planners left out.

    Raises:
        SwerveError: there are no records, they are of different planners or closed loops, or fewer than three planners
            remain.
    """
    if not records:
        raise SwerveError("no scene group of the benchmark was finished: there is nothing to correlate")
    names = records[0].planners
    if any(record.planners != names for record in records) or len(families) != len(names):
        raise SwerveError("the records are of different planners: delete the study's folder and run again")
    if any(record.references != records[0].references for record in records):
        raise SwerveError("the records are of different closed loops: delete the study's folder and run again")
    failed = np.array([[bool(error) for error in record.errors] for record in records]).any(axis=0)
    if (~failed).sum() < 3:
        raise SwerveError(f"{(~failed).sum()} of {len(names)} planners finished every scene: a study needs three")
    rows, width = np.flatnonzero(~failed), max(record.starts.shape[0] for record in records)

    def stacked(name: str, padded: int | None = None, of_planners: bool = True) -> Float[np.ndarray, "..."]:
        parts = [np.asarray(getattr(record, name)) for record in records]
        if padded is not None:
            parts = [_padded(part, padded, width) for part in parts]
        return np.stack([part[rows] for part in parts], axis=1) if of_planners else np.stack(parts)

    study = Study(
        planners=tuple(names[row] for row in rows),
        families=tuple(families[row] for row in rows),
        tokens=tuple(record.token for record in records),
        logs=tuple(record.log for record in records),
        stage_one=stacked("stage_one"),
        stage_one_raw=stacked("stage_one_raw"),
        comfort_one=stacked("comfort_one"),
        stage_two=stacked("stage_two", padded=1),
        comfort_two=stacked("comfort_two", padded=1),
        present=np.arange(width) < np.array([record.starts.shape[0] for record in records])[:, None],
        ends=stacked("ends"),
        starts=stacked("starts", padded=0, of_planners=False),
        open_loop=stacked("open_loop"),
        references=records[0].references,
        closed_loop=stacked("closed_loop"),
        closed_loop_metrics=stacked("closed_loop_metrics"),
    )
    return study, tuple(names[row] for row in np.flatnonzero(failed))


def _padded(values: Float[np.ndarray, "..."], axis: int, width: int) -> Float[np.ndarray, "..."]:
    """Pad the values with zeros to a width along one axis."""
    missing = [(0, width - size if index == axis else 0) for index, size in enumerate(values.shape)]
    return np.pad(values, missing)
