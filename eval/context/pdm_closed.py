"""PDM-Closed: the reference that NAVSIM compares progress with, and a configurable planner.

Fifteen proposals (five speeds along the centreline and 1 m to either side of it) follow an intelligent driver model
among objects that keep their velocity. They are simulated and scored; the best, unrolled to 5 s, is the reference.
A single unscored proposal is the IDM planner.
Deviations of the reference implementation that change numbers are kept and marked (reference: Dauner et al., "Parting
with misconceptions about learning-based vehicle motion planning", 2023).
"""

from dataclasses import astuple, dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int
from shapely.ops import substring

from swerve.eval.context.map_polygons import pack
from swerve.eval.context.pdm_closed_kernels import along_path, corridor_hits, project_point, unroll
from swerve.eval.context.planar_geometry_kernels import box_edges
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.scoring.score_kernels import ego_boxes
from swerve.eval.scoring.simulate import simulate
from swerve.eval.scoring.sub_scores import Metric, compared_progress, compute_sub_scores, pdm_score
from swerve.eval.scoring.thresholds import (
    DEFAULT_SPEED_LIMIT,
    FORECAST_LIMITS,
    FORECAST_RADIUS,
    FORECAST_STEPS,
    HALF_WIDTH,
    IDM_ACCELERATION,
    IDM_DECELERATION,
    IDM_GAP,
    IDM_HEADWAY,
    LATERAL_OFFSETS,
    REFERENCE_STEPS,
    SPEED_SHARES,
    STEP,
    STEPS,
)
from swerve.eval.traffic.track_kernels import touching
from swerve.eval.traffic.traffic import ROAD_USERS, RedLights, ScoringTraffic, Traffic
from swerve.scenes import SwerveError
from swerve.scenes.polyline import arc_lengths
from swerve.scenes.transforms import wrap_angle


@dataclass(frozen=True)
class IdmParameters:
    """Parameters of the intelligent driver model (Treiber et al., 2000); the default is PDM-Closed's.

    Attributes:
        headway: time headway to the leader, seconds.
        gap: minimum gap to the leader, metres.
        acceleration: maximum acceleration, m/s2.
        deceleration: comfortable and maximum deceleration, m/s2; positive.

    Raises:
        SwerveError: one is not finite, negative, or an acceleration is zero.
    """

    headway: float = IDM_HEADWAY
    gap: float = IDM_GAP
    acceleration: float = IDM_ACCELERATION
    deceleration: float = IDM_DECELERATION

    def __post_init__(self) -> None:
        least = min(self.headway, self.gap, self.acceleration, self.deceleration)
        if not np.isfinite(astuple(self)).all() or least < 0 or not min(self.acceleration, self.deceleration) > 0:
            raise SwerveError(f"{self}: all must be 0 or more, the accelerations more than 0")


@dataclass(frozen=True)
class PdmOptions:
    """Options of PDM-Closed; the default is NAVSIM's reference.

    Attributes:
        speed_fractions: target speeds of the proposals, as shares of the speed limit.
        lateral_offsets: metres left of the centreline.
        default_speed_limit: where the lane has no limit, m/s.
        idm_parameters: IDM parameters of all proposals.

    Raises:
        SwerveError: there is no proposal, or a speed is not above 0.
    """

    speed_fractions: tuple[float, ...] = SPEED_SHARES
    lateral_offsets: tuple[float, ...] = LATERAL_OFFSETS
    default_speed_limit: float = DEFAULT_SPEED_LIMIT
    idm_parameters: IdmParameters = IdmParameters()

    def __post_init__(self) -> None:
        if not self.speed_fractions or not self.lateral_offsets:
            raise SwerveError("PDM-Closed needs at least one speed and one lateral offset")
        speeds = (*self.speed_fractions, self.default_speed_limit)
        if not np.isfinite((*speeds, *self.lateral_offsets)).all() or not min(speeds) > 0:
            raise SwerveError(f"PDM-Closed: speeds {speeds} must be above 0, and these and the offsets finite")


