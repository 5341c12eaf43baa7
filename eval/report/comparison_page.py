"""The page that compares several evaluations: a self-contained HTML file."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.planner_differences import PlannerDifference, resampled_interval
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.report.compared import ComparedPlanner, Comparison, few_warning, reason, verdict
from swerve.eval.report.comparison_tables import between_planners
from swerve.eval.report.privileged_inputs import PrivilegedInputs, privileged_note, privileged_tag
from swerve.eval.report.report_style import STYLE
from swerve.eval.report.report_tables import bar, interval_text
from swerve.eval.report.scene_pairs import PAIR_STYLE, most_telling_token, scene_pair, shown_scene
from swerve.eval.report.sentences import LONG, SHORT
from swerve.eval.report.worst_scenes import legend
from swerve.scenes.planning import CameraChoice
from swerve.viz.html_page import html_page
from swerve.viz.svg import FAINT, GRID, INK, Axes, element, text, tick, ticks

# Finds the scene group of a token (of its first scene), or the scene as a group of its own.
GroupFinder = Callable[[str], SceneGroup]
_PAIRS: Final = 3
_BARS: Final = 400
_STYLE: Final = """
.gaps { padding: 12px 12px 4px; max-width: 760px; } .gaps svg { display: block; width: 100%; height: auto; }
.scores td:nth-child(n+2), .scores th:nth-child(n+2), .each td:nth-child(n+3), .each th:nth-child(n+3) {
  text-align: right; } .scores td, .each td { font-variant-numeric: tabular-nums; vertical-align: middle; }
.scores td:first-child { min-width: 160px; overflow-wrap: anywhere; } .scores td small { display: block; }
@media (max-width: 620px) { .gaps { overflow-x: auto; } .gaps svg { min-width: 520px; } }
.scores .bar { min-width: 90px; } .each td:nth-child(2) { font-size: 12px; color: var(--dim); }
"""


@dataclass(frozen=True)
class ComparisonOptions:
    """Options of the page.

    Attributes:
        title: of the page.
        scenes: number of scene groups or scenes shown of each pair of planners.
        cameras: cameras that planners declare, by label; all for planners that are not listed.
        without_images: why no scenes are shown; empty if they are.
    """

    title: str = "Comparison of evaluations"
    scenes: int = 4
    cameras: Mapping[str, CameraChoice] = field(default_factory=dict)
    without_images: str = ""


def comparison_page(comparison: Comparison, find: GroupFinder | None, options: ComparisonOptions) -> str:
    """Render the whole page.

    Args:
        comparison: of the evaluations.
        find: finds the scene groups to show; None to show none.
        options: of the page.
    """
    labels = [one.label for one in comparison.planners]
    body = (
        f"{_head(comparison, options)}{_scores(comparison)}"
        f"{between_planners(comparison.differences, labels, comparison.unit)}"
        f"{_gaps(comparison)}{_pairs(comparison, find, options)}{_every_scene(comparison)}{_notes(comparison)}"
    )
    return html_page(options.title, body, STYLE + PAIR_STYLE + _STYLE)


def shown_pairs(comparison: Comparison) -> list[PlannerDifference]:
    """Return the pairs of which scenes are shown: the best planner with each of the next three."""
    first, *others = comparison.best
    return [comparison.difference(first.label, other.label) for other in others[:_PAIRS]]


def _head(comparison: Comparison, options: ComparisonOptions) -> str:
    logs = len(set(comparison.logs))
    names = dict.fromkeys(one.evaluated.name for one in comparison.planners)
    counts = (
        f"{len(comparison.planners)} planners of {len(names)} evaluation{'s' * (len(names) != 1)} "
        f"({', '.join(names)}) on the same {len(comparison.tokens)} {comparison.unit} of {logs} "
        f"log{'s' * (logs != 1)}."
    )
    warning = few_warning(comparison)
    warned = f'<p class="warning">{html.escape(warning)}</p>' if warning else ""
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in comparison.notes)
    pairs = "<p>Of all planners, this is about the two with the highest scores.</p>" * (len(comparison.best) > 2)
    told = privileged_note(comparison.planners, comparison.known)
    return (
        f"<h1>{html.escape(options.title)}</h1><p>{html.escape(counts)}</p>"
        f'<div class="answer"><b>{html.escape(verdict(comparison))}</b><p><b>Why:</b> '
        f"{html.escape(reason(comparison))}</p>{pairs}{told}{notes}</div>{warned}"
    )


def _scores(comparison: Comparison) -> str:
    heads = ("planner", "score", "", "95 % interval", *SHORT, "failed", "evaluation")
    head = "".join(
        f'<th title="{LONG[SHORT.index(name)]}">{name}</th>' if name in SHORT else f"<th>{name}</th>" for name in heads
    )
    rows = "".join(_score_row(one, comparison.logs, comparison.known) for one in comparison.planners)
    stage = "" if comparison.unit == "scenes" else " Sub-scores: stage one, and below stage two."
    return (
        f"<h2>Scores</h2><p>Means over the {comparison.unit} that all evaluations have. Hold the pointer over a short "
        f'name for the long one.{stage}</p><div class="wide"><table class="scores"><tr>{head}</tr>{rows}</table></div>'
    )


def _score_row(one: ComparedPlanner, logs: Sequence[str], known: PrivilegedInputs) -> str:
    """Render a planner's row; its sub-scores of the second stage are the second line of their cells."""
    interval = resampled_interval(one.scene_group_scores, logs)
    lines = ["<br>".join(map(_number, column)) for column in one.means.T[: len(SHORT)].tolist()]
    subs = "".join(f"<td>{numbers}</td>" for numbers in lines)
    return (
        f"<tr><td><b>{html.escape(one.label)}</b>{privileged_tag(one.label, known)}</td><td><b>{one.score:.3f}</b></td>"
        f"<td>{bar(one.score, 'all', interval)}</td><td>{interval_text(interval).removeprefix('interval ')}</td>{subs}"
        f"<td>{one.failures or 'none'}</td><td>{html.escape(one.evaluated.name)}</td></tr>"
    )


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _gaps(comparison: Comparison) -> str:
    """Render, for the shown pairs, the difference in every scene."""
    parts = []
    for pair in shown_pairs(comparison):
        gaps = comparison.scores[pair.first] - comparison.scores[pair.second]
        equal = pair.groups - pair.better - pair.worse
        parts.append(
            f"<h3>{html.escape(pair.first)} against {html.escape(pair.second)}</h3>"
            f'<p><b class="won">{pair.better} won</b>, <b class="lost">{pair.worse} lost</b>, {equal} equal, of '
            f'{pair.groups} {comparison.unit}.</p><figure class="gaps">{gap_chart(gaps, comparison)}</figure>'
        )
    return f"<h2>Won and lost</h2>{''.join(parts)}"


