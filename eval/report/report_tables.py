"""The leaderboard, sub-scores and head of a report, as HTML."""

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.results import Results
from swerve.eval.benchmark.evaluate.view_differences import SCORE, ViewDifference
from swerve.eval.report.privileged_inputs import PrivilegedInputs, privileged_tag
from swerve.eval.report.ranking import PlannerRanking
from swerve.eval.report.sentences import FACTORS, LONG, SHORT
from swerve.viz.svg import histogram

_BINS = np.linspace(0.0, 1.0, 11)
_MEANINGS: Final = {
    "effective follow-ups, median": "how many follow-ups count in stage two: 1 means that a single one decides",
}
# What is shown of the provenance without a click, and its name.
_FACTS: Final = {
    "benchmark": "benchmark",
    "metric": "metric",
    "traffic": "traffic",
    "weighting": "weighting",
    "inactive_sub_scores": "sub-scores that never apply",
}
# Scores below this show as 0.000, or nearly.
_LOST = 0.001


def head(title: str, results: Results) -> str:
    """Render the title and the counts."""
    logs = len(set(results.table["log"].filter(np.equal(results.table["stage"].to_numpy(), 1)).to_pylist()))
    pairs = [len(group.follow_ups) for group in results.groups]
    counts = (
        f"{len(results.planners)} planner{'s' * (len(results.planners) > 1)} on {len(pairs)} scene groups from {logs} "
        f"log{'s' * (logs > 1)}: {2 * len(pairs)} scenes of the first stage, {2 * sum(pairs)} follow-up scenes "
        f"({_range(pairs)} pairs per scene group)."
    )
    return f"<h1>{html.escape(title)}</h1><p>{counts}</p>"


def provenance_facts(stamp: Mapping[str, Any]) -> str:
    """Render the provenance of scores: a line of the main facts, and all of it behind a click."""
    facts = "".join(
        f"<div><dt>{html.escape(_FACTS[name])}</dt><dd>{html.escape(_as_text(stamp[name]))}</dd></div>"
        for name in _FACTS
        if stamp.get(name) is not None
    )
    whole = html.escape(json.dumps(stamp, indent=1, ensure_ascii=False))
    return (
        f'<dl class="provenance">{facts}</dl>'
        f"<details><summary>Provenance of the scores</summary><pre>{whole}</pre></details>"
    )


def leaderboard(ranked: Sequence[PlannerRanking], anchors: Mapping[str, str], known: PrivilegedInputs) -> str:
    """Render all planners side by side, the best first.

    Args:
        ranked: in order.
        anchors: anchor of each planner's section, by label.
        known: what planners are told that no car knows.
    """
    rows = "".join(
        _row(rank, one, anchors[one.label], privileged_tag(one.label, known)) for rank, one in enumerate(ranked, 1)
    )
    return (
        "<h2>Leaderboard</h2><p>The score is the mean over scene groups of stage one times weighted stage two. The "
        "line over a bar is the 95 % interval, of a bootstrap that draws logs whole, or scene groups if all are of one "
        "log; with fewer than three it is unknown. Of each sub-score, the upper bar is stage "
        "one, the lower bar stage two. Effective follow-ups say how many of a scene's follow-ups count in stage two, "
        f'by their weights: with 1, a single one decides.</p><ol class="board">{rows}</ol>'
    )


def sub_scores(ranking: PlannerRanking) -> str:
    """Render every sub-score of one planner by its long name, both stages."""
    rows, known = [], np.isfinite(ranking.stage_intervals).any()
    lines = "Thin lines are 95 % intervals. " if known else ""
    for column, name in enumerate(LONG):
        kind = "factor" if column < FACTORS else "weighted"
        bars = "".join(
            f'<span class="pair" title="{interval_text(interval)}">{bar(value, stage, interval)}'
            f"<b>{value:.3f}</b></span>"
            for stage, value, interval in _staged(ranking, column)
        )
        rows.append(f'<li class="{kind}"><span class="name">{name} <abbr>{SHORT[column]}</abbr></span>{bars}</li>')
    return (
        f'<div><ul class="subscores">{"".join(rows)}</ul><p class="note">Left stage one, right stage two. {lines}'
        "The first four multiply the score; the others are averaged, progress and time to collision with weight 5, the "
        "rest with 2.</p></div>"
    )