@dataclass(frozen=True)
class _Obstacles:
    """Objects, then red lights, at forecast samples 0.2 s apart.

    Attributes:
        boxes: of the objects.
        speeds: of the objects, m/s.
        headings: of the objects' boxes.
        light_edges: outlines of the lights' connectors.
        light_starts: see Polygons.
        light_centers: their centroids.
        ignored: objects, then lights, that overlap the ego initially.
    """

    boxes: Float[np.ndarray, "s m 6"]
    speeds: Float[np.ndarray, "m"]
    headings: Float[np.ndarray, "m"]
    light_edges: Float[np.ndarray, "e 4"]
    light_starts: Int[np.ndarray, "l1"]
    light_centers: Float[np.ndarray, "l 2"]
    ignored: Bool[np.ndarray, "o"]


@dataclass(frozen=True)
class _Path:
    """A centreline or a parallel line: (x, y, unwrapped heading), arc lengths, and the corridor checked for leaders."""

    points: Float[np.ndarray, "k 3"]
    lengths: Float[np.ndarray, "k"]
    start: float
    corridor: Float[np.ndarray, "e 4"]


@dataclass(frozen=True)
class _Rollout:
    """Proposals of one path: arc lengths, speeds and leaders (arc length, speed, rear length) over 51 steps."""

    along: Float[np.ndarray, "q t"]
    speeds: Float[np.ndarray, "q t"]
    leaders: Float[np.ndarray, "q t 3"]


def reference_trajectory(inputs: PrivilegedInput, options: PdmOptions | None = None) -> Float[np.ndarray, "51 3"]:
    """Compute rear-axle poses (x, y, heading; world) at 0, 0.1, ..., 5 s; options are NAVSIM's if None."""
    options = options or PdmOptions()
    obstacles, scoring_traffic = _obstacles(inputs)
    limit = speed_limit_of(inputs, options.default_speed_limit)
    targets = limit * np.array(options.speed_fractions)
    reach = limit * max(1.0, *options.speed_fractions)
    paths = [_path(inputs, offset, reach) for offset in options.lateral_offsets]
    rollouts = [_start(path, inputs.ego, len(targets)) for path in paths]
    for path, rollout in zip(paths, rollouts, strict=True):
        _unroll(path, rollout, targets, options.idm_parameters, obstacles, 1, STEPS)
    proposals = np.concatenate(
        [
            along_path(path.points, path.lengths, roll.along[:, :STEPS])
            for path, roll in zip(paths, rollouts, strict=True)
        ]
    )
    row, column = divmod(_best(proposals, inputs, scoring_traffic), len(targets))
    path, one = paths[row], slice(column, column + 1)
    alone = _Rollout(rollouts[row].along[one], rollouts[row].speeds[one], rollouts[row].leaders[one])
    _unroll(path, alone, targets[one], options.idm_parameters, obstacles, STEPS, REFERENCE_STEPS)
    poses: Float[np.ndarray, "51 3"] = along_path(path.points, path.lengths, alone.along)[0]
    return poses


def idm_trajectory(
    inputs: PrivilegedInput, target: float, offset: float = 0.0, idm_parameters: IdmParameters | None = None
) -> Float[np.ndarray, "51 3"]:
    """Compute one proposal of PDM-Closed without scoring: rear-axle poses (world) at 0, 0.1, ..., 5 s.

    The first pose is the ego's projection onto the path, as in PDM-Closed, not the ego's pose.

    Args:
        inputs: the current scene.
        target: speed on a free road, m/s, above 0.
        offset: metres left of the centreline.
        idm_parameters: PDM-Closed's if None.
    """
    obstacles, _ = _obstacles(inputs)
    path = _path(inputs, offset, max(target, speed_limit_of(inputs, DEFAULT_SPEED_LIMIT)))
    rollout = _start(path, inputs.ego, 1)
    _unroll(path, rollout, np.array([target]), idm_parameters or IdmParameters(), obstacles, 1, REFERENCE_STEPS)
    poses: Float[np.ndarray, "51 3"] = along_path(path.points, path.lengths, rollout.along)[0]
    return poses


