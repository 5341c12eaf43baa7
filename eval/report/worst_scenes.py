"""A planner's worst scene groups, as images and sentences."""

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.report.follow_up_chart import follow_up_chart
from swerve.eval.report.ranking import SceneRow, chain_scores
from swerve.eval.report.replay import Replay
from swerve.eval.report.scene_images import (
    AGENT_COLORS,
    HUMAN,
    PATH,
    PLAN,
    STATIC,
    WRONG,
    ground_color,
    scene_svg,
    swatch,
    weight_color,
)
from swerve.eval.report.sentences import scene_summary, sentences
from swerve.scenes import Camera, ObjectClass
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.planning import CameraChoice, chosen_names
from swerve.scenes.primitives import Primitives, Semantic
from swerve.viz.html_page import data_url

_CHAINS = ("now", "0.5 s before")
_WIDTH = 480
# Captions of views, by kind; photos of generated towns are synthetic, all others are the data set's own.
_LABELS = {"raster": ", raster", "photo": ", photo", "splat": ", splats"}
_SYNTHETIC = ", synthetic photo"
# What a chart of follow-up starts says on their scores, with room for numbers and without.
_NUMBERS = "the numbers are the scores there"
_NO_NUMBERS = "there is no room for the scores, which show where the pointer rests on a start"


def shown_scenes(rows: Sequence[SceneRow]) -> tuple[SceneRow, SceneRow]:
    """Return the two most informative scenes of a scene group.

    They are the first stage of the chain with the lower score, and the follow-up in that chain with the largest loss:
    weight times (1 - score).

    Args:
        rows: of the scene group, in the order of the group's tokens.
    """
    chain = int(chain_scores(tuple(rows)).prod(axis=1).argmin())
    followed = [row for row in rows if row.follow_up and row.chain == chain]
    return rows[chain], max(followed, key=lambda row: row.weight * (1.0 - row.score))


def scene_group_section(
    number: int,
    scene_group: SceneGroup,
    rows: Sequence[SceneRow],
    replays: tuple[Replay, Replay],
    static: Primitives,
    cameras: CameraChoice,
) -> str:
    """Render one scene group of one planner.

    Args:
        number: its rank among the worst, from 1 on.
        scene_group: the scene group.
        rows: the planner's results in it, in the order of the group's tokens.
        replays: of the scenes of `shown_scenes`.
        static: the map.
        cameras: cameras that the planner declares.
    """
    first, follow = replays
    chain = first.row.chain
    followed = [row for row in rows if row.follow_up and row.chain == chain]
    log, time = (
        html.escape(scene_group.log),
        html.escape(scene_group.group.now.removeprefix(scene_group.log).strip("-")),
    )
    chart, numbered = follow_up_chart(first, followed, follow.row.token)
    title = f"Follow-up with the largest loss: weight {follow.row.weight:.2f}"
    return (
        f'<article class="group"><h3>{number}. {log} <small>{time}</small></h3>'
        f'{_sum(rows, chain)}<div class="frames">'
        f"{_scene_section('Stage one', scene_group, first, static, followed, cameras)}"
        f"{_scene_section(title, scene_group, follow, static, (), cameras)}"
        f'</div>{legend()}<figure class="chart plate">{chart}'
        f"<figcaption>{_chart_text(first.row, followed, numbered)}</figcaption></figure></article>"
    )


def legend(follow_ups: bool = True) -> str:
    """Render the legend of the bird's-eye views, with or without starts of follow-up scenes."""
    entries = (
        ("dashes", HUMAN, "the human's path"),
        ("dots", PLAN, "the plan, every pose"),
        ("line", PATH, "the simulated car; boxes now, after 2 s and 4 s"),
        ("box", AGENT_COLORS[ObjectClass.VEHICLE], "vehicle"),
        ("outline", AGENT_COLORS[ObjectClass.VEHICLE], "the same after 2 s and 4 s"),
        ("box", AGENT_COLORS[ObjectClass.PEDESTRIAN], "pedestrian"),
        ("box", AGENT_COLORS[ObjectClass.BICYCLE], "bicycle"),
        ("box", STATIC, "other objects"),
        ("area", WRONG, "red light"),
        ("box", ground_color(Semantic.ROAD), "road"),
        ("box", ground_color(Semantic.CROSSING), "crossing"),
        ("line", ground_color(Semantic.ROAD_EDGE), "edge of the road"),
        ("line", ground_color(Semantic.LINE_YELLOW), "lane line, white or yellow"),
        ("ring", WRONG, "place of the violation"),
        ("ring", weight_color(0.5), "follow-up start, bright: more weight"),
    )
    shown = entries if follow_ups else entries[:-1]
    items = "".join(f"<li>{swatch(kind, color)}{html.escape(name)}</li>" for kind, color, name in shown)
    return f'<ul class="legend plate">{items}</ul>'


