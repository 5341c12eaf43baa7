"""The report of an evaluation in one stage: a self-contained HTML file."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.evaluate.planner_differences import resampled_interval
from swerve.eval.benchmark.evaluate.results import OneStageResults
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup, SceneViews
from swerve.eval.report.comparison_tables import answer, comparisons, few_scenes_warning
from swerve.eval.report.privileged_inputs import (
    PrivilegedInputs,
    contenders,
    privileged_aside,
    privileged_note,
    privileged_tag,
)
from swerve.eval.report.ranking import SceneRow, scene_row
from swerve.eval.report.replay import replay
from swerve.eval.report.report_page import ReportOptions
from swerve.eval.report.report_style import SCRIPT, STYLE
from swerve.eval.report.report_tables import bar, distribution_of, interval_text, provenance_facts
from swerve.eval.report.scene_images import scene_svg
from swerve.eval.report.sentences import FACTORS, LONG, SHORT, scene_summary, sentences
from swerve.eval.report.sub_score_gaps import gap_sentence
from swerve.eval.report.worst_scenes import camera_views, legend
from swerve.eval.scoring.aggregate import COLUMNS, GroupTokens
from swerve.scenes.planning import CameraChoice
from swerve.scenes.primitives import build_static
from swerve.viz.html_page import html_page

_UNIT: Final = "scenes"
_NOTES: Final = (
    '<h2 id="reading">How to read this</h2><div class="notes">'
    "<p><b>One stage.</b> Each plan is simulated for 4 s (tracking controller and bicycle) and scored; the score of a "
    "planner is the mean over scenes. Extended comfort compares a scene with the one at most 0.55 s before it; where "
    "there is none, it does not count.</p>"
    "<p><b>Human filter.</b> A sub-score that the human fails as well is set to 1. A planner that raises an error, or "
    "returns no valid plan, scores 0 in that scene.</p>"
    "<p><b>Intervals</b> show how much the score depends on the choice of logs, not the limits of open-loop scores: "
    "nothing follows a mistake. Scores of other scenes, metric or traffic must not be compared.</p></div>"
)


@runtime_checkable
class ReportedScenes(Protocol):
    """Single scenes as their report shows them."""

    @property
    def views(self) -> SceneViews | None:
        """Return the images of the scenes."""

    def batch(self, tokens: Sequence[str]) -> list[BenchmarkScene]:
        """Load scenes.

        Raises:
            SwerveError: one cannot be read.
        """

    def source_of(self, log: str) -> str:
        """Return the kind of source that a log is from."""


@dataclass(frozen=True)
class SingleStageRanking:
    """Scores of a planner in one stage.

    Attributes:
        label: the planner's.
        values: per scene, columns as in `COLUMNS`; extended comfort is NaN without a scene to compare with.
        interval: 95 % interval of the score; NaN if unknown.
        failures: number of scenes without a plan.
    """

    label: str
    values: Float[np.ndarray, "n 10"]
    interval: tuple[float, float]
    failures: int

    @property
    def scene_group_scores(self) -> Float[np.ndarray, "n"]:
        """Return the score of each scene, which is a group of its own."""
        return self.values[:, COLUMNS.index("score")]

    @property
    def means(self) -> Float[np.ndarray, "10"]:
        """Return the mean of each column over the scenes that have it."""
        known = np.isfinite(self.values)
        sums, counts = np.where(known, self.values, 0.0).sum(axis=0), known.sum(axis=0)
        means: Float[np.ndarray, "10"] = np.divide(sums, counts, out=np.full(len(COLUMNS), np.nan), where=counts > 0)
        return means

    @property
    def score(self) -> float:
        """Return the mean score."""
        return float(self.scene_group_scores.mean())

    def worst(self, count: int) -> list[int]:
        """Return the rows of the scenes with the lowest scores, lowest first; ties in order."""
        return [int(row) for row in np.argsort(self.scene_group_scores, kind="stable")[:count]]


def write_one_stage_report(
    path: str | Path, scenes: ReportedScenes, results: OneStageResults, options: ReportOptions
) -> None:
    """Write the page atomically.

    Args:
        path: of the HTML file.
        scenes: the scenes that were evaluated.
        results: of the evaluation.
        options: of the report.

    Raises:
        SwerveError: a scene cannot be read or scored, or the file cannot be written.
    """
    path = Path(path)
    page = one_stage_page(scenes, results, options).encode()
    make_folder(path.parent)
    write_atomically(path, page)


def one_stage_page(scenes: ReportedScenes, results: OneStageResults, options: ReportOptions) -> str:
    """Render the whole page, see `write_one_stage_report`."""
    ranked = sorted((_ranking(results, label) for label in results.planners), key=lambda one: -one.score)
    logs = results.of(results.planners[0])["log"].to_pylist()
    anchors = {one.label: f"planner-{rank}" for rank, one in enumerate(ranked, 1)}
    tabs = "".join(f'<a href="#{anchors[one.label]}">{html.escape(one.label)}</a>' for one in ranked)
    panes = "".join(_pane(one, anchors[one.label], scenes, results, options) for one in ranked)
    sources = [scenes.source_of(log) for log in logs]
    best, why = contenders(ranked, options.known), ""
    if len(best) > 1:
        first, second = (one.means[None, : len(LONG)] for one in best[:2])
        why = gap_sentence(first, second, best[1].label, ())
    note, aside = privileged_note(ranked, options.known), privileged_aside(best, options.known)
    told = answer(best, logs, why, _UNIT, note, aside)
    body = (
        f"{_head(options.title, results, logs)}{told}{few_scenes_warning(len(logs), _UNIT)}"
        f"{_leaderboard(ranked, anchors, options.known)}{provenance_facts(results.provenance)}"
        f'{comparisons(ranked, logs, sources, _UNIT)}<nav class="tabs" id="tabs">{tabs}</nav>{panes}{_NOTES}'
    )
    return html_page(options.title, body, STYLE, SCRIPT)


def _ranking(results: OneStageResults, label: str) -> SingleStageRanking:
    rows = results.of(label)
    values = np.column_stack([rows[name].to_numpy(zero_copy_only=False).astype(float) for name in COLUMNS])
    scores = values[:, COLUMNS.index("score")]
    failed = int(np.sum(rows["failed"].to_numpy(zero_copy_only=False)))
    return SingleStageRanking(label, values, resampled_interval(scores, rows["log"].to_pylist()), failed)


def _head(title: str, results: OneStageResults, logs: Sequence[str]) -> str:
    planners, count = len(results.planners), len(set(logs))
    text = f"{planners} planner{'s' * (planners != 1)} in {len(logs)} scenes of {count} log{'s' * (count != 1)}."
    return f"<h1>{html.escape(title)}</h1><p>{text}</p>"


def _leaderboard(ranked: Sequence[SingleStageRanking], anchors: Mapping[str, str], known: PrivilegedInputs) -> str:
    rows = "".join(
        _board_row(rank, one, anchors[one.label], privileged_tag(one.label, known))
        for rank, one in enumerate(ranked, 1)
    )
    return (
        "<h2>Leaderboard</h2><p>The score is the mean over scenes. The line over a bar is the 95 % interval, of a "
        "bootstrap that draws logs whole, or scenes if all are of one log; with fewer than three it is unknown.</p>"
        f'<ol class="board">{rows}</ol>'
    )


def _board_row(rank: int, one: SingleStageRanking, anchor: str, told: str) -> str:
    failures = f"{one.failures} of {len(one.values)}" if one.failures else "none"
    subs = "".join(
        f'<div class="sub" title="{name}: {value:.3f}"><span>{short}</span>{bar(value, "one")}</div>'
        for name, short, value in zip(LONG, SHORT, one.means.tolist(), strict=False)
    )
    return (
        f'<li><a class="who" href="#{anchor}"><span>{rank}</span>{html.escape(one.label)}{told}</a>'
        f'<div class="score"><b>{one.score:.3f}</b>{bar(one.score, "all", one.interval)}'
        f"<small>{interval_text(one.interval)}</small></div>"
        f'<dl class="facts"><div><dt>failures</dt><dd>{failures}</dd></div></dl>'
        f'<div class="subs">{subs}</div></li>'
    )


def _pane(
    one: SingleStageRanking, anchor: str, scenes: ReportedScenes, results: OneStageResults, options: ReportOptions
) -> str:
    """Render one planner's section of the page."""
    table = results.of(one.label)
    rows = [scene_row(table.slice(row, 1).to_pylist()[0]) for row in one.worst(options.worst)]
    logs = [table["log"][row].as_py() for row in one.worst(options.worst)]
    shown = "".join(
        _scene(number, log, row, scenes, results, options.cameras.get(one.label))
        for number, (log, row) in enumerate(zip(logs, rows, strict=True), 1)
    )
    spec = html.escape(str(results.provenance["planners"][one.label]))
    title = f"The {len(rows)} worst scene{'s' * (len(rows) != 1)}"
    return (
        f'<section class="planner" id="{anchor}"><h2>{html.escape(one.label)}</h2><p>{spec}</p>'
        f'<div class="overview">{_sub_scores(one)}<div>{distribution_of(one.scene_group_scores, "scene")}</div></div>'
        f'<h3>{title}</h3>{legend(follow_ups=False)}<div class="frames">{shown}</div></section>'
    )