def speed_limit_of(inputs: PrivilegedInput, default: float) -> float:
    """Return the speed limit of the ego's lane, m/s: a default where it is unknown.

    0 counts as unknown, as maps write it for lanes without one: IDM divides by the target speed.
    """
    return inputs.speed_limit or default


def _best(proposals: Float[np.ndarray, "n t 3"], inputs: PrivilegedInput, scoring_traffic: ScoringTraffic) -> int:
    """Return the index of the highest-scoring proposal (the first of equals)."""
    sub_scores = compute_sub_scores(simulate(inputs.ego, proposals), inputs.scoring_map, scoring_traffic, None)
    metrics = sub_scores.metrics.copy()
    best = (sub_scores.progress * sub_scores.product).max()
    metrics[:, Metric.EGO_PROGRESS] = compared_progress(sub_scores.progress, best)
    return int(np.argmax(pdm_score(metrics)))


def _path(inputs: PrivilegedInput, offset: float, speed: float) -> _Path:
    """Return the line `offset` metres left of the centreline, with a corridor as long as `speed` drives in 5 s.

    Its headings stay the centreline's, as in the reference implementation.
    """
    points = inputs.scoring_map.centerline.copy()
    points[:, 0] += offset * np.cos(points[:, 2] + np.pi / 2)
    points[:, 1] += offset * np.sin(points[:, 2] + np.pi / 2)
    points[:, 2] = np.unwrap(points[:, 2])
    lengths = arc_lengths(points)
    start = project_point(points, lengths, inputs.ego[0], inputs.ego[1])
    end = start + speed * (REFERENCE_STEPS - 1) * STEP
    return _Path(points, lengths, start, _corridor(points[:, :2], lengths, start, end))


def _corridor(
    line: Float[np.ndarray, "k 2"], lengths: Float[np.ndarray, "k"], start: float, end: float
) -> Float[np.ndarray, "e 4"]:
    """Return the edges of a line's buffer of half the ego's width, between two arc lengths.

    The corridor begins at the first vertex ahead, not at the ego, as in the reference implementation; only if fewer
    than two vertices lie between the arc lengths, it is cut at these. Beyond the line's end it is the square around
    that.
    """
    start, end = min(start, lengths[-1]), min(end, lengths[-1])
    ahead = line[(start <= lengths) & (lengths <= end)]
    part = shapely.LineString(ahead) if len(ahead) > 1 else substring(shapely.LineString(line), start, end)
    shape = part.buffer(HALF_WIDTH, cap_style="square")
    parts = [part for part in shapely.get_parts(shape) if not part.is_empty]
    rings = [np.array(ring.coords)[:-1] for part in parts for ring in (part.exterior, *part.interiors)]
    return pack([tuple(rings)]).edges if rings else np.zeros((0, 4))


def _start(path: _Path, ego: Float[np.ndarray, "11"], count: int) -> _Rollout:
    rollout = _Rollout(
        np.zeros((count, REFERENCE_STEPS)), np.zeros((count, REFERENCE_STEPS)), np.zeros((count, REFERENCE_STEPS, 3))
    )
    rollout.along[:, 0], rollout.speeds[:, 0] = path.start, ego[3]
    return rollout


def _unroll(
    path: _Path,
    rollout: _Rollout,
    targets: Float[np.ndarray, "q"],
    idm_parameters: IdmParameters,
    obstacles: _Obstacles,
    first: int,
    end: int,
) -> None:
    """Compute the rollout's steps first..end-1."""
    lights = (obstacles.light_edges, obstacles.light_starts, obstacles.light_centers)
    hits = corridor_hits(path.corridor, obstacles.boxes, lights, obstacles.ignored)
    agents = (obstacles.boxes, obstacles.speeds, obstacles.headings)
    state = (rollout.along, rollout.speeds, rollout.leaders)
    model = tuple(float(value) for value in astuple(idm_parameters))
    unroll(path.points, path.lengths, state, targets, model, agents, lights, hits, first, end)


