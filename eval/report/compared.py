"""Several evaluations of the same scenes, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from swerve.data.storage.checked_json import anything, mapping_of, read_json
from swerve.eval.benchmark.evaluate.planner_differences import PlannerDifference, planner_differences
from swerve.eval.benchmark.evaluate.results import (
    PROVENANCE,
    OneStageResults,
    Results,
    logs_of,
    read_one_stage_results,
    read_results,
)
from swerve.eval.benchmark.evaluate.view_differences import group_scores
from swerve.eval.report.privileged_inputs import PrivilegedInputs, contenders
from swerve.eval.report.ranking import stage_values
from swerve.eval.report.sentences import LONG
from swerve.eval.report.sub_score_gaps import gap_sentence
from swerve.eval.scoring.aggregate import COLUMNS, aggregate_two_stage
from swerve.scenes import SwerveError

# Parts of the provenance that must be equal for scores to be comparable, as people know them.
_EQUAL: Final = {
    "metric": "metrics",
    "stages": "numbers of stages",
    "traffic": "traffic policies",
    "weighting": "weightings",
}
_HINT: Final = "Evaluate again with equal options"
# With fewer logs than this an interval rests on so little that its width is itself a guess.
FEW_LOGS: Final = 5


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, read from its folder.

    Attributes:
        folder: of the evaluation.
        name: of the folder, unique among those compared.
        results: its results.
    """

    folder: Path
    name: str
    results: Results | OneStageResults

    @property
    def stamp(self) -> Mapping[str, Any]:
        """Return the provenance of its scores."""
        return self.results.provenance


@dataclass(frozen=True)
class ComparedPlanner:
    """A planner of one of the evaluations.

    Attributes:
        label: the planner's, with the name of its evaluation if another evaluation has the same.
        own_label: label in its evaluation.
        evaluated: its evaluation.
        scene_group_scores: score in each common scene group, or each common scene if there is one stage.
        means: by stage, means of the sub-scores over all common scene groups or scenes, columns as in `COLUMNS`.
        failures: number of those, of both stages, without a plan.
    """

    label: str
    own_label: str
    evaluated: Evaluated
    scene_group_scores: Float[np.ndarray, "g"]
    means: Float[np.ndarray, "s 10"]
    failures: int

    @property
    def score(self) -> float:
        """Return the mean score over the common scene groups or scenes."""
        return float(self.scene_group_scores.mean())

    @property
    def privileged_input(self) -> str:
        """Return what it is told that no car knows, see `privileged_input_of`; empty in evaluations of before."""
        return str(self.evaluated.stamp.get("privileged_input", {}).get(self.own_label, ""))


@dataclass(frozen=True)
class Comparison:
    """Planners of several evaluations on the scenes that all evaluations share.

    Attributes:
        planners: the best first.
        tokens: of the common scene groups (their first scene), or scenes.
        logs: log of each.
        left_out: number of scene groups or scenes that are not in every evaluation.
        unit: "scene groups" or "scenes".
        notes: what a reader must know beside the numbers, as sentences.
        differences: of every two planners.
    """

    planners: tuple[ComparedPlanner, ...]
    tokens: tuple[str, ...]
    logs: tuple[str, ...]
    left_out: int
    unit: str
    notes: tuple[str, ...]
    differences: tuple[PlannerDifference, ...]

    @property
    def scores(self) -> dict[str, Float[np.ndarray, "g"]]:
        """Return the scores by planner."""
        return {one.label: one.scene_group_scores for one in self.planners}

    @property
    def known(self) -> PrivilegedInputs:
        """Return what planners are told that no car knows."""
        return {one.label: one.privileged_input for one in self.planners if one.privileged_input}

    @property
    def best(self) -> tuple[ComparedPlanner, ...]:
        """Return the planners, the best first, without those that are told the recorded drive, if two others remain."""
        left = contenders(self.planners, self.known)
        return tuple(left) if len(left) > 1 else self.planners

    def difference(self, first: str, second: str) -> PlannerDifference:
        """Return the difference of two planners, of which the first is the better one."""
        return next(one for one in self.differences if (one.first, one.second) == (first, second))

    def most_different(self, first: str, second: str, count: int) -> list[int]:
        """Return the rows in which two planners differ most, the largest difference first; equal ones are left out."""
        gaps = np.abs(self.scores[first] - self.scores[second])
        rows = np.argsort(-gaps, kind="stable")[:count]
        return [int(row) for row in rows if gaps[row] > 0.0]


