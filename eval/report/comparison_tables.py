"""Comparisons of planners in a report: paired differences, and scores by source and by log, as HTML."""

import html
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.planner_differences import (
    FEW_GROUPS,
    Means,
    PlannerDifference,
    means_by,
    planner_differences,
)

# Planners of which every two are compared; of more, each with the first. Logs that are listed without a click.
_ALL_PAIRS, _OPEN_LOGS = 5, 12


def few_scenes_warning(count: int, unit: str = "scene groups") -> str:
    """Render a warning that there are too few scenes or scene groups to compare planners; empty if there are enough."""
    if count >= FEW_GROUPS:
        return ""
    counted = f"{count} {unit if count != 1 else unit[:-1]}"
    return (
        f'<p class="warning"><b>{counted}</b>: too few to compare planners. Ranks may '
        f"change with other scenes, and intervals are unreliable. Use {FEW_GROUPS} or more, of several logs.</p>"
    )


def answer(
    ranked: Sequence["Ranked"],
    logs: Sequence[str],
    why: str = "",
    unit: str = "scene groups",
    note: str = "",
    aside: str = "",
) -> str:
    """Render which planner is best, by how much, and whether that is real; empty without a planner.

    Args:
        ranked: planners, the best first.
        logs: log of each scene or scene group.
        why: in which sub-scores the best differs from the second, see `gap_sentence`; empty for a single planner.
        unit: what has a score: "scenes" or "scene groups".
        note: HTML that follows the reason, see `privileged_note`.
        aside: text that follows the best one's score, see `privileged_aside`.
    """
    if not ranked:
        return ""
    scores = {one.label: one.scene_group_scores for one in ranked}
    best = f"{ranked[0].label} scores {float(ranked[0].scene_group_scores.mean()):.3f}{aside}."
    found = planner_differences({one.label: scores[one.label] for one in ranked[:3]}, logs)
    told = differences_text([one for one in found if one.first == ranked[0].label], unit)
    reason = f"<p><b>Why:</b> {html.escape(why)}</p>" if why else ""
    pairs = "<code>swerve compare</code> shows the scenes in which two planners differ most. " if why else ""
    look = (
        f"The worst scenes of each planner are below. {pairs}<code>swerve view</code> of this folder shows scenes in "
        '3D. <a href="#reading">How to read this page</a>.'
    )
    return f'<div class="answer"><b>{html.escape(best)}</b> {html.escape(told)}{reason}{note}<p>{look}</p></div>'


def differences_text(found: Sequence[PlannerDifference], unit: str = "scene groups") -> str:
    """Return the differences of a planner from others in sentences of plain text; `unit` as in `answer`."""
    if found and not any(np.isfinite(one.low) for one in found):
        gaps = " and ".join(f"{one.score:.3f} more than {one.second}" for one in found)
        drawn = found[0].drawn if found[0].drawn == "logs" else unit
        return f"That is {gaps}; whether it is real cannot be said: there are fewer than three {drawn}."
    return " ".join(_difference_text(one, unit) for one in found)


def _difference_text(one: PlannerDifference, unit: str) -> str:
    drawn = one.drawn if one.drawn == "logs" else unit
    gap = f"That is {one.score:.3f} more than {one.second}"
    interval = f"{gap} (95 % interval {one.low:+.3f} to {one.high:+.3f})"
    if one.is_certain:
        return f"{interval}: the interval excludes zero, with {one.clusters} {drawn}."
    return f"{interval}: it may be chance, since the interval includes zero."


@runtime_checkable
class Ranked(Protocol):
    """A planner with a score in each scene or scene group."""

    @property
    def label(self) -> str:
        """Return the planner's label."""

    @property
    def scene_group_scores(self) -> Float[np.ndarray, "g"]:
        """Return the score of each scene or scene group."""


