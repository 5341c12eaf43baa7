"""Tables of a study's results: for the terminal, for study.json, and per planner and scene group for Parquet.

Tables for the terminal are for a console without markup: intervals are in square brackets.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS
from swerve.eval.study.correlation import Agreement, Difference, Estimate, PairedDifference, pearson
from swerve.eval.study.findings import Findings, SubsetCorrelations, counterpart_of
from swerve.eval.study.study_records import Study

# The logged ego as a planner of the population: scene groups in which it fails are defective.
_HUMAN = "human"


def main_table(findings: Findings) -> Table:
    """Build the table of the main measures: r, R2 and rank correlation with their joint intervals."""
    table = Table("against closed loop", "Pearson r", "R2", "Spearman", box=None, padding=(0, 2, 0, 0))
    for name, found in findings.main.items():
        cells = (shown(one["joint"]) for one in (found.pearson, found.r2, found.spearman))
        table.add_row(name, *cells)
    return table


def intervals_table(findings: Findings) -> Table:
    """Build the table of the 95 % intervals of r, by resampled units; and r within families."""
    head = ("95 % intervals of r", "both", "planners", findings.units.replace("_", " "), "r within families")
    table = Table(*head, box=None, padding=(0, 2, 0, 0))
    for name, found in findings.main.items():
        cells = (interval(found.pearson[kind]) for kind in ("joint", "planners", "scene_groups"))
        table.add_row(name, *cells, number(found.within))
    return table


def variants_table(findings: Findings) -> Table:
    """Build the table of the variants of pseudo-simulation: r with its joint interval, for both formulas."""
    formulas = tuple(findings.variants)
    head = ("pseudo-simulation, varied", "", *(f"r, {formula} EPDMS" for formula in formulas))
    table = Table(*head, "Spearman", box=None, padding=(0, 2, 0, 0))
    for kind, names in findings.variants[formulas[0]].items():
        for place, name in enumerate(names):
            found = [findings.variants[formula][kind][name] for formula in formulas]
            ranked = ", ".join(number(one.spearman["joint"].value) for one in found)
            cells = (shown(one.pearson["joint"]) for one in found)
            table.add_row("" if place else kind, name, *cells, ranked)
    for place, density in enumerate(findings.densities[formulas[0]]):
        spreads = [findings.densities[formula][density] for formula in formulas]
        ranked = ", ".join(number(float(one.spearman.mean())) for one in spreads)
        name = f"{100 * density:.0f} %, {spreads[0].kept:.1f} pairs per scene group"
        table.add_row("" if place else "density", name, *(_spread(one) for one in spreads), ranked)
    return table


def difference_lines(findings: Findings) -> list[str]:
    """Return the differences between pseudo-simulation and one stage, in words."""
    return [
        f"r of {name} less that of {other}: {linear}; Spearman's: {ordered}"
        for name, other, linear, ordered in difference_rows(findings)
    ]


def difference_rows(findings: Findings) -> list[tuple[str, str, str, str]]:
    """Return the differences of each pseudo-simulation to the best one-stage measure and to its counterpart."""
    best = findings.best_one_stage
    pairs = [(name, best, one) for name, one in findings.differences.items()]
    pairs += [(name, counterpart_of(name), one) for name, one in findings.counterparts.items()]
    found = {(name, other): one for name, other, one in pairs}  # the counterpart may be the best
    return [(*names, _gap(one.pearson), _gap(one.spearman)) for names, one in found.items()]


def undefined_lines(findings: Findings) -> list[str]:
    """Return lines on the main measures without a defined correlation, with the reason; empty if all are defined."""
    names = [name for name, found in findings.main.items() if np.isnan(found.pearson["joint"].value)]
    if len(names) == len(findings.main):
        return ["No correlation is defined: all planners have the same closed-loop score"]
    return [f"Undefined, because all planners have the same value: r of {', '.join(names)}"] if names else []


def shown(estimate: Estimate, sign: bool = False) -> str:
    """Format a number and its interval."""
    if np.isnan(estimate.value):
        return "undefined"
    value = f"{estimate.value:+.3f}" if sign else f"{estimate.value:.3f}"
    return f"{value} {interval(estimate)}"


def interval(estimate: Estimate) -> str:
    """Format the interval."""
    if np.isnan(estimate.low):
        return "[unknown]"
    return f"[{estimate.low:.2f}, {estimate.high:.2f}]"


def number(value: float) -> str:
    """Format a correlation without an interval."""
    return "undefined" if np.isnan(value) else f"{value:.2f}"


def summary_of(study: Study, findings: Findings) -> dict[str, Any]:
    """Return the findings for study.json."""
    return {
        "planners": len(study.planners),
        "families": _counts(study.families),
        "scene_groups": len(study.tokens),
        "logs": len(set(study.logs)),
        "follow_up_pairs": int(study.present.sum()),
        "effective_follow_ups_median": findings.effective,
        "uniform_weights_share": findings.uniform,
        "resampled_units": findings.units,
        "measures": {name: _agreement(one) for name, one in findings.main.items()},
        "best_one_stage": findings.best_one_stage,
        "differences": {name: _difference(one) for name, one in findings.differences.items()},
        "differences_from_counterparts": {name: _difference(one) for name, one in findings.counterparts.items()},
        "variants": {
            formula: {kind: {name: _agreement(one) for name, one in names.items()} for kind, names in kinds.items()}
            for formula, kinds in findings.variants.items()
        },
        "densities": {
            formula: {f"{density:g}": _spread_numbers(one) for density, one in densities.items()}
            for formula, densities in findings.densities.items()
        },
    }


def planner_rows(study: Study, findings: Findings) -> list[dict[str, Any]]:
    """Return a row per planner: its closed-loop score and sub-scores, and every measure, means over scene groups."""
    closed, parts = study.closed_loop.mean(axis=1), study.closed_loop_metrics.mean(axis=1)
    measured = {name: values.mean(axis=1) for name, values in findings.measures.items()}
    return [
        {
            "planner": name,
            "family": study.families[row],
            "closed_loop": float(closed[row]),
            **{f"closed_loop {metric}": _plain(parts[row, column]) for column, metric in enumerate(ROLLOUT_METRICS)},
            **{measure: float(values[row]) for measure, values in measured.items()},
        }
        for row, name in enumerate(study.planners)
    ]


def scene_group_rows(study: Study, findings: Findings) -> list[dict[str, Any]]:
    """Return a row per scene group: its difficulty, and the correlations over planners in it alone."""
    measured = {name: findings.measures[name] for name in (*findings.differences, findings.best_one_stage)}
    human = study.planners.index(_HUMAN) if _HUMAN in study.planners else None
    return [
        {
            "scene_group": token,
            "log": study.logs[row],
            "follow_up_pairs": int(study.present[row].sum()),
            "closed_loop_mean": float(study.closed_loop[:, row].mean()),
            "closed_loop_deviation": float(study.closed_loop[:, row].std()),
            "closed_loop_human": None if human is None else float(study.closed_loop[human, row]),
            **{
                f"r of {name}": _plain(float(pearson(values[:, row], study.closed_loop[:, row])))
                for name, values in measured.items()
            },
        }
        for row, token in enumerate(study.tokens)
    ]


def _gap(found: PairedDifference) -> str:
    """Format the difference, and the share of the resamples in which it is positive."""
    share = "" if np.isnan(found.share) else f", larger in {100 * found.share:.0f} %"
    return f"{shown(found.estimate, sign=True)}{share}"


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "pearson": _estimates(found.pearson),
        "r2": _estimates(found.r2),
        "spearman": _estimates(found.spearman),
        "pearson_within_families": _plain(found.within),
    }


def _estimates(named: Mapping[Any, Estimate]) -> dict[str, Any]:
    first = next(iter(named.values()))
    return {"value": _plain(first.value), **{kind: [_plain(one.low), _plain(one.high)] for kind, one in named.items()}}


def _difference(found: Difference) -> dict[str, Any]:
    return {
        name: {
            "value": _plain(gap.estimate.value),
            "joint": [_plain(gap.estimate.low), _plain(gap.estimate.high)],
            "share_larger": _plain(gap.share),
        }
        for name, gap in (("pearson", found.pearson), ("spearman", found.spearman))
    }


def _spread(spread: SubsetCorrelations) -> str:
    if np.isnan(spread.pearson).any():
        return "undefined"
    return f"{spread.pearson.mean():.3f} ({spread.pearson.min():.2f} to {spread.pearson.max():.2f})"


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