def gap_chart(gaps: Float[np.ndarray, "g"], comparison: Comparison) -> str:
    """Build a chart of the differences in all scenes, a bar each, the largest loss first; of many, evenly chosen ones.

    Args:
        gaps: differences of scores, -1 to 1.
        comparison: names of the scenes, for the tooltips.
    """
    rows = np.argsort(gaps, kind="stable")
    if len(rows) > _BARS:
        rows = rows[np.linspace(0, len(rows) - 1, _BARS).round().astype(int)]
    axes = Axes((0.0, float(max(len(rows), 1))), (-1.0, 1.0), 46.0, 8.0, 644.0, 190.0)
    grid = "".join(_gap_line(axes, value) for value in ticks(-1.0, 1.0, 4).tolist())
    bars = "".join(_gap_bar(axes, place, float(gaps[row]), comparison, int(row)) for place, row in enumerate(rows))
    ground = f"{comparison.unit}, the largest loss first"
    label = text(axes.left + axes.width / 2, 220.0, ground, "middle", INK)
    return element((700, 228), grid + bars + label, "difference in every scene")


def _gap_line(axes: Axes, value: float) -> str:
    y = axes.pixels(np.array([[0.0, value]]))[0, 1]
    stroke = GRID if value else FAINT
    line = f'<path d="M{axes.left:.1f} {y:.1f}H{axes.left + axes.width:.1f}" stroke="{stroke}"/>'
    return line + text(axes.left - 7, y + 4, tick(value), "end")


def _gap_bar(axes: Axes, place: int, gap: float, comparison: Comparison, row: int) -> str:
    (left, top), (right, zero) = axes.pixels(np.array([[place, gap], [place + 1.0, 0.0]])).tolist()
    color = "var(--won, #5cd6a3)" if gap > 0 else "var(--wrong, #ff8f99)" if gap < 0 else FAINT
    room = min(0.15 * (right - left), 3.0)
    title = html.escape(f"{comparison.logs[row]}, {comparison.tokens[row]}: {gap:+.3f}")
    return (
        f'<rect class="gap" x="{left + room:.1f}" y="{min(top, zero):.1f}" width="{right - left - 2 * room:.1f}" '
        f'height="{max(abs(top - zero), 1.0):.1f}" fill="{color}"><title>{title}</title></rect>'
    )


