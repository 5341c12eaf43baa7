"""Page of closed-loop rollouts: scores, and the worst rollouts of each planner with their reasons."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.eval.benchmark.evaluate.planner_differences import planner_differences
from swerve.eval.closed_loop import ClosedLoopScene, Rollout, metric_names
from swerve.eval.closed_loop.rollout_image import DRIVEN, EGO, HUMAN, rollout_image, worst_step
from swerve.eval.report.comparison_tables import differences_text
from swerve.eval.report.privileged_inputs import (
    PrivilegedInputs,
    contenders,
    privileged_aside,
    privileged_note,
    privileged_tag,
)
from swerve.eval.scoring.thresholds import STEP
from swerve.rasterizer import Style
from swerve.scenes.primitives import Face, Semantic, build_static
from swerve.viz.html_page import data_url, html_page

# Rollouts shown of each planner, failures listed, and pixels of a side of an image.
SHOWN: Final = 3
_FAILURES, _PIXELS = 20, 760
# Sub-scores named at most as those in which two planners differ, and the least difference.
_GAPS, _LEAST_GAP = 3, 0.005
_STYLE = """
td { font-variant-numeric: tabular-nums; }
td:first-child { min-width: 150px; overflow-wrap: anywhere; } td small { display: block; color: var(--dim); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0 4px; padding: 8px 12px; list-style: none;
          border-radius: 6px; font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.legend i { width: 16px; height: 10px; border-radius: 2px; }
.rollouts { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr));
            align-items: start; }
.rollouts img { display: block; width: 100%; height: auto; } h2, figcaption { overflow-wrap: anywhere; }
figcaption b { color: var(--ink); font-size: 15px; } figcaption ul { margin: 6px 0 0; padding: 0 0 0 16px; }
.failed { color: var(--wrong-ink); } .stamp { font-size: 13px; }
"""


@dataclass(frozen=True)
class SceneRollout:
    """A rollout and its scene.

    Attributes:
        label: of the planner.
        closed_loop_scene: the scene.
        rollout: of the planner in the scene.
    """

    label: str
    closed_loop_scene: ClosedLoopScene
    rollout: Rollout

    def image(self, pixels: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return it from above, see `rollout_image`."""
        scene = self.closed_loop_scene
        return rollout_image(scene, self.rollout, build_static(scene.viewpoint.scene.log.road_map), pixels)


def drive_page(
    rows: Sequence[Mapping[str, Any]], worst: Mapping[str, Sequence[SceneRollout]], stamp: Mapping[str, Any]
) -> str:
    """Render the page.

    Args:
        rows: a row per rollout, as in rollouts.csv.
        worst: rollouts that are shown, by planner, the worst first.
        stamp: provenance of the scores.
    """
    labels = sorted(worst, key=lambda label: -mean_of(rows, label, "score"))
    metrics, known = _metrics(worst), stamp["privileged_input"]
    body = (
        f"{_head(rows, stamp)}{_answer(rows, labels, metrics, known)}{_scores(rows, labels, metrics, known)}"
        f"{_failures(rows)}<h2>The worst rollouts</h2>{_legend()}"
        f"{''.join(_planner(label, worst[label]) for label in labels)}"
    )
    return html_page("Closed loop", body, _STYLE)


def mean_of(rows: Sequence[Mapping[str, Any]], label: str, name: str) -> float:
    """Return the mean of a column over a planner's rollouts that have it; NaN if none has."""
    values = [row[name] for row in rows if row["planner"] == label and row[name] is not None]
    return float(np.mean(values)) if values else float("nan")


def _metrics(worst: Mapping[str, Sequence[SceneRollout]]) -> tuple[str, ...]:
    first = next(iter(worst.values()))[0]
    return tuple(metric_names(first.closed_loop_scene.options))


def _head(rows: Sequence[Mapping[str, Any]], stamp: Mapping[str, Any]) -> str:
    scenes, logs = {(row["log"], row["token"]) for row in rows}, {row["log"] for row in rows}
    planners = len({row["planner"] for row in rows})
    counts = (
        f"{len(rows)} rollouts of {planners} planner{'s' * (planners != 1)} in {len(scenes)} scenes of {len(logs)} "
        f"log{'s' * (len(logs) != 1)}, {stamp['seconds']:g} s each, replanned {stamp['rate']:g} times a second. "
        f"Agents: {stamp['traffic']}. Vehicle model: {stamp['simulation']}. Scores: {stamp['metric']}."
    )
    never = "".join(f"<br>Never triggered: {html.escape(line)}" for line in stamp["inactive_sub_scores"])
    return f'<h1>Closed loop</h1><p>{html.escape(counts)}<span class="stamp">{never}</span></p>'


@dataclass(frozen=True)
class _Driven:
    """A planner with its score in each scene."""

    label: str
    scene_group_scores: Float[np.ndarray, "n"]


def _answer(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], metrics: Sequence[str], known: PrivilegedInputs
) -> str:
    """Render which planner is best, by how much, whether that is real, and in which sub-scores it differs."""
    ranked = [
        _Driven(label, np.array([row["score"] for row in rows if row["planner"] == label], float)) for label in labels
    ]
    best = contenders(ranked, known)
    logs = [row["log"] for row in rows if row["planner"] == best[0].label]
    found = planner_differences({one.label: one.scene_group_scores for one in best[:2]}, logs)
    aside = privileged_aside(best, known)
    first = f"{best[0].label} scores {best[0].scene_group_scores.mean():.3f} in closed loop{aside}."
    why = "".join(f"<p><b>Why:</b> {html.escape(_gaps(rows, metrics, one.first, one.second))}</p>" for one in found)
    look = "<p>The worst rollouts of each are below; <code>swerve view</code> of this folder shows them in 3D.</p>"
    said = html.escape(differences_text(found, "scenes"))
    return f'<div class="answer"><b>{html.escape(first)}</b> {said}{why}{privileged_note(ranked, known)}{look}</div>'