def comparisons(
    ranked: Sequence[Ranked], logs: Sequence[str], sources: Sequence[str], unit: str = "scene groups"
) -> str:
    """Render all comparisons.

    Args:
        ranked: planners, the best first.
        logs: log of each scene or scene group.
        sources: kind of source of each.
        unit: what has a score: "scenes" or "scene groups".
    """
    scores = {one.label: one.scene_group_scores for one in ranked}
    labels = list(scores)
    return (
        f"{between_planners(planner_differences(scores, logs), labels, unit)}"
        f"{by_source(means_by(scores, sources), labels, unit)}{by_log(means_by(scores, logs), labels, unit)}"
    )


def between_planners(found: Sequence[PlannerDifference], labels: Sequence[str], unit: str = "scene groups") -> str:
    """Render the differences between planners; empty for a single planner."""
    if not found:
        return ""
    shown = found if len(labels) <= _ALL_PAIRS else [one for one in found if one.first == labels[0]]
    rows = "".join(
        f"<tr><td>{html.escape(one.first)}</td><td>{html.escape(one.second)}</td><td><b>{one.score:+.3f}</b></td>"
        f"<td>{_interval(one)}</td><td>{_verdict(one)}</td>"
        f"<td>{one.better} of {one.groups}</td><td>{one.worse} of {one.groups}</td>"
        f"<td>{one.groups - one.better - one.worse} of {one.groups}</td></tr>"
        for one in shown
    )
    of = found[0].drawn if found[0].drawn == "logs" else unit
    drawn = f"{found[0].clusters} {of}"
    unknown = "" if np.isfinite(found[0].low) else f" With {drawn}, intervals are unknown: three are needed."
    which = "" if len(shown) == len(found) else f" Each planner is compared with the first; {len(found)} pairs exist."
    text = (
        f"The first planner's score minus the second one's, on the same {unit}. The 95 % interval is of a "
        f"bootstrap that draws {of} whole, the same for both planners ({drawn}); it holds for one pair, "
        f"not for all at once.{unknown}{which}"
    )
    head = ("planner", "compared with", "difference", "95 % interval", "verdict", "better in", "worse in", "equal in")
    return f"<h2>Between planners</h2><p>{text}</p>{_table(head, rows, 'pairs')}"


def by_source(found: Sequence[Means], labels: Sequence[str], unit: str = "scene groups") -> str:
    """Render the scores by kind of source."""
    if len(found) == 1:
        return f"<h2>By source</h2><p>All {unit} are of source {html.escape(found[0].name)}.</p>"
    return f"<h2>By source</h2>{_means_table(found, labels, ('source', unit))}"


def by_log(found: Sequence[Means], labels: Sequence[str], unit: str = "scene groups") -> str:
    """Render the scores by log, those with the lowest mean over planners first."""
    lowest = sorted(found, key=lambda one: float(np.mean(list(one.scores.values()))))
    table = _means_table(lowest, labels, ("log", unit))
    if len(found) > _OPEN_LOGS:
        table = f"<details><summary>{len(found)} logs</summary>{table}</details>"
    return f"<h2>By log</h2><p>Mean scores of each log's {unit}, the hardest log first.</p>{table}"


def _means_table(found: Sequence[Means], labels: Sequence[str], head: tuple[str, str]) -> str:
    rows = []
    for one in found:
        best = max(one.scores.values())
        cells = "".join(f"<td>{_emphasised(one.scores[label], best, len(labels))}</td>" for label in labels)
        rows.append(f"<tr><td>{html.escape(one.name)}</td><td>{one.groups}</td>{cells}</tr>")
    return _table((*head, *labels), "".join(rows), "means")


def _emphasised(value: float, best: float, planners: int) -> str:
    return f"<b>{value:.3f}</b>" if value == best and planners > 1 else f"{value:.3f}"


def _verdict(one: PlannerDifference) -> str:
    if not np.isfinite(one.low):
        return "unknown"
    return "higher" if one.is_certain else "may be chance"


def _interval(one: PlannerDifference) -> str:
    return f"[{one.low:+.3f}, {one.high:+.3f}]" if np.isfinite(one.low) else "unknown"


def _table(head: Sequence[str], rows: str, kind: str) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f'<div class="wide"><table class="comparison {kind}"><tr>{cells}</tr>{rows}</table></div>'
