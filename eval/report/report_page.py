"""The report of an evaluation: a self-contained HTML file."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from swerve.data.storage.files import make_folder, write_atomically
from swerve.eval.benchmark.evaluate.results import Results
from swerve.eval.benchmark.evaluate.view_differences import Seen, differences
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.report.ranking import PlannerRanking, SceneRow, group_rows, rankings
from swerve.eval.report.replay import Replay, replay
from swerve.eval.report.report_style import SCRIPT, STYLE
from swerve.eval.report.report_tables import distribution, footnotes, head, leaderboard, sub_scores, view_differences
from swerve.eval.report.worst_scenes import case_story, shown_frames
from swerve.scenes.primitives import build_static
from swerve.viz.html_page import webpage

Stories = Mapping[tuple[str, str], str]


@runtime_checkable
class SceneGroups(Protocol):
    """Source of scene groups: `swerve.eval.benchmark.benchmark_store.Benchmark`."""

    def scenes(self) -> pa.Table:
        """Return a table with a row per scene; `token`, name of the `case` and `unfit` are used."""

    def rejections(self) -> pa.Table:
        """Return a table with a row per rejected start point; `reason` is used."""

    def case(self, name: str) -> SceneGroup:
        """Return the scene group of this name."""


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        title: of the page.
        worst: number of scene groups shown of each planner.
        cameras: names of the cameras that planners use, by label; all for planners that are not listed.
    """

    title: str = "Evaluation"
    worst: int = 3
    cameras: Mapping[str, Sequence[str] | None] = field(default_factory=dict)


def write_report(path: Path, benchmark: SceneGroups, results: Results, options: ReportOptions) -> int:
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
    page = report_page(benchmark, results, options).encode()
    make_folder(path.parent)
    write_atomically(path, page)
    return len(page)


def report_page(benchmark: SceneGroups, results: Results, options: ReportOptions) -> str:
    """Render the whole page, see `write_report`."""
    ranked = rankings(results, results.substrate["weighting"])
    stories = _stories(benchmark, results, ranked, options)
    anchors = {one.label: f"planner-{rank}" for rank, one in enumerate(ranked, 1)}
    panes = [_pane(one, anchors[one.label], results, stories, options) for one in ranked]
    tabs = "".join(f'<a href="#{anchors[one.label]}">{html.escape(one.label)}</a>' for one in ranked)
    body = (
        f"{head(options.title, results)}{leaderboard(ranked, anchors)}{_between_views(ranked, results)}"
        f'<nav class="tabs" id="tabs">{tabs}</nav>'
        f"{''.join(panes)}{footnotes(benchmark.rejections(), benchmark.scenes())}"
    )
    return webpage(options.title, body, STYLE, SCRIPT)


def _between_views(ranked: Sequence[PlannerRanking], results: Results) -> str:
    """Render the differences between kinds of views, if planners were evaluated with several."""
    views = results.substrate.get("views", {})
    seen = {label: Seen(**views[label]) for label in results.planners if label in views}
    tables = {one.label: one.table for one in ranked}
    return view_differences(differences(tables, results.groups, seen))


def _pane(standing: PlannerRanking, anchor: str, results: Results, stories: Stories, options: ReportOptions) -> str:
    """Render one planner's section of the page."""
    names = [results.groups[row].now for row in standing.worst(options.worst)]
    shown = "".join(stories[standing.label, name] for name in names)
    spec = results.substrate["planners"][standing.label]
    return (
        f'<section class="planner" id="{anchor}"><h2>{html.escape(standing.label)}</h2><p>{html.escape(str(spec))}</p>'
        f'<div class="overview">{sub_scores(standing)}<div>{distribution(standing)}</div></div>'
        f"<h3>The {len(names)} worst scene group{'s' * (len(names) != 1)}</h3>{shown}</section>"
    )


def _stories(
    benchmark: SceneGroups, results: Results, ranked: Sequence[PlannerRanking], options: ReportOptions
) -> Stories:
    """Render each planner's worst scene groups, by label and scene group. Shared scene groups are read once."""
    stories, scenes = {}, benchmark.scenes()
    names = dict(zip(scenes["token"].to_pylist(), scenes["case"].to_pylist(), strict=True))
    wanted = {one.label: one.worst(options.worst) for one in ranked}
    for row, group in enumerate(results.groups):
        places = {label: rows.index(row) + 1 for label, rows in wanted.items() if row in rows}
        if places:
            case = benchmark.case(names[group.now])
            stories.update({(label, group.now): story for label, story in _told(case, results, places, options)})
    return stories


def _told(
    case: SceneGroup, results: Results, places: Mapping[str, int], options: ReportOptions
) -> Iterator[tuple[str, str]]:
    """Render a scene group by label, given its rank among each planner's worst."""
    static = build_static(case.frames[case.group.now].viewpoint.scene.log.road_map)
    contexts: dict[str, Context] = {}
    for label, place in places.items():
        seen = results.substrate.get("views", {}).get(label, {}).get("kind")
        own = case.showing(seen) if seen in case.kinds else case
        rows = group_rows(results, label, case.group)
        first, follow = (_replay(case, row, contexts, results) for row in shown_frames(rows))
        yield label, case_story(place, own, rows, (first, follow), static, options.cameras.get(label))


def _replay(case: SceneGroup, row: SceneRow, contexts: dict[str, Context], results: Results) -> Replay:
    frame = case.frames[row.token]
    if row.token not in contexts:
        contexts[row.token] = build_context(frame.viewpoint.scene, row.token, frame.follow_up)
    return replay(frame, row, contexts[row.token], results.substrate["traffic"])
