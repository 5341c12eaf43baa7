"""3D views of scene groups: the grid of follow-up scenes, plans of an evaluation, proposals of a planner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.results import Results
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup, SceneViews
from swerve.eval.report.ranking import SceneRow, chain_scores, group_rows
from swerve.eval.scoring.aggregate import proximity_weights
from swerve.scenes import SwerveError
from swerve.scenes.primitives import build_static
from swerve.scenes.transforms import pose_from_yaw, transform_points
from swerve.views.log_view import (
    ego_paths,
    map_meshes,
    motion_curves,
    pose_marker,
    reduced_image,
    signal_meshes,
    track_paths,
)
from swerve.views.rollout_view import on_ground
from swerve.viz.scene_view import CameraView3D, Color, Marker3D, Path3D, SceneView3D

# Seconds of the human's path that weights of a bare benchmark refer to.
_HORIZON: Final = 4.0


@dataclass(frozen=True)
class Plans:
    """Scored plans in a scene.

    Attributes:
        group: what is shown and hidden together.
        names: of the plans.
        poses: planned x, y, heading in the ego frame.
        scores: 0 to 1; they give the colours.
        facts: shown when a plan is clicked.
        lift: metres above the ground, so that plans in other colours do not hide each other.
    """

    group: str
    names: Sequence[str]
    poses: Sequence[Float[np.ndarray, "k 3"]]
    scores: Sequence[float]
    facts: Sequence[Mapping[str, str]]
    lift: float = 0.0


def score_color(score: float) -> Color:
    """Return the colour of a score: violet for 0, over red and orange, to yellow-green for 1."""
    stops = np.array([[122, 82, 200], [230, 80, 120], [246, 165, 76], [180, 230, 90]], float)
    red, green, blue = (round(float(np.interp(score, [0.0, 0.4, 0.7, 1.0], channel))) for channel in stops.T)
    return red, green, blue


def weight_color(share: float) -> Color:
    """Return the colour of a weight, as a share of the largest: slate, violet, lavender, as in the report."""
    stops = np.array([[104, 118, 152], [150, 118, 240], [235, 222, 255]], float)
    red, green, blue = (round(float(np.interp(share, [0.0, 0.5, 1.0], channel))) for channel in stops.T)
    return red, green, blue


def pick_group(benchmark: Benchmark, log: str | None, number: int) -> str:
    """Return the name of a scene group, counted from 0 over the benchmark, or over a log.

    Raises:
        SwerveError: there is none of this number.
    """
    names = [name for one in benchmark.logs if log in (None, one) for name in benchmark.scene_groups(one)]
    if log is not None and log not in benchmark.logs:
        raise SwerveError(f"{benchmark.folder}: has no log {log!r}; it has {', '.join(benchmark.logs[:5])}")
    if not 0 <= number < len(names):
        raise SwerveError(f"--scene {number}: there are scene groups 0 to {len(names) - 1}")
    return names[number]


def benchmark_view(benchmark: Benchmark, name: str, plans: Sequence[Plans] = ()) -> SceneView3D:
    """Describe a scene group, its follow-up scenes coloured by their weight for a plan that ends where the human did.

    Args:
        benchmark: the benchmark.
        name: of the scene group.
        plans: drawn in the first scene.
    """
    group = benchmark.scene_group(name)
    now = group.scenes[group.group.now]
    ends = now.viewpoint.human
    ahead = min(round(_HORIZON / now.viewpoint.scene.log.step), len(ends)) - 1
    follow_ups = [group.scenes[token] for token, _ in group.group.follow_ups]
    starts = np.array([one.viewpoint.world_from_ego[:2, 3] for one in follow_ups])
    weights = proximity_weights(ends[ahead, :2, 3], starts, "stable")
    text = (
        f"{len(benchmark.logs)} logs; this scene group has {len(follow_ups)} pairs of follow-up scenes. "
        "Outlines: where they start, 4 s later; bright: more weight for a plan that ends where the human was then."
    )
    view = scene_group_view(
        group, dict(zip([token for token, _ in group.group.follow_ups], weights.tolist(), strict=True)), text, plans
    )
    return replace(view, title=f"Benchmark {benchmark.folder.resolve().name}, {name}")


def scene_group_view(
    group: SceneGroup, weights: Mapping[str, float], text: str, plans: Sequence[Plans] = ()
) -> SceneView3D:
    """Describe the first scene of a scene group over its window, with the starts of the follow-up scenes.

    Args:
        group: the scene group.
        weights: of the follow-up scenes by token.
        text: a sentence or two.
        plans: drawn in the first scene, in the colours of their scores.
    """
    now = group.scenes[group.group.now]
    scene = now.viewpoint.scene
    log = scene.log
    window = replace(
        log, times_us=scene.times_us, ego=scene.ego, tracks=scene.tracks, lights=scene.lights, photos=(), sweeps=()
    )
    return SceneView3D(
        title=group.group.now,
        text=text,
        times=(scene.times_us - scene.times_us[0]) * 1e-6,
        world_from_ego=scene.ego.world_from_ego,
        vehicle=log.vehicle,
        tracks=scene.tracks,
        meshes=map_meshes(build_static(log.road_map)),
        signals=signal_meshes(window),
        paths=(*ego_paths(window), *plan_lines(now, plans), *track_paths(window)),
        markers=follow_up_markers(group, weights),
        cameras=() if group.views is None else group_cameras(now, group.views, scene.history),
        curves=motion_curves(window),
        start=scene.history,
    )


def follow_up_markers(group: SceneGroup, weights: Mapping[str, float]) -> tuple[Marker3D, ...]:
    """Return the starts of the follow-up scenes, in the colours of their weights."""
    most = max(weights.values(), default=0.0) or 1.0
    found = []
    for token, weight in sorted(weights.items(), key=lambda item: item[1]):
        viewpoint = group.scenes[token].viewpoint
        facts = {
            "follow-up": token,
            "weight": f"{weight:.4f}",
            "speed": f"{np.hypot(*viewpoint.ego.velocity[-1]):.1f} m/s",
            **{name: f"{value:.2f}" for name, value in viewpoint.parameters.items()},
        }
        found.append(pose_marker(token, "follow-up scenes", viewpoint, weight_color(weight / most), facts))
    return tuple(found)


def plan_lines(scene: BenchmarkScene, plans: Sequence[Plans]) -> list[Path3D]:
    """Return plans as lines on the ground from the ego's pose on, the best drawn widest."""
    log, pose = scene.viewpoint.scene.log, scene.viewpoint.world_from_ego
    flat_pose = pose_from_yaw(pose[:3, 3], float(scene.viewpoint.ego.headings[-1]))
    found = []
    for one in plans:
        for name, poses, score, facts in zip(one.names, one.poses, one.scores, one.facts, strict=True):
            local = np.concatenate([np.zeros((1, 3)), np.column_stack([poses[:, :2], np.zeros(len(poses))])])
            points = on_ground(log, transform_points(flat_pose, local)[:, :2]) + np.array([0.0, 0.0, one.lift])
            told = {"plan": name, **facts}
            found.append(Path3D(f"{one.group}: {name}", one.group, points, score_color(score), 0.14, told))
    return found