def _sub_scores(one: SingleStageRanking) -> str:
    rows = []
    for column, (name, value) in enumerate(zip(LONG, one.means.tolist(), strict=False)):
        kind = "factor" if column < FACTORS else "weighted"
        number = "–" if np.isnan(value) else f"{value:.3f}"
        pair = f'<span class="pair">{bar(value, "one")}<b>{number}</b></span>'
        rows.append(f'<li class="{kind}"><span class="name">{name} <abbr>{SHORT[column]}</abbr></span>{pair}</li>')
    return (
        f'<div><ul class="subscores">{"".join(rows)}</ul><p class="note">The first four multiply the score; the others '
        "are averaged, progress and time to collision with weight 5, the rest with 2.</p></div>"
    )


def _scene(
    number: int,
    log: str,
    row: SceneRow,
    scenes: ReportedScenes,
    results: OneStageResults,
    cameras: CameraChoice,
) -> str:
    """Render one scene of one planner."""
    (scene,) = scenes.batch([row.token])
    traffic = results.provenance["traffic"]
    shown = replay(scene, row, scene.context(traffic == "lane-following"), traffic)
    static = build_static(scene.viewpoint.scene.log.road_map)
    alone = SceneGroup(log, GroupTokens(row.token, row.token, ()), {row.token: scene}, scenes.views, "photo")
    return (
        f'<article class="group frame"><h3>{number}. {html.escape(log)} <small>{html.escape(row.token)}</small></h3>'
        f'<p class="verdict">{html.escape(scene_summary(shown))}</p>'
        f'<figure class="above plate">{scene_svg(shown, static)}</figure>{sentences(shown)}'
        f"{camera_views(alone, scene, cameras)}</article>"
    )