def distribution(ranking: PlannerRanking) -> str:
    """Render the distribution of the scene groups' scores."""
    return distribution_of(ranking.scene_group_scores, "scene group")


def distribution_of(scores: Float[np.ndarray, "n"], unit: str) -> str:
    """Render the distribution of the scores of scenes or scene groups."""
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    lost = int((scores < _LOST).sum())
    return (
        f"{histogram(scores, _BINS, f'score of a {unit}')}"
        f'<p class="note">{len(scores)} {unit}s; half lie between {low:.2f} and {high:.2f}, '
        f"median {middle:.2f}; {lost} below {_LOST}.</p>"
    )


def view_differences(found: Sequence[ViewDifference]) -> str:
    """Render the differences of scores between kinds of views; empty if there are none."""
    if not found:
        return ""
    cells = "".join(f"<th>{name}</th>" for name in SHORT)
    rows = "".join(_difference_rows(one) for one in found)
    return (
        "<h2>Between views</h2><p>Scores with the first kind of views minus those with the second, "
        "on the same scene groups. The interval (95 %) is of a bootstrap that draws logs whole, or scene groups if all "
        "are of one log; with fewer than three it is unknown.</p>"
        '<div class="wide"><table class="differences"><tr><th>planner</th><th>views</th><th></th><th>score</th>'
        f"{cells}</tr>{rows}</table></div>"
    )


def _difference_rows(one: ViewDifference) -> str:
    interval = interval_text(one.interval, signed=True)
    kinds = f"{html.escape(one.after)} − {html.escape(one.before)}"
    first = (
        f"<tr><th>{html.escape(one.planner)}</th><td>{kinds}</td><td>both stages</td>"
        f'<td><b>{one.score:+.3f}</b> {interval}</td><td colspan="{len(SHORT)}"></td></tr>'
    )
    stages = []
    for name, values in (("stage one", one.stage_one), ("stage two", one.stage_two)):
        cells = "".join(f"<td>{value:+.3f}</td>" for value in (values[SCORE], *values[:SCORE]))
        stages.append(f"<tr><td></td><td></td><td>{name}</td>{cells}</tr>")
    return first + "".join(stages)


def footnotes(rejections: pa.Table, scenes: pa.Table) -> str:
    """Render explanations of the numbers and their limitations.

    Args:
        rejections: a row for each rejected start point, with its `reason`.
        scenes: a row for each scene, with the thresholds its splat views miss as `unfit`.
    """
    counts = Counter(rejections["reason"].to_pylist()).most_common()
    text = ", ".join(f"{count} {html.escape(reason.replace('_', ' '))}" for reason, count in counts)
    return (
        '<h2 id="reading">How to read this</h2><div class="notes">'
        "<p><b>Two stages.</b> A plan is simulated for 4 s (tracking controller and bicycle) and scored: stage one. "
        "The benchmark has follow-up scenes that start around the human's pose after those 4 s. The planner "
        "plans there too, and each follow-up is weighted by the distance of its start from the end of the first plan: "
        "stage two. A scene group's score is the product, averaged over two scenes half a second apart.</p>"
        "<p><b>Plan and drive.</b> Outlines and losses are of the vehicle as the controller drives it, which may leave "
        "the road where the plan does not.</p>"
        "<p><b>Ego progress</b> is compared with the plan of PDM-Closed in the same scene, so that a planner which is "
        "PDM-Closed has 1 there. The planner human is the recorded drive: a reference, in stage one.</p>"
        "<p><b>Effective follow-ups</b> is 1 / (sum of squared weights): 1 means that a single one decides. "
        "With the weighting navsim-exact, weights are uniform if a plan ends farther than about 1.9 m from every "
        "start; the weighting stable has no such jump.</p>"
        "<p><b>Human filter.</b> In stage one, a sub-score that the human fails as well is set to 1. A planner that "
        "raises an error, or returns no valid plan, scores 0 in that scene.</p>"
        f"<p><b>Rejected.</b> Start points that the benchmark rejected: {text or 'none'}.</p>"
        f"{_flagged(scenes)}"
        "<p><b>Intervals</b> show how much the score depends on the choice of scene groups, not the benchmark's "
        "limits: agents drive by a simple policy, follow-up scenes are simulated and not recorded, and "
        "scores of another benchmark, metric or traffic (the lines under the ranking) must not be compared. See "
        "docs/evaluate.md, docs/benchmark.md and docs/scores.md.</p></div>"
    )


