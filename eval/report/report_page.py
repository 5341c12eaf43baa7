"""The report of an evaluation: a self-contained HTML file."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.evaluate.benchmark_protocol import ReportedBenchmark
from swerve.eval.benchmark.evaluate.results import Results, logs_of
from swerve.eval.benchmark.evaluate.view_differences import PlannerViews, differences
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.context.scene_context import Context
from swerve.eval.report.comparison_tables import answer, comparisons, few_scenes_warning
from swerve.eval.report.privileged_inputs import PrivilegedInputs, contenders, privileged_aside, privileged_note
from swerve.eval.report.ranking import PlannerRanking, SceneRow, group_rows, rankings
from swerve.eval.report.replay import Replay, replay
from swerve.eval.report.report_style import SCRIPT, STYLE
from swerve.eval.report.report_tables import (
    distribution,
    footnotes,
    head,
    leaderboard,
    provenance_facts,
    sub_scores,
    view_differences,
)
from swerve.eval.report.sentences import LONG
from swerve.eval.report.sub_score_gaps import gap_sentence
from swerve.eval.report.worst_scenes import scene_group_section, shown_scenes
from swerve.scenes.planning import CameraChoice
from swerve.scenes.primitives import build_static
from swerve.viz.html_page import html_page

Sections = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        title: of the page.
        worst: number of scene groups shown of each planner.
        cameras: cameras that planners declare, by label; all for planners that are not listed.
        known: what planners are told that no car knows.
    """

    title: str = "Evaluation"
    worst: int = 3
    cameras: Mapping[str, CameraChoice] = field(default_factory=dict)
    known: PrivilegedInputs = field(default_factory=dict)


def write_report(path: str | Path, benchmark: ReportedBenchmark, results: Results, options: ReportOptions) -> int:
    """Write the page atomically.

    Args:
        path: of the HTML file.
        benchmark: the scene groups that were evaluated.
        results: of the evaluation.
        options: of the report.

    Returns:
        its size in bytes.

    Raises:
        SwerveError: a scene group cannot be read or scored, or the file cannot be written.
    """
    path = Path(path)
    page = report_page(benchmark, results, options).encode()
    make_folder(path.parent)
    write_atomically(path, page)
    return len(page)


def report_page(benchmark: ReportedBenchmark, results: Results, options: ReportOptions) -> str:
    """Render the whole page, see `write_report`."""
    ranked = rankings(results, results.provenance["weighting"])
    sections = _sections(benchmark, results, ranked, options)
    anchors = {one.label: f"planner-{rank}" for rank, one in enumerate(ranked, 1)}
    panes = [_pane(one, anchors[one.label], results, sections, options) for one in ranked]
    tabs = "".join(f'<a href="#{anchors[one.label]}">{html.escape(one.label)}</a>' for one in ranked)
    logs = logs_of(results.table, results.groups)
    best, why = contenders(ranked, options.known), ""
    if len(best) > 1:
        first, second = (one.stages[:, : len(LONG)] for one in best[:2])
        why = gap_sentence(first, second, best[1].label, ("stage one", "stage two"))
    note, aside = privileged_note(ranked, options.known), privileged_aside(best, options.known)
    told = answer(best, logs, why, note=note, aside=aside)
    body = (
        f"{head(options.title, results)}{told}{few_scenes_warning(len(results.groups))}"
        f"{leaderboard(ranked, anchors, options.known)}{provenance_facts(results.provenance)}"
        f"{comparisons(ranked, logs, [benchmark.source_of(log) for log in logs])}{_between_views(ranked, results)}"
        f'<nav class="tabs" id="tabs">{tabs}</nav>'
        f"{''.join(panes)}{footnotes(benchmark.rejections(), benchmark.scenes())}"
    )
    return html_page(options.title, body, STYLE, SCRIPT)


def _between_views(ranked: Sequence[PlannerRanking], results: Results) -> str:
    """Render the differences between kinds of views, if planners were evaluated with several."""
    views = results.provenance.get("views", {})
    seen = {label: PlannerViews(**views[label]) for label in results.planners if label in views}
    tables = {one.label: one.table for one in ranked}
    logs = logs_of(results.table, results.groups)
    return view_differences(differences(tables, results.groups, logs, seen))


def _pane(ranking: PlannerRanking, anchor: str, results: Results, sections: Sections, options: ReportOptions) -> str:
    """Render one planner's section of the page."""
    names = [results.groups[row].now for row in ranking.worst(options.worst)]
    shown = "".join(sections[ranking.label, name] for name in names)
    spec = str(results.provenance["planners"][ranking.label])
    named = "" if spec == ranking.label else f"<p>{html.escape(spec)}</p>"
    return (
        f'<section class="planner" id="{anchor}"><h2>{html.escape(ranking.label)}</h2>{named}'
        f'<div class="overview">{sub_scores(ranking)}<div>{distribution(ranking)}</div></div>'
        f"<h3>The {len(names)} worst scene group{'s' * (len(names) != 1)}</h3>{shown}</section>"
    )


def _sections(
    benchmark: ReportedBenchmark, results: Results, ranked: Sequence[PlannerRanking], options: ReportOptions
) -> Sections:
    """Render each planner's worst scene groups, by label and scene group. Shared scene groups are read once."""
    sections, scenes = {}, benchmark.scenes()
    names = dict(zip(scenes["token"].to_pylist(), scenes["scene_group"].to_pylist(), strict=True))
    wanted = {one.label: one.worst(options.worst) for one in ranked}
    for row, group in enumerate(results.groups):
        places = {label: rows.index(row) + 1 for label, rows in wanted.items() if row in rows}
        if places:
            scene_group = benchmark.scene_group(names[group.now])
            sections.update(
                {
                    (label, group.now): section
                    for label, section in _scene_group_sections(scene_group, results, places, options)
                }
            )
    return sections


def _scene_group_sections(
    scene_group: SceneGroup, results: Results, places: Mapping[str, int], options: ReportOptions
) -> Iterator[tuple[str, str]]:
    """Render a scene group by label, given its rank among each planner's worst."""
    static = build_static(scene_group.scenes[scene_group.group.now].viewpoint.scene.log.road_map)
    contexts: dict[str, Context] = {}
    for label, place in places.items():
        seen = results.provenance.get("views", {}).get(label, {}).get("kind")
        own = scene_group.with_views(seen) if seen in scene_group.views_by_kind else scene_group
        rows = group_rows(results, label, scene_group.group)
        first, follow = (_replay(scene_group, row, contexts, results) for row in shown_scenes(rows))
        yield label, scene_group_section(place, own, rows, (first, follow), static, options.cameras.get(label))


def _replay(scene_group: SceneGroup, row: SceneRow, contexts: dict[str, Context], results: Results) -> Replay:
    benchmark_scene = scene_group.scenes[row.token]
    if row.token not in contexts:
        contexts[row.token] = benchmark_scene.context(results.provenance["traffic"] == "lane-following")
    return replay(benchmark_scene, row, contexts[row.token], results.provenance["traffic"])
