"""Results of a study as data: for study.json, and rows per planner and scene group for Parquet."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from swerve.eval.closed_loop.rollout import metric_names
from swerve.eval.study.cluster_bootstrap import Estimate, pearson
from swerve.eval.study.correlation import Agreement, Difference
from swerve.eval.study.findings import Findings, ReferenceFindings, SubsetCorrelations
from swerve.eval.study.study_options import StudyOptions
from swerve.eval.study.study_records import Study

# The logged ego as a planner of the population: scene groups in which it fails are defective.
_HUMAN = "human"


def summary_of(study: Study, findings: Findings) -> dict[str, Any]:
    """Return the findings for study.json."""
    clusters = findings.clusters
    return {
        "planners": len(study.planners),
        "families": _counts(study.families),
        "scene_groups": len(study.tokens),
        "logs": len(set(study.logs)),
        "follow_up_pairs": int(study.present.sum()),
        "effective_follow_ups_median": findings.effective,
        "uniform_weights_share": findings.uniform,
        "resampled_clusters": {
            "planners": [clusters.planners, clusters.counts[0]],
            "scene_groups": [clusters.scene_groups, clusters.counts[1]],
        },
        "headline": study.headline,
        "references": {name: _reference(one) for name, one in findings.references.items()},
        "variants": {
            formula: {kind: {name: _agreement(one) for name, one in names.items()} for kind, names in kinds.items()}
            for formula, kinds in findings.variants.items()
        },
        "densities": {
            formula: {f"{density:g}": _spread_numbers(one) for density, one in densities.items()}
            for formula, densities in findings.densities.items()
        },
    }


def planner_rows(study: Study, findings: Findings, options: StudyOptions) -> list[dict[str, Any]]:
    """Return a row per planner: closed-loop scores and sub-scores, and every measure, means over scene groups."""
    measured = {name: values.mean(axis=1) for name, values in findings.measures.items()}
    return [
        {
            "planner": name,
            "family": study.families[row],
            **_driven(study, options, row),
            **{measure: float(values[row]) for measure, values in measured.items()},
        }
        for row, name in enumerate(study.planners)
    ]


def _driven(study: Study, options: StudyOptions, row: int) -> dict[str, float | None]:
    """Return a planner's mean scores and sub-scores in each closed loop."""
    columns = dict[str, float | None]()
    for place, (reference, driven) in enumerate(options.closed_loops.items()):
        columns[f"closed_loop {reference}"] = float(study.closed_loop[row, :, place].mean())
        parts = study.closed_loop_metrics[row, :, place].mean(axis=0)
        for metric, value in zip(metric_names(driven), parts, strict=False):  # padded, see StudyRecord
            columns[f"closed_loop {reference} {metric}"] = _plain(value)
    return columns


def scene_group_rows(study: Study, findings: Findings) -> list[dict[str, Any]]:
    """Return a row per scene group: its difficulty in the headline, and the correlations over planners in it alone."""
    headline, closed = findings.headline, study.closed_loop_of(study.headline)
    measured = {name: findings.measures[name] for name in (*headline.differences, headline.best_one_stage)}
    human = study.planners.index(_HUMAN) if _HUMAN in study.planners else None
    return [
        {
            "group_token": token,
            "log": study.logs[row],
            "follow_up_pairs": int(study.present[row].sum()),
            "closed_loop_mean": float(closed[:, row].mean()),
            "closed_loop_deviation": float(closed[:, row].std()),
            "closed_loop_human": None if human is None else float(closed[human, row]),
            **{
                f"r of {name}": _plain(float(pearson(values[:, row], closed[:, row])))
                for name, values in measured.items()
            },
        }
        for row, token in enumerate(study.tokens)
    ]


def _reference(found: ReferenceFindings) -> dict[str, Any]:
    return {
        "measures": {name: _agreement(one) for name, one in found.agreements.items()},
        "best_one_stage": found.best_one_stage,
        "differences": {name: _difference(one) for name, one in found.differences.items()},
        "differences_from_counterparts": {name: _difference(one) for name, one in found.counterparts.items()},
        "pearson_with_headline": _joint(found.with_headline),
    }


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "pearson": _estimates(found.pearson),
        "r2": _estimates(found.r2),
        "spearman": _estimates(found.spearman),
        "pearson_within_families": _joint(found.within),
    }


def _estimates(named: Mapping[Any, Estimate]) -> dict[str, Any]:
    first = next(iter(named.values()))
    return {"value": _plain(first.value), **{kind: [_plain(one.low), _plain(one.high)] for kind, one in named.items()}}


def _joint(estimate: Estimate) -> dict[str, Any]:
    return _estimates({"joint": estimate})


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "pearson": _joint(found.pearson),
        "spearman": _joint(found.spearman),
        "pearson_within_families": _joint(found.within),
    }


def _spread_numbers(spread: SubsetCorrelations) -> dict[str, Any]:
    return {
        "pairs_per_scene_group": spread.kept,
        "pearson": [_plain(value) for value in spread.pearson],
        "spearman": [_plain(value) for value in spread.spearman],
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    values, counts = np.unique(np.array(list(names)), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _plain(value: float) -> float | None:
    """Convert non-finite values to None, because JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