def read_evaluations(folders: Sequence[Path]) -> tuple[Evaluated, ...]:
    """Read the results of evaluations.

    Raises:
        SwerveError: a folder has no results, or is given twice.
    """
    resolved = [folder.resolve() for folder in folders]
    if twice := [folder for folder, path in zip(folders, resolved, strict=True) if resolved.count(path) > 1]:
        raise SwerveError(f"{twice[0]}: is given twice. Give evaluations that differ")
    names = _unique_names(resolved)
    return tuple(Evaluated(folder, name, _read_results(folder)) for folder, name in zip(folders, names, strict=True))


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of different paths, as many as tell each from the others."""
    names = []
    for path in paths:
        count = 1
        while sum(other.parts[-count:] == path.parts[-count:] for other in paths) > 1:
            count += 1
        names.append("/".join(path.parts[-count:]))
    return names


def _read_results(folder: Path) -> Results | OneStageResults:
    if not (folder / PROVENANCE).is_file():
        raise SwerveError(f"{folder}: no evaluation: has no {PROVENANCE}. Give folders that swerve evaluate wrote")
    stamp = read_json(folder / PROVENANCE, mapping_of(anything))
    if "rater feedback" in str(stamp.get("metric", "")).lower() or stamp.get("metric") == "rfs":
        raise SwerveError(f"{folder}: rater feedback scores are not compared here; the tables are in {folder}/scores")
    return read_one_stage_results(folder) if stamp.get("stages") == 1 else read_results(folder)


def compare(evaluations: Sequence[Evaluated]) -> Comparison:
    """Compare all planners of several evaluations on the scenes that they share.

    Raises:
        SwerveError: the evaluations are not of the same benchmark, metric, traffic or weighting, share no scene, or
            have fewer than two planners together.
    """
    check_comparable(evaluations)
    scored = [_scored(one) for one in evaluations]
    in_all = set[str].intersection(*(set(one.tokens) for one in scored))
    shared = [token for token in scored[0].tokens if token in in_all]
    if not shared:
        raise SwerveError(f"{evaluations[0].folder}: shares no scene with {evaluations[-1].folder}. {_HINT}")
    log_of = dict(zip(scored[0].tokens, scored[0].logs, strict=True))
    planners = [
        planner
        for one, known in zip(evaluations, scored, strict=True)
        for planner in _planners(one, evaluations, known, shared)
    ]
    if len(planners) < 2:
        raise SwerveError(f"{evaluations[0].folder}: has one planner. Give another evaluation to compare it with")
    ranked = tuple(sorted(planners, key=lambda planner: -planner.score))
    logs = [log_of[token] for token in shared]
    unit = "scenes" if isinstance(evaluations[0].results, OneStageResults) else "scene groups"
    left_out = len({token for one in scored for token in one.tokens}) - len(shared)
    notes = _notes(evaluations, left_out, unit)
    differences = planner_differences({one.label: one.scene_group_scores for one in ranked}, logs)
    return Comparison(ranked, tuple(shared), tuple(logs), left_out, unit, notes, differences)


def check_comparable(evaluations: Sequence[Evaluated]) -> None:
    """Check that scores of evaluations may be compared.

    Raises:
        SwerveError: they are of different benchmarks, metrics, stages, traffic or weightings.
    """
    first = evaluations[0]
    for other in evaluations[1:]:
        for key, names in _EQUAL.items():
            if first.stamp.get(key) != other.stamp.get(key):
                raise SwerveError(
                    f"{other.folder}: cannot be compared with {first.folder}: their {names} differ, "
                    f"{other.stamp.get(key)} and {first.stamp.get(key)}. {_HINT}"
                )
        digests = [one.stamp.get("benchmark", {}).get("digest") for one in (first, other)]
        if digests[0] != digests[1]:
            raise SwerveError(f"{other.folder}: is of another benchmark than {first.folder}. {_HINT}")


def few_warning(comparison: Comparison) -> str:
    """Return one plain sentence if logs or scenes are too few to tell planners apart; empty if there are enough."""
    logs, count = len(set(comparison.logs)), len(comparison.tokens)
    if logs >= FEW_LOGS:
        return ""
    counted = f"{count} {comparison.unit} of {logs} log{'s' * (logs != 1)}"
    return (
        f"Only {counted}: too few to say which planner is better. Scenes of one log resemble each other, so another "
        f"few logs may reverse the order. Use {FEW_LOGS} logs at the very least, better twenty."
    )


def verdict(comparison: Comparison) -> str:
    """Return the answer in one or two plain sentences: which planner is better, by how much, and whether it is real."""
    first, second = comparison.best[:2]
    found = comparison.difference(first.label, second.label)
    name = f"{first.label} scores {first.score:.3f}, {second.label} {second.score:.3f}"
    gap = f"a difference of {found.score:.3f}"
    of_logs = found.drawn == "logs"
    drawn = "logs" if of_logs else f"{comparison.unit} of one log"
    if not np.isfinite(found.low):
        return f"{name}: {gap}. Whether it is real cannot be said: fewer than three {drawn} were drawn from."
    interval = f"95 % interval {found.low:+.3f} to {found.high:+.3f}"
    if found.is_certain and (not of_logs or found.clusters < FEW_LOGS):
        return f"{name}: {gap} ({interval}). The interval excludes zero, but rests on {found.clusters} {drawn}."
    if found.is_certain:
        return f"{name}: {gap} ({interval}). It is unlikely to be chance: the interval excludes zero."
    return f"{name}: {gap} ({interval}). It may be chance: the interval includes zero."


def reason(comparison: Comparison) -> str:
    """Return in which sub-scores the two best planners differ, see `gap_sentence`."""
    first, second = comparison.best[:2]
    stages = ("stage one", "stage two") if len(first.means) > 1 else ()
    return gap_sentence(first.means[:, : len(LONG)], second.means[:, : len(LONG)], second.label, stages)


@dataclass(frozen=True)
class _Scored:
    """Scores of all planners of an evaluation.

    Attributes:
        tokens: of its scene groups (their first scene), or scenes.
        logs: log of each.
        scores: score of each by own label.
        stages: by own label and stage, values of each, columns as in `COLUMNS`; NaN where there is none.
    """

    tokens: Sequence[str]
    logs: Sequence[str]
    scores: Mapping[str, Float[np.ndarray, "g"]]
    stages: Mapping[str, Float[np.ndarray, "s g 10"]]


def _scored(one: Evaluated) -> _Scored:
    results = one.results
    if isinstance(results, OneStageResults):
        rows = results.of(results.planners[0])
        values = {label: _columns(results.of(label))[None] for label in results.planners}
        scores = {label: stages[0, :, COLUMNS.index("score")] for label, stages in values.items()}
        return _Scored(rows["token"].to_pylist(), rows["log"].to_pylist(), scores, values)
    weighting = results.provenance["weighting"]
    tables = {
        label: aggregate_two_stage(results.scores(label), results.groups, weighting) for label in results.planners
    }
    return _Scored(
        [group.now for group in results.groups],
        list(logs_of(results.table, results.groups)),
        {label: group_scores(table, results.groups) for label, table in tables.items()},
        {label: stage_values(table, results.groups) for label, table in tables.items()},
    )


def _columns(table: pa.Table) -> Float[np.ndarray, "n 10"]:
    return np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(float) for name in COLUMNS])


def _planners(
    one: Evaluated, all_of_them: Sequence[Evaluated], known: _Scored, shared: Sequence[str]
) -> list[ComparedPlanner]:
    """Return the planners of an evaluation with what they score in the shared ones of its scene groups or scenes."""
    row_of = {token: row for row, token in enumerate(known.tokens)}
    rows, own = [row_of[token] for token in shared], pc.is_in(pc.field("group_token"), pa.array(list(shared)))
    found = []
    for label, scores in known.scores.items():
        also = sum(label in other.results.planners for other in all_of_them) > 1
        failed = int(np.sum(one.results.of(label).filter(own)["failed"].to_numpy(zero_copy_only=False)))
        name = f"{one.name}: {label}" if also else label
        found.append(ComparedPlanner(name, label, one, scores[rows], _means(known.stages[label][:, rows]), failed))
    return found


def _means(values: Float[np.ndarray, "s g 10"]) -> Float[np.ndarray, "s 10"]:
    """Compute means over the known values of each column; NaN where none is known."""
    there = np.isfinite(values)
    sums, counts = np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1)
    means: Float[np.ndarray, "s 10"] = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means


def _notes(evaluations: Sequence[Evaluated], left_out: int, unit: str) -> tuple[str, ...]:
    """Return sentences on what differs between evaluations without making them incomparable."""
    notes = []
    if left_out:
        notes.append(f"{left_out} {unit} are not in every evaluation and are left out.")
    seen = {
        f"{one.name}: {label}": str(views.get("kind"))
        for one in evaluations
        for label, views in one.stamp.get("views", {}).items()
    }
    if len(set(seen.values())) > 1:
        notes.append(
            f"Planners saw different kinds of views: {', '.join(f'{name} {kind}' for name, kind in seen.items())}."
        )
    packages = [one.stamp.get("packages", {}) for one in evaluations]
    for name in sorted({name for versions in packages for name in versions}):
        versions = [str(known.get(name, "none")) for known in packages]
        if len(set(versions)) > 1:
            each = ", ".join(f"{one.name} {version}" for one, version in zip(evaluations, versions, strict=True))
            notes.append(f"Different versions of {name}: {each}.")
    return tuple(notes)