def _flagged(scenes: pa.Table) -> str:
    """Render the number of scenes with unfit splat views, with the reasons."""
    # Benchmarks built before splat views were added lack the column.
    missed = [text for text in scenes["unfit"].to_pylist() if text] if "unfit" in scenes.column_names else []
    if not missed:
        return ""
    counts = Counter(name for text in missed for name in text.split(",")).most_common()
    text = ", ".join(f"{count} {html.escape(name.replace('_', ' '))}" for name, count in counts)
    return (
        f"<p><b>Unfit splat views.</b> {len(missed)} of {len(scenes)} scenes have a splat view that misses a threshold "
        f"of the gate (docs/splat_quality.md): {text}.</p>"
    )


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _as_text(value: object) -> str:
    if isinstance(value, Mapping) and "name" in value:
        return str(value["name"])
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_as_text, value)) or "none"
    return str(value)


def _row(rank: int, ranking: PlannerRanking, anchor: str, told: str) -> str:
    table = ranking.table
    subs = "".join(_sub(ranking, column) for column in range(len(SHORT)))
    failures = f"{ranking.failures} of {ranking.scenes}"
    facts = (
        ("stage one", f"{table.stage_one[SCORE]:.3f}"),
        ("stage two", f"{table.stage_two[SCORE]:.3f}"),
        ("failures", failures if ranking.failures else "none"),
        ("effective follow-ups, median", f"{ranking.effective:.1f}"),
    )
    text = "".join(
        f'<div title="{_MEANINGS.get(name, "")}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value in facts
    )
    return (
        f'<li><a class="who" href="#{anchor}"><span>{rank}</span>{html.escape(ranking.label)}{told}</a>'
        f'<div class="score"><b>{ranking.score:.3f}</b>{bar(ranking.score, "all", ranking.interval)}'
        f"<small>{interval_text(ranking.interval)}</small></div>"
        f'<dl class="facts">{text}</dl><div class="subs">{subs}</div></li>'
    )


def _sub(ranking: PlannerRanking, column: int) -> str:
    staged = _staged(ranking, column)
    told = ", ".join(f"stage {stage} {value:.3f} ({interval_text(interval)})" for stage, value, interval in staged)
    title = f"{LONG[column]}: {told}"
    bars = "".join(bar(value, stage) for stage, value, _ in staged)
    return f'<div class="sub" title="{title}"><span>{SHORT[column]}</span>{bars}</div>'


def _staged(ranking: PlannerRanking, column: int) -> list[tuple[str, float, tuple[float, float]]]:
    """Return by stage its name, the mean of a column, and its interval."""
    low, high = ranking.stage_intervals[:, column].T.tolist()
    intervals = zip(low, high, strict=True)
    return list(zip(("one", "two"), ranking.stages[:, column].tolist(), intervals, strict=True))


def interval_text(interval: tuple[float, float], signed: bool = False) -> str:
    """Return the text of an interval, one of a score (not signed) cut to 0..1; "interval unknown" if it is NaN."""
    if not np.isfinite(interval).all():
        return "interval unknown"
    low, high = interval
    return f"[{low:+.3f}, {high:+.3f}]" if signed else f"{max(low, 0.0):.3f} – {min(high, 1.0):.3f}"


def bar(value: float, kind: str, interval: tuple[float, float] | None = None) -> str:
    """Render a bar with the length of a value in 0..1; empty if it is NaN."""
    value = 0.0 if np.isnan(value) else value
    line = ""
    if interval is not None and np.isfinite(interval).all():
        low, high = (100 * float(np.clip(end, 0.0, 1.0)) for end in interval)
        line = f'<i class="interval" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
    return f'<span class="bar {kind}"><i style="width:{100 * float(np.clip(value, 0.0, 1.0)):.1f}%"></i>{line}</span>'