def _pairs(comparison: Comparison, find: GroupFinder | None, options: ComparisonOptions) -> str:
    """Render the scenes in which the shown pairs differ most, both planners side by side."""
    if find is None:
        return f"<h2>Most different</h2><p>{html.escape(options.without_images)}</p>" if options.without_images else ""
    parts = []
    for pair in shown_pairs(comparison):
        rows = comparison.most_different(pair.first, pair.second, options.scenes)
        planners = tuple(
            next(one for one in comparison.planners if one.label == name) for name in (pair.first, pair.second)
        )
        shown = "".join(
            _pair_section(number, comparison, row, planners, find(comparison.tokens[row]), options)
            for number, row in enumerate(rows, 1)
        )
        count = (
            f"The largest differences ({len(rows)} of {len(comparison.tokens)} {comparison.unit})"
            if rows
            else "Equal in all"
        )
        title = f"{html.escape(pair.first)} against {html.escape(pair.second)}"
        parts.append(f"<h3>{title}</h3><p>{count}.</p>{shown}")
    return f"<h2>Most different</h2>{legend(follow_ups=False)}{''.join(parts)}"


def _pair_section(
    number: int,
    comparison: Comparison,
    row: int,
    planners: Sequence[ComparedPlanner],
    group: SceneGroup,
    options: ComparisonOptions,
) -> str:
    scores = [float(one.scene_group_scores[row]) for one in planners]
    token = most_telling_token(planners, group)
    title = (
        f"{number}. {html.escape(comparison.logs[row])} <small>{html.escape(comparison.tokens[row])}</small> "
        f"{scores[0]:.3f} − {scores[1]:.3f} = {scores[0] - scores[1]:+.3f}"
    )
    shown = f"<p>{shown_scene(planners[0], group, token)}</p>" if comparison.unit != "scenes" else ""
    pair = scene_pair(planners, group, token, options.cameras)
    return f'<article class="group"><h3>{title}</h3>{shown}{pair}</article>'


def _every_scene(comparison: Comparison) -> str:
    """Render a table of the scores of all planners in all scenes."""
    labels, (best, second, *_) = [one.label for one in comparison.planners], comparison.best
    head = "".join(
        f"<th>{html.escape(name)}</th>" for name in ("log", "scene", *labels, f"{best.label} − {second.label}")
    )
    scores = np.stack([one.scene_group_scores for one in comparison.planners], axis=1)
    gaps = best.scene_group_scores - second.scene_group_scores
    rows = "".join(
        f"<tr><td>{html.escape(log)}</td><td>{html.escape(token)}</td>"
        f"{''.join(f'<td>{value:.3f}</td>' for value in values.tolist())}{_gap_cell(gap)}</tr>"
        for log, token, values, gap in zip(comparison.logs, comparison.tokens, scores, gaps.tolist(), strict=True)
    )
    note = f"Click a heading to sort, type to filter. The same numbers are in scenes.csv, for all {comparison.unit}."
    table = f'<div class="wide"><table class="each"><tr>{head}</tr>{rows}</table></div>'
    rows = f"<details open><summary>{len(scores)} rows</summary>{table}</details>"
    return f"<h2>All {comparison.unit}</h2><p>{note}</p>{rows}"


def _gap_cell(gap: float) -> str:
    kind = "won" if gap > 0 else "lost" if gap < 0 else "equal"
    return f'<td class="{kind}">{gap:+.3f}</td>'


def _notes(comparison: Comparison) -> str:
    chosen = "scene" if comparison.unit == "scenes" else "scene of the group, of the first stage or a follow-up,"
    return (
        '<h2>How to read this</h2><div class="notes">'
        "<p><b>Paired.</b> All planners are compared on the same scenes, so what is hard for all cancels out. An "
        "interval is of a bootstrap that draws logs whole; it says how far the difference may be from that over all "
        "logs like these, not over other cities or weather. Each holds for one pair: of twenty pairs without any "
        "difference, one excludes zero by chance.</p>"
        f"<p><b>Most different</b> shows, of each pair, the {chosen} in which the two lose most unequally, with each "
        "planner's plan drawn into its camera image. Scenes chosen for their difference explain it; they do not "
        "prove it.</p></div>"
    )