def camera_views(
    scene_group: SceneGroup, benchmark_scene: BenchmarkScene, declared: CameraChoice, most: int = 3
) -> str:
    """Render the most forward-looking cameras, from left to right; other kinds of views below.

    Args:
        scene_group: source of the images.
        benchmark_scene: the scene.
        declared: cameras that the planner declares.
        most: maximum number of cameras.
    """
    if declared is not None and not callable(declared) and not len(declared):
        return '<p class="note">This planner uses no camera.</p>'
    cameras = () if scene_group.views is None else scene_group.views.cameras(benchmark_scene)
    names = rig_names(chosen_names(declared, cameras), cameras)
    chosen = _front([camera for camera in cameras if camera.name in names], most)
    if scene_group.views is None or not chosen:
        return '<p class="note">The benchmark has no camera views.</p>'
    rows = []
    for kind, views in scene_group.views_by_kind.items():
        images, label = views.images(benchmark_scene, [camera.name for camera in chosen]), _label(kind, benchmark_scene)
        seen = ", given to the planner" if scene_group.extra_views and kind == scene_group.view_kind else ""
        figures = (_view(f"{camera.name}{label}{seen}", images[camera.name]) for camera in chosen)
        rows.append(f'<div class="views">{"".join(figures)}</div>')
    return "".join(rows)


def _label(kind: str, benchmark_scene: BenchmarkScene) -> str:
    synthetic = kind == "photo" and benchmark_scene.viewpoint.scene.log.source == "town"
    return _SYNTHETIC if synthetic else _LABELS.get(kind, "")


def _front(cameras: Sequence[Camera], most: int) -> list[Camera]:
    """Return the most forward-looking cameras, from left to right."""
    ahead = sorted(cameras, key=lambda camera: -camera.ego_from_camera[0, 2])[:most]
    return sorted(ahead, key=lambda camera: -np.arctan2(camera.ego_from_camera[1, 2], camera.ego_from_camera[0, 2]))


def _view(name: str, image: UInt8[np.ndarray, "h w 3"]) -> str:
    height = round(image.shape[0] * _WIDTH / image.shape[1])
    small = np.asarray(Image.fromarray(image).resize((_WIDTH, height), Image.Resampling.LANCZOS))
    label = html.escape(name)
    return (
        f'<figure><img src="{data_url(small, quality=75)}" width="{_WIDTH}" height="{height}" alt="{label}">'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _sum(rows: Sequence[SceneRow], shown: int) -> str:
    """Render the computation of the scene group's score."""
    parts = chain_scores(tuple(rows))
    terms = [
        f"<span{' class=shown' if chain == shown else ''}>{name}: {one:.2f} × {two:.2f} = <b>{one * two:.2f}</b></span>"
        for chain, (name, (one, two)) in enumerate(zip(_CHAINS, parts.tolist(), strict=True))
    ]
    return (
        f'<p class="sum"><b class="total">{parts.prod(axis=1).mean():.3f}</b> '
        f"stage one × follow-ups: {' '.join(terms)} The images show the scene {_CHAINS[shown]}.</p>"
    )


def _chart_text(first: SceneRow, followed: Sequence[SceneRow], numbered: bool) -> str:
    weights = np.array([row.weight for row in followed])
    distance = np.hypot(*(np.stack([row.start[:2] for row in followed]) - first.end).T).min()
    where = "The planner failed: its start counts as the end," if first.failed else "The plan (green cross) ends"
    where = f"{where} {distance:.1f} m from the nearest start."
    alike = " So the weights are uniform." if len(weights) > 1 and np.ptp(weights) < 1e-9 else ""
    return (
        f"Follow-up starts in colours of their weights; {_NUMBERS if numbered else _NO_NUMBERS}. {where}{alike} "
        "The ringed one is the follow-up above. White cross: the human after 4 s. Across is stretched."
    )


def _scene_section(
    title: str,
    scene_group: SceneGroup,
    replay: Replay,
    static: Primitives,
    followed: Sequence[SceneRow],
    cameras: CameraChoice,
) -> str:
    return (
        f'<section class="frame"><h4>{title}</h4><p class="verdict">{html.escape(scene_summary(replay))}</p>'
        f'<figure class="above plate">{scene_svg(replay, static, followed)}</figure>{sentences(replay)}'
        f"{camera_views(scene_group, replay.benchmark_scene, cameras)}</section>"
    )
