"""One scene with the plans of two planners, side by side."""

import html
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, UInt8
from PIL import Image

from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.report.compared import ComparedPlanner
from swerve.eval.report.ranking import SceneRow, scene_row
from swerve.eval.report.replay import replay
from swerve.eval.report.scene_images import scene_svg
from swerve.eval.report.sentences import scene_summary, sentences
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.planning import CameraChoice, chosen_names
from swerve.scenes.primitives import build_static
from swerve.viz.html_page import data_url
from swerve.viz.overlay import draw_path

PAIR_STYLE: Final = """
.pair-of h4 { font-size: 15px; color: var(--ink); } .pair-of h4 b { float: right; font-variant-numeric: tabular-nums; }
.pair-of .seen img { display: block; width: 100%; height: auto; } .pair-of .seen { margin: 10px 0; }
"""
_WIDTH: Final = 560
# Colour of a plan in a camera image, and the distance before the rear axle at which its line begins, metres.
_PLAN, _BEGIN = (92, 214, 163), 3.0


def most_telling_token(planners: Sequence[ComparedPlanner], group: SceneGroup) -> str:
    """Return the scene of a scene group in which two planners' losses, weight times (1 - score), differ most."""
    first, second = (_rows(planner, group) for planner in planners)
    return max(first, key=lambda token: abs(_loss(first[token]) - _loss(second[token])))


def shown_scene(planner: ComparedPlanner, group: SceneGroup, token: str) -> str:
    """Return a sentence that says which scene of a scene group is shown."""
    row = _rows(planner, group)[token]
    which = "a follow-up" if row.follow_up else "the first stage"
    when = ", in the chain that begins 0.5 s before" if row.chain else ""
    return f"The score of the scene group is above; below is one of its scenes, of {which}{when}, with its own score."


def _loss(row: SceneRow) -> float:
    return row.weight * (1.0 - row.score)


def _rows(planner: ComparedPlanner, group: SceneGroup) -> dict[str, SceneRow]:
    """Return a planner's rows in a scene group, by token."""
    results = planner.evaluated.results
    table = results.of(planner.own_label).filter(pc.is_in(pc.field("token"), pa.array(list(group.scenes))))
    return {row["token"]: scene_row(row) for row in table.to_pylist()}


def scene_pair(
    planners: Sequence[ComparedPlanner], group: SceneGroup, token: str, cameras: Mapping[str, CameraChoice]
) -> str:
    """Render a scene from above and from the front camera with the plans of two planners, and what they lose.

    Args:
        planners: the two.
        group: the scene group.
        token: of the scene.
        cameras: cameras that planners declare, by label.
    """
    columns = "".join(_column(planner, group, token, cameras.get(planner.label)) for planner in planners)
    return f'<div class="frames pair-of">{columns}</div>'


def _column(planner: ComparedPlanner, group: SceneGroup, token: str, declared: CameraChoice) -> str:
    row, traffic = _rows(planner, group)[token], planner.evaluated.stamp["traffic"]
    scene = group.scenes[token]
    shown = replay(scene, row, scene.context(traffic == "lane-following"), traffic)
    static = build_static(scene.viewpoint.scene.log.road_map)
    seen = planner.evaluated.stamp.get("views", {}).get(planner.own_label, {}).get("kind")
    own = group.with_views(seen) if seen in group.views_by_kind else group
    return (
        f'<section class="frame"><h4>{html.escape(planner.label)} <b>{row.score:.3f}</b></h4>'
        f'<p class="verdict">{html.escape(scene_summary(shown))}</p>{_camera(own, scene, row, declared)}'
        f'<figure class="above plate">{scene_svg(shown, static)}</figure>{sentences(shown)}</section>'
    )


def _camera(group: SceneGroup, scene: BenchmarkScene, row: SceneRow, declared: CameraChoice) -> str:
    """Render the most forward-looking camera with the plan; empty without cameras."""
    cameras = () if group.views is None else group.views.cameras(scene)
    names = (
        rig_names(chosen_names(declared, cameras), cameras)
        if declared is None or callable(declared) or len(declared)
        else ()
    )
    chosen = [camera for camera in cameras if camera.name in names] or list(cameras)
    if group.views is None or not chosen:
        return '<p class="note">The benchmark has no camera views.</p>'
    camera = max(chosen, key=lambda one: one.ego_from_camera[0, 2])
    image = group.views.images(scene, [camera.name])[camera.name]
    drawn = image if row.failed else draw_path(image, camera, plan_line(row.plan), _PLAN)
    caption = html.escape(f"{camera.name}{', no plan' if row.failed else ', with the plan (green)'}")
    height = round(drawn.shape[0] * _WIDTH / drawn.shape[1])
    return (
        f'<figure class="seen"><img src="{data_url(_resized(drawn, height), quality=75)}" width="{_WIDTH}" '
        f'height="{height}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


def plan_line(plan: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "n 3"]:
    """Return the line of a plan on the ground of the ego frame, from before the vehicle on."""
    points = np.concatenate([[[0.0, 0.0, 0.0]], np.column_stack([plan[:, :2], np.zeros(len(plan))])])
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.concatenate([[min(_BEGIN, lengths[-1])], lengths[lengths > _BEGIN]])
    return np.stack([np.interp(at, lengths, points[:, axis]) for axis in range(3)], axis=1)


def _resized(image: UInt8[np.ndarray, "h w 3"], height: int) -> UInt8[np.ndarray, "_ _ 3"]:
    return np.asarray(Image.fromarray(image).resize((_WIDTH, height), Image.Resampling.LANCZOS))
