"""HTML page about a planner's proposals: predicted and true scores."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.context.scene_context import Context
from swerve.eval.report.scene_images import AGENT_COLORS, swatch
from swerve.eval.report.sentences import LONG
from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.rap.proposal_pictures import RED, color_bar, ground_of, map_picture, mark_swatch, on_image, on_map
from swerve.planners.rap.proposals import Proposals, proposals_in, spread_out
from swerve.rasterizer import Style, render
from swerve.scenes import Camera, ObjectClass
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.viz.html_page import html_page
from swerve.viz.svg import Series, histogram, lines, scatter

STYLE = """
h3 { font-size: 17px; margin: 0 0 2px; } h4 { font-size: 14px; margin: 0 0 6px; font-weight: 500; color: var(--soft); }
dl, dd, ul { margin: 0; padding: 0; list-style: none; } dt { color: var(--faint); font-size: 12px; }
small { color: var(--faint); font-weight: 400; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 34px; margin: 14px 0; }
.facts dd { font-size: 19px; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 20px; align-items: start; }
.charts svg, .pictures svg { display: block; width: 100%; height: auto; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 26px; padding: 10px 14px; font-size: 13px;
  border-radius: 6px; margin: 14px 0; }
.legend li { display: flex; align-items: center; gap: 8px; } .legend svg { flex: none; }
.scene { margin: 26px 0; padding: 16px 18px; border-radius: 8px; background: var(--deep); }
.scene > p { margin-bottom: 10px; }
.pictures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px 18px; margin-bottom: 14px; }
.pictures figure { margin-bottom: 10px; }
td, th { font-variant-numeric: tabular-nums; vertical-align: bottom; }
td + td, th + th { text-align: right; } tr.total td { border-top: 1px solid var(--line); font-weight: 600; }
td.off { text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 3px; color: var(--mark); }
.base { position: absolute; width: 0; height: 0; }
@media (max-width: 760px) {
  .charts, .pictures { grid-template-columns: minmax(0, 1fr); } .scene { padding: 12px 10px; }
  td, th { padding-right: 9px; font-size: 12.5px; } .facts { gap: 8px 22px; }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .scene, figure { break-inside: avoid; }
}
"""
_BINS = np.linspace(0.0, 1.0, 11)
# Predicted sub-scores that are off by more are marked.
_WRONG = 0.5


@dataclass(frozen=True)
class SceneDrawing:
    """Images and context of a scene on the page.

    Attributes:
        frame: scene of the benchmark.
        context: context of the scene.
        camera: most forward-looking camera.
        image: image given to the planner.
        raster: raster of the same view.
    """

    frame: BenchmarkScene
    context: Context
    camera: Camera
    image: UInt8[np.ndarray, "_ _ 3"]
    raster: UInt8[np.ndarray, "_ _ 3"]


def proposals_page(
    title: str,
    lines: Sequence[str],
    scored: Sequence[Proposals],
    benchmark: Benchmark,
    planner: LearnedPlanner,
    shown: int,
) -> str:
    """Build the self-contained HTML page.

    Args:
        title: title in plain text.
        lines: lines of plain text under the title.
        scored: proposals of all scenes.
        benchmark: benchmark of the scenes.
        planner: planner of the proposals.
        shown: number of scenes to draw, evenly spaced by regret.

    Raises:
        SwerveError: see `proposals_in`.
    """
    ranked = sorted(scored, key=lambda one: -one.regret)
    scenes = []
    for row in spread_out(len(ranked), shown):
        # Recomputed, instead of keeping every scene's map and traffic in memory.
        group = benchmark.scene_group(ranked[row].scene_group)
        frame = group.scenes[ranked[row].token]
        again, context = proposals_in(frame, group, ranked[row].scene_group, planner)
        scenes.append(scene_section(row + 1, len(ranked), again, scene_images(frame, group, context, planner)))
    body = (
        f"<h1>{html.escape(title)}</h1>{''.join(f'<p>{html.escape(line)}</p>' for line in lines)}{overview(scored)}"
        f"<h2>Scenes</h2><p>{len(scenes)} of {len(scored)}, from the most regret to the least.</p>{legend()}"
        f"{''.join(scenes)}"
    )
    return html_page(title, body, STYLE)


def figures_of(scored: Sequence[Proposals]) -> tuple[tuple[str, str], ...]:
    """Return the names and values of the figures over all scenes."""
    chosen = np.array([one.true_score[one.chosen] for one in scored])
    best, mean = (np.array([choose(one.true_score) for one in scored]) for choose in (np.max, np.mean))
    ranks = np.array([one.rank_correlation for one in scored])
    regrets = np.array([one.regret for one in scored])
    ranked = np.isfinite(ranks)
    return (
        ("scenes, proposals in each", f"{len(scored)}, {len(scored[0].true_score)}"),
        ("score of the chosen proposal", f"{chosen.mean():.3f}"),
        ("of the best proposal", f"{best.mean():.3f}"),
        ("of a random proposal", f"{mean.mean():.3f}"),
        ("regret: best minus chosen", f"{regrets.mean():.3f}"),
        ("rank correlation, median", f"{np.median(ranks[ranked]):.2f}" if ranked.any() else "none"),
    )


def overview(scored: Sequence[Proposals]) -> str:
    """Build the summary of all scenes: numbers and charts."""
    figures = figures_of(scored)
    chosen, best, mean = (value for _, value in figures[1:4])
    ranks = np.array([one.rank_correlation for one in scored])
    regrets = np.array([one.regret for one in scored])
    ranked = np.isfinite(ranks)
    lines = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    places = scatter(
        np.stack([ranks, regrets], axis=1), [one.token for one in scored], ["scene"] * len(scored),
        "Spearman's rank correlation of predicted and true scores", "regret", size=(560, 340),
    )  # fmt: skip
    drawn = (
        (calibration(scored), "Calibration: mean true score of proposals by predicted score, in tenths; the band "
        "holds the middle half. A calibrated score lies on the diagonal."),
        (places, f"Each scene: rank correlation of predicted and true scores, and regret. "
         f"{len(scored) - int(ranked.sum())} scenes with equal true scores of all proposals are left out."),
        (histogram(ranks, np.linspace(-1, 1, 21), "rank correlation of a scene", size=(560, 170)), ""),
        (histogram(regrets, np.linspace(0, 1, 21), "regret in a scene", size=(560, 170)), ""),
    )  # fmt: skip
    charts = "".join(f"<figure>{chart}<figcaption>{text}</figcaption></figure>" for chart, text in drawn)
    answer = (
        f"The planner's choice scores {chosen} on average; the best of its proposals would score "
        f"{best}, a random one {mean}."
    )
    judged = choice_in_words(*(float(value) for value in (chosen, best, mean)))
    said = f'<div class="answer"><b>{answer}</b><p>{judged}</p></div>'
    return f'{said}<dl class="facts">{lines}</dl><div class="charts">{charts}</div>{metric_table(scored)}'


def choice_in_words(chosen: float, best: float, mean: float) -> str:
    """Return what the mean scores of chosen, best and random proposals say of the predicted scores."""
    if best <= mean:
        return "All proposals of a scene score alike: there is nothing to choose."
    if chosen <= mean:
        return "Its choice is no better than a random one: its predicted scores do not tell which proposal is good."
    share = (chosen - mean) / (best - mean)
    return f"Its predicted scores gain {100 * share:.0f} % of what a perfect choice would gain over a random one."


def calibration(scored: Sequence[Proposals]) -> str:
    """Plot predicted against true score over all proposals of all scenes."""
    promised, worth = (
        np.concatenate([getattr(one, name) for one in scored]) for name in ("predicted_score", "true_score")
    )
    bins = np.clip(np.digitize(promised, _BINS) - 1, 0, len(_BINS) - 2)
    filled = [bins == number for number in range(len(_BINS) - 1) if (bins == number).any()]
    points = np.array([[promised[rows].mean(), worth[rows].mean()] for rows in filled])
    band = np.array([np.quantile(worth[rows], [0.25, 0.75]) for rows in filled])
    series = [Series("mean true score", points, band), Series("equal", np.array([[0.0, 0.0], [1.0, 1.0]]))]
    return lines(series, "predicted score", "true score", size=(560, 340))


def metric_table(scored: Sequence[Proposals]) -> str:
    """Build the table of sub-scores over all proposals of all scenes: predicted, true, and mean absolute difference."""
    predicted, true = (np.concatenate([getattr(one, name) for one in scored]) for name in ("predicted", "true"))
    rows = "".join(
        f"<tr><td>{LONG[metric]}</td><td>{predicted[:, metric].mean():.3f}</td><td>{true[:, metric].mean():.3f}</td>"
        f"<td>{np.abs(predicted - true)[:, metric].mean():.3f}</td></tr>"
        for metric in Metric
    )
    return (
        '<h2>Sub-scores</h2><p>Means over all proposals of all scenes.</p><div class="wide"><table><tr><th>sub-score'
        f"</th><th>predicted</th><th>true</th><th>mean abs. difference</th></tr>{rows}</table></div>"
    )


def legend() -> str:
    """Build the legend of colours, lines and marks."""
    marks = (
        ("chosen", "the chosen proposal: white edge, ring"),
        ("best", "the best proposal: white edge, diamond"),
        ("human", "human trajectory"),
    )
    areas = (
        ("box", AGENT_COLORS[ObjectClass.VEHICLE], "vehicle; dashed outline: 4 s later"),
        ("box", AGENT_COLORS[ObjectClass.PEDESTRIAN], "pedestrian"),
        ("area", RED, "red light on the route"),
    )
    items = "".join(f"<li>{mark_swatch(name)}{text}</li>" for name, text in marks)
    items += "".join(f"<li>{swatch(kind, color)}{text}</li>" for kind, color, text in areas)
    return f'<ul class="legend plate"><li>score{color_bar()}</li>{items}</ul>'


def scene_section(rank: int, count: int, proposals: Proposals, drawing: SceneDrawing) -> str:
    """Build the section of one scene: predictions with the planner's image on the left, true scores on the right.

    Args:
        rank: rank by regret, highest first.
        count: number of scenes.
        proposals: proposals of the scene.
        drawing: images of the scene.
    """
    scene = drawing.frame.viewpoint.scene
    ground = ground_of(proposals, drawing.context, drawing.frame.viewpoint.world_from_ego, scene.log.road_map)
    base, eye = map_picture(ground, drawing.context, build_static(scene.log.road_map))
    columns = (
        ("predicted", proposals.predicted_score, drawing.image, "Image given to the planner"),
        ("true", proposals.true_score, drawing.raster, "The raster of the same view"),
    )
    pictures = "".join(
        f"<div><h4>Coloured by {name} score</h4>"
        f"<figure class='plate'>{on_map(proposals, ground, scores, eye, f'map-{rank}')}</figure>"
        f"<figure class='plate'>{on_image(proposals, ground, scores, drawing.camera, image)}<figcaption>{text}: "
        f"{html.escape(drawing.camera.name)}.</figcaption></figure></div>"
        for name, scores, image, text in columns
    )
    correlation = proposals.rank_correlation
    ordered = f"{correlation:.2f}" if np.isfinite(correlation) else "none (equal true scores)"
    kind = "follow-up scene" if drawing.frame.follow_up else "logged scene"
    return (
        f'<article class="scene"><h3>{html.escape(scene.log.name)} <small>{html.escape(proposals.token)}</small></h3>'
        f"<p>A {kind}, {rank} of {count} by regret: {proposals.regret:.3f}. Rank correlation {ordered}.</p>"
        f'<svg class="base" aria-hidden="true"><defs><g id="map-{rank}">{base}</g></defs></svg>'
        f'<div class="pictures">{pictures}</div>{score_table(proposals)}</article>'
    )


def score_table(proposals: Proposals) -> str:
    """Build the table of predicted and true sub-scores of the chosen and the best proposal."""
    rows = [proposals.chosen, proposals.best]
    body = "".join(
        _row(LONG[metric], [(proposals.predicted[row, metric], proposals.true[row, metric]) for row in rows])
        for metric in Metric
    )
    total = _row(
        "Score", [(proposals.predicted_score[row], proposals.true_score[row]) for row in rows], ' class="total"'
    )
    same = " It is the chosen one." if rows[0] == rows[1] else ""
    return (
        '<div class="wide"><table><tr><th></th><th>chosen, predicted</th><th>true</th><th>best, predicted</th>'
        f"<th>true</th></tr>{body}{total}</table></div><small>Underlined: off by more than {_WRONG:g}. The best is the "
        f"one with the highest true score.{same}</small>"
    )


def scene_images(frame: BenchmarkScene, group: SceneGroup, context: Context, planner: LearnedPlanner) -> SceneDrawing:
    """Load the planner's image of a scene, and its raster.

    Raises:
        SwerveError: the image is missing.
    """
    assert group.views is not None
    rig = group.views.cameras(frame)
    known = [camera for camera in rig if camera.name in rig_names(planner.cameras, rig)]
    camera = max(known, key=lambda one: one.ego_from_camera[0, 2])
    image = group.views.images(frame, [camera.name])[camera.name]
    scene, pose = frame.viewpoint.scene, frame.viewpoint.world_from_ego
    world = build_static(scene.log.road_map).concatenate(
        build_dynamic(frame.viewpoint.tracks, scene.lights, scene.history)
    )
    raster = render(world, [camera], pose[None], Style.rap(), ("rgb",))[0][0].rgb
    assert raster is not None
    return SceneDrawing(frame, context, camera, image, raster)


def _row(name: str, pairs: Sequence[tuple[float, float]], look: str = "") -> str:
    cells = "".join(
        f"<td>{predicted:.2f}</td><td{' class=off' if abs(predicted - true) > _WRONG else ''}>{true:.2f}</td>"
        for predicted, true in pairs
    )
    return f"<tr{look}><td>{name}</td>{cells}</tr>"