def _gaps(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], first: str, second: str) -> str:
    """Return in which sub-scores two planners differ most, in a sentence."""
    means = {name: (mean_of(rows, first, name), mean_of(rows, second, name)) for name in metrics}
    gaps = {name: own - other for name, (own, other) in means.items() if abs(own - other) >= _LEAST_GAP}
    named = sorted(gaps, key=lambda name: -abs(gaps[name]))[:_GAPS]
    told = ", ".join(f"{name.replace('_', ' ')} {means[name][0]:.2f} against {means[name][1]:.2f}" for name in named)
    return f"compared with {second}: {told}." if told else f"no sub-score differs much from that of {second}."


def _scores(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str], metrics: Sequence[str], known: PrivilegedInputs
) -> str:
    """Render the mean scores, best first."""
    names = ("score", *metrics)
    headings = ("planner", *(name.replace("_", " ") for name in names), "rollouts", "failed")
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = []
    for label in labels:
        own = [row for row in rows if row["planner"] == label]
        values = [mean_of(rows, label, name) for name in names]
        cells = "".join(f"<td>{'–' if np.isnan(value) else f'{value:.3f}'}</td>" for value in values)
        failed = sum(row["failed"] for row in own)
        name = f"{html.escape(label)}{privileged_tag(label, known)}"
        lines.append(f"<tr><td>{name}</td>{cells}<td>{len(own)}</td><td>{failed}</td></tr>")
    note = "Means over rollouts, from 0 to 1; a failed rollout scores 0. – : the sub-score applies in no rollout."
    return f'<h2>Scores</h2><p>{note}</p><div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    """Render what failed; empty if nothing did."""
    failed = [row for row in rows if row["failed"]]
    if not failed:
        return ""
    groups = dict[tuple[str, str], list[Mapping[str, Any]]]()
    for row in failed:
        groups.setdefault((row["planner"], _last_line(row["error"]).replace(row["token"], "")), []).append(row)
    items = "".join(_failure(own) for own in list(groups.values())[:_FAILURES])
    left = sum(map(len, list(groups.values())[_FAILURES:]))
    more = f"<li>and {left} more in rollouts.csv</li>" if left else ""
    count = f"{len(failed)} of {len(rows)} rollouts ended without a valid plan, and score 0."
    return f"<h2>Failed</h2><p>{count}</p><ul>{items}{more}</ul>"


def _failure(rows: Sequence[Mapping[str, Any]]) -> str:
    """Render the rollouts of one planner that failed for one reason."""
    first, others = rows[0], f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    return (
        f"<li><b>{html.escape(first['planner'])}</b>, log {html.escape(first['log'])}, scene "
        f"{html.escape(first['token'])}, after {first['seconds']} s{others}: "
        f'<span class="failed">{html.escape(_last_line(first["error"]))}</span></li>'
    )


def _legend() -> str:
    colors = Style.surfaces().palette[Semantic.VEHICLE]
    swatches = {
        "the human's path, a dot each second": HUMAN,
        "the driven path, a dot and an outline each second": DRIVEN,
        "the planner's vehicle at the moment shown": EGO,
        "other vehicles from above": colors[Face.TOP],
        "their fronts": colors[Face.FRONT],
    }
    items = "".join(
        f'<li><i style="background: rgb{tuple(int(value) for value in color)}"></i>{text}</li>'
        for text, color in swatches.items()
    )
    note = "The moment shown is that of the first event that makes the score 0, or else the end of the rollout."
    return f'<ul class="legend plate">{items}</ul><p>{note}</p>'


def _planner(label: str, rollouts: Sequence[SceneRollout]) -> str:
    figures = "".join(_figure(one) for one in rollouts if one.rollout.reasons or one.rollout.failed)
    shown = f'<div class="rollouts">{figures}</div>' if figures else "<p>No rollout lost anything.</p>"
    return f"<h2>{html.escape(label)}</h2>{shown}"


def _figure(one: SceneRollout) -> str:
    rollout = one.rollout
    image = one.image(_PIXELS)
    title = f"log {rollout.log}, scene {rollout.token}"
    driven = f"{rollout.progress:.0f} m driven, the human {rollout.human_progress:.0f} m"
    moment = f"at {worst_step(rollout) * STEP:.1f} of {one.closed_loop_scene.options.seconds:g} s"
    reasons = [reason_text(reason.seconds, reason.text) for reason in rollout.reasons]
    if rollout.failed:
        reasons.insert(0, f"failed: {_last_line(rollout.error)}")
    items = "".join(f"<li>{html.escape(reason)}</li>" for reason in reasons)
    return (
        f'<figure><img src="{data_url(image)}" width="{_PIXELS}" height="{_PIXELS}" '
        f'alt="{html.escape(f"{one.label}, {title}, from above")}"><figcaption><b>score {rollout.score:.3f}</b> '
        f"{html.escape(f'{moment}; {title}; {driven}')}"
        f"<ul>{items}</ul></figcaption></figure>"
    )


def reason_text(seconds: float | None, text: str) -> str:
    """Return a reason with its moment, if it has one."""
    return text if seconds is None else f"{seconds:.1f} s: {text}"


def _last_line(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else ""