def group_cameras(scene: BenchmarkScene, views: SceneViews, step: int) -> tuple[CameraView3D, ...]:
    """Return the cameras of a scene with its images, which are of one step."""
    cameras = views.cameras(scene)
    images = views.images(scene, [camera.name for camera in cameras])
    small = {name: reduced_image(image) for name, image in images.items()}

    def only(name: str, at: int) -> UInt8[np.ndarray, "_ _ 3"] | None:
        return small[name] if at == step else None

    return tuple(CameraView3D(camera, partial(only, camera.name)) for camera in cameras)


def evaluation_view(benchmark: Benchmark, results: Results, number: int, planner: str | None) -> SceneView3D:
    """Describe a scene group of an evaluation: all planners' plans by score, follow-up scenes by their weights.

    Args:
        benchmark: of the evaluation.
        results: of the evaluation.
        number: the scene group's place by the planner's score in it, the worst first.
        planner: whose weights and order count; None: the first.

    Raises:
        SwerveError: there is no such planner or scene group.
    """
    chosen = planner or results.planners[0]
    results.of(chosen)
    scores = {group.now: _group_score(group_rows(results, chosen, group)) for group in results.groups}
    order = sorted(results.groups, key=lambda group: scores[group.now])
    if not 0 <= number < len(order):
        raise SwerveError(f"--scene {number}: there are scene groups 0 to {len(order) - 1}, the worst first")
    tokens = order[number]
    names = _names(benchmark)
    group = benchmark.scene_group(names[tokens.now])
    rows = {label: group_rows(results, label, tokens) for label in results.planners}
    weights = {row.token: row.weight for row in rows[chosen] if row.follow_up and row.chain == 0}
    text = (
        f"Scene group {number + 1} of {len(order)} by the score of {chosen}, the worst first: "
        f"{scores[tokens.now]:.3f}. Plans: violet scores 0, yellow-green 1. Outlines: where "
        "follow-up scenes start, 4 s later; bright has more weight."
    )
    view = scene_group_view(group, weights, text, [_plans_of(rows)])
    return replace(view, title=f"{tokens.now}, {len(results.planners)} planners")


def _names(benchmark: Benchmark) -> dict[str, str]:
    scenes = benchmark.scenes()
    return dict(zip(scenes["token"].to_pylist(), scenes["scene_group"].to_pylist(), strict=True))


def _group_score(rows: tuple[SceneRow, ...]) -> float:
    return float(chain_scores(rows).prod(axis=1).mean())


def _plans_of(rows: Mapping[str, tuple[SceneRow, ...]]) -> Plans:
    """Return the plans of all planners that have one in the first scene."""
    first = {label: own[0] for label, own in rows.items() if not own[0].failed}
    facts = [
        {"score": f"{row.score:.3f}", **{reason.metric.replace("_", " "): reason.text for reason in row.reasons}}
        for row in first.values()
    ]
    scores = [row.score for row in first.values()]
    return Plans("plans", list(first), [row.plan for row in first.values()], scores, facts)