def _obstacles(inputs: PrivilegedInput) -> tuple[_Obstacles, ScoringTraffic]:
    """Forecast obstacles for unrolling and for scoring. Red lights stay red."""
    forecast, lights = _forecast(inputs.traffic, inputs.ego), _lights_now(inputs.lights)
    ego_box, boxes = _ego_box(inputs.ego), forecast.boxes
    touched = touching(ego_box, boxes[0], forecast.present[0])
    shapes = [
        shapely.Polygon(lights.polygons.edges[first:last, :2])
        for first, last in zip(lights.polygons.starts, lights.polygons.starts[1:], strict=False)
    ]
    ego_shape = shapely.Polygon(box_edges(ego_box)[:, :2])
    # A red light counts as overlapped only if the ego is wholly within its connector.
    within = np.array([ego_shape.within(shape) for shape in shapes], dtype=bool)
    obstacles = _Obstacles(
        boxes[::FORECAST_STEPS],
        # Static objects have leader speed 0, whatever the log says.
        np.where(forecast.road_users, np.hypot(*forecast.velocities[0].T), 0.0),
        forecast.poses[0, :, 2],
        lights.polygons.edges,
        lights.polygons.starts,
        np.array([[shape.centroid.x, shape.centroid.y] for shape in shapes]).reshape(-1, 2),
        np.concatenate([touched, within]),
    )
    return obstacles, ScoringTraffic.of(forecast.until(STEPS), lights, touched)


def _lights_now(lights: RedLights) -> RedLights:
    """Return the lights that are red now, held red."""
    on = np.flatnonzero(lights.active[0]) if len(lights.lane_ids) else np.zeros(0, int)
    return RedLights(
        tuple(lights.lane_ids[row] for row in on), lights.polygons.of(on), np.ones((REFERENCE_STEPS, len(on)), bool)
    )


def _ego_box(ego: Float[np.ndarray, "11"]) -> Float[np.ndarray, "6"]:
    box: Float[np.ndarray, "6"] = ego_boxes(ego[None, None])[0, 0]
    return box


def _forecast(traffic: Traffic, ego: Float[np.ndarray, "11"]) -> Traffic:
    """Forecast the objects near the ego at constant velocity along their boxes' axes, over 51 steps.

    Steps go in pairs that share one forecast. At most 50 vehicles, 25 pedestrians, 10 bicycles and 50 static objects
    are used, the nearest of each.
    """
    near = traffic.of(_nearest(traffic, ego))
    heading, velocity = near.poses[0, :, 2], near.velocities[0]
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    backwards = np.abs(wrap_angle(np.arctan2(velocity[:, 1], velocity[:, 0]) - heading)) >= np.pi / 2
    signed = np.where(near.road_users, np.where(backwards, -speed, speed), 0.0)
    way = (signed * np.array([np.cos(heading), np.sin(heading)])).T
    times = np.arange(REFERENCE_STEPS) // FORECAST_STEPS * FORECAST_STEPS * STEP
    poses = np.repeat(near.poses[:1], REFERENCE_STEPS, axis=0)
    poses[..., :2] += times[:, None, None] * way
    return Traffic(
        near.ids,
        near.classes,
        poses,
        np.repeat(near.velocities[:1], REFERENCE_STEPS, axis=0),
        near.sizes,
        np.ones((REFERENCE_STEPS, len(near.ids)), bool),
    )


def _nearest(traffic: Traffic, ego: Float[np.ndarray, "11"]) -> Int[np.ndarray, "k"]:
    """Return the rows of the objects used: static ones, then vehicles, pedestrians, bicycles, each by distance."""
    distance = np.linalg.norm(traffic.poses[0, :, :2] - _ego_box(ego)[:2], axis=1)
    seen = traffic.present[0] & (distance <= FORECAST_RADIUS)
    groups = [("static", ~traffic.road_users)]
    groups += [(kind.name.lower(), traffic.classes == kind) for kind in ROAD_USERS]
    rows = []
    for name, member in groups:
        candidates = np.flatnonzero(seen & member)
        rows.append(candidates[np.argsort(distance[candidates], kind="stable")][: FORECAST_LIMITS[name]])
    return np.concatenate(rows)
