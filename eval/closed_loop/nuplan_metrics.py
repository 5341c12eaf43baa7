"""nuPlan's closed-loop metrics from their definitions, on shapely: none of NAVSIM's scorer, kernels or contexts.

    score = NC * DAC * DDC * MP * (5 EP + 5 TTC + 4 SL + 2 C) / 16

Definitions, bounds and weights are those of nuplan-devkit v1.2 (planning/metrics/evaluation_metrics, and the
closed-loop weighted averages of planning/script/config/common/metric_aggregator). Two differences: progress is measured
along the human's path, not along the centrelines of its road blocks; and a vehicle is on the lane under its centre of
least difference of heading, where nuPlan follows the lanes of the planned route.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
import shapely
from jaxtyping import Bool, Float

from swerve.eval.closed_loop.nuplan_road import NuPlanRoad
from swerve.eval.scoring.simulate import State
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import ObjectClass, RoadMap, Vehicle

_STEP: Final = 0.1
NUPLAN_METRICS: Final = (
    "no_ego_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "ego_is_making_progress",
    "ego_progress_along_expert_route",
    "time_to_collision_within_bound",
    "speed_limit_compliance",
    "ego_is_comfortable",
)
_WEIGHTS: Final = np.array([5.0, 5.0, 4.0, 2.0])
# Speeds below these are those of standing vehicles: for collisions, and for the time to collision.
_STOPPED, _STOPPED_FOR_TTC = 0.05, 0.005
_LEAST_TTC: Final = 0.95
_OVERSPEED: Final = 2.23
_SHORT_WAY, _LEAST_PROGRESS = 2.0, 0.2
_AHEAD, _BEHIND = np.deg2rad(30.0), np.deg2rad(150.0)
_VULNERABLE: Final = (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE)


@dataclass(frozen=True)
class NuPlanScores:
    """nuPlan's metrics of a rollout.

    Attributes:
        metrics: by name, see `NUPLAN_METRICS`; the speed limit is NaN where the map states none.
        score: their aggregate, 0 to 1.
        ego_progress: metres along the human's path.
        human_progress: length of that path.
    """

    metrics: Mapping[str, float]
    score: float
    ego_progress: float
    human_progress: float


def nuplan_scores(
    states: Float[np.ndarray, "t 11"],
    traffic: Traffic,
    road_map: RoadMap,
    human: Float[np.ndarray, "t 3"],
    vehicle: Vehicle,
) -> NuPlanScores:
    """Return nuPlan's closed-loop metrics and their aggregate.

    Args:
        states: the ego at 10 Hz, columns as in `simulate.State`.
        traffic: the agents at these steps.
        road_map: lanes and areas around the rollout.
        human: rear-axle poses of the human driver at these steps.
        vehicle: dimensions of the ego.
    """
    road = NuPlanRoad.near(road_map, states[:, :2])
    ego = _outlines(_centers(states, vehicle), states[:, 2], vehicle.length, vehicle.width)
    straddling = ~road.in_one_lane(shapely.get_coordinates(ego).reshape(len(ego), 5, 2)[:, :4])
    met = _collisions(states, ego, traffic)
    fault = _at_fault(states, ego, traffic, met, straddling)
    lanes = road.lanes_under(_centers(states, vehicle), states[:, 2])
    made, total = progress_along_path(states[:, :2], human[:, :2])
    ratio = progress_ratio(made, total)
    crossing = straddling | road.in_intersection(states[:, :2])
    values = (
        _collision_score(traffic, fault),
        float(road.distance_off_road(shapely.get_coordinates(ego).reshape(-1, 2)).max() <= 0.3),
        _direction_score(road.progress_along(lanes, _centers(states, vehicle))),
        float(ratio >= _LEAST_PROGRESS),
        ratio,
        _ttc_score(states, ego, traffic, met, fault, crossing),
        speed_limit_score(np.hypot(states[:, State.VELOCITY], states[:, State.LATERAL_VELOCITY]), road.limits(lanes)),
        float(is_comfortable(states)),
    )
    return NuPlanScores(dict(zip(NUPLAN_METRICS, values, strict=True)), aggregate(np.array(values)), made, total)


def aggregate(values: Float[np.ndarray, "8"]) -> float:
    """Return the score of metrics in the order of `NUPLAN_METRICS`; weighted ones that are NaN are left out."""
    weighted = values[4:]
    known = ~np.isnan(weighted)
    return float(np.prod(values[:4]) * (_WEIGHTS @ np.where(known, weighted, 0.0)) / _WEIGHTS[known].sum())


def progress_along_path(ego: Float[np.ndarray, "t 2"], path: Float[np.ndarray, "p 2"]) -> tuple[float, float]:
    """Return the metres between the projections of the ego's ends onto a path, and the path's length."""
    total = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    if total < 1e-6:
        return 0.0, 0.0
    start, end = shapely.line_locate_point(shapely.LineString(path), shapely.points(ego[[0, -1]]))
    return float(end - start), total


def progress_ratio(made: float, total: float) -> float:
    """Return the ego's progress over the human's, at most 1.

    Both count as 2 m where they are less; going back more than 2 m is worth 0.
    """
    if made < -_SHORT_WAY:
        return 0.0
    return min(max(made, _SHORT_WAY) / max(total, _SHORT_WAY), 1.0)


def speed_limit_score(speeds: Float[np.ndarray, "t"], limits: Float[np.ndarray, "t"]) -> float:
    """Return 1 less the mean excess over the limit in units of 2.23 m/s, at least 0; NaN where no limit is known."""
    if np.isnan(limits).all():
        return np.nan
    excess = np.nan_to_num(np.maximum(speeds - limits, 0.0))
    return float(max(1.0 - excess.mean() / _OVERSPEED, 0.0))


def is_comfortable(states: Float[np.ndarray, "t 11"]) -> bool:
    """Return whether accelerations, jerks and yaw motion stay within nuPlan's bounds.

    Accelerations are smoothed and differentiated by Savitzky-Golay filters (order 2), over 8 and 15 steps.
    """
    along, across = states[:, State.ACCELERATION], states[:, State.LATERAL_ACCELERATION]
    magnitude = _smoothed(np.hypot(along, across), 8)
    along, across = _smoothed(along, 8), _smoothed(across, 8)
    heading = np.unwrap(states[:, State.HEADING])
    bounds = (
        (along, -4.05, 2.40),
        (across, -4.89, 4.89),
        (_smoothed(magnitude, 15, 1), -8.37, 8.37),
        (_smoothed(along, 15, 1), -4.13, 4.13),
        (_smoothed(heading, 15, 1), -0.95, 0.95),
        (_smoothed(heading, 15, 2), -1.93, 1.93),
    )
    return all(bool(((low < values) & (values < high)).all()) for values, low, high in bounds)


def _smoothed(values: Float[np.ndarray, "t"], window: int, order: int = 0) -> Float[np.ndarray, "t"]:
    filtered: Float[np.ndarray, "t"] = scipy.signal.savgol_filter(
        values, min(window, len(values)), 2, deriv=order, delta=_STEP
    )
    return filtered


def _centers(states: Float[np.ndarray, "t 11"], vehicle: Vehicle) -> Float[np.ndarray, "t 2"]:
    heading = states[:, 2]
    return states[:, :2] + vehicle.rear_axle_to_center * np.column_stack([np.cos(heading), np.sin(heading)])


def _outlines(
    centers: Float[np.ndarray, "n 2"],
    headings: Float[np.ndarray, "n"],
    length: float | Float[np.ndarray, "n"],
    width: float | Float[np.ndarray, "n"],
) -> np.ndarray:
    """Return boxes as polygons: corners front left, rear left, rear right, front right."""
    halves = np.stack([np.broadcast_to(length, len(centers)), np.broadcast_to(width, len(centers))], axis=1) / 2
    corners = halves[:, None] * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    cos, sin = np.cos(headings)[:, None], np.sin(headings)[:, None]
    x, y = corners[..., 0], corners[..., 1]
    outlines: np.ndarray = shapely.polygons(centers[:, None] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=2))
    return outlines


def _boxes_at(traffic: Traffic, step: int, rows: np.ndarray, after: float = 0.0) -> np.ndarray:
    """Return the agents' boxes at a step, moved on along their headings for some seconds."""
    poses, sizes = traffic.poses[step, rows], traffic.sizes[rows]
    speed = np.hypot(traffic.velocities[step, rows, 0], traffic.velocities[step, rows, 1])
    heading = poses[:, 2]
    moved = poses[:, :2] + (after * speed)[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])
    return _outlines(moved, heading, sizes[:, 0], sizes[:, 1])


def _collisions(states: Float[np.ndarray, "t 11"], ego: np.ndarray, traffic: Traffic) -> dict[int, int]:
    """Return the step of the first contact with each agent that is touched, by its row."""
    first: dict[int, int] = {}
    for step, outline in enumerate(ego):
        rows = np.flatnonzero(traffic.present[step])
        near = rows[np.linalg.norm(traffic.poses[step, rows, :2] - states[step, :2], axis=1) < 30.0]
        touched = near[shapely.intersects(outline, _boxes_at(traffic, step, near))]
        for row in touched.tolist():
            first.setdefault(row, step)
    return first


def _at_fault(
    states: Float[np.ndarray, "t 11"],
    ego: np.ndarray,
    traffic: Traffic,
    met: Mapping[int, int],
    straddling: Bool[np.ndarray, "t"],
) -> dict[int, int]:
    """Return the collisions that nuPlan holds the ego responsible for.

    Those with standing agents, those with the front bumper, and lateral ones while the ego is not within one lane;
    none while the ego stands, and none from behind.
    """
    fault = {}
    for row, step in met.items():
        moving = np.hypot(states[step, State.VELOCITY], states[step, State.LATERAL_VELOCITY]) > _STOPPED
        standing = np.hypot(*traffic.velocities[step, row]) <= _STOPPED
        behind = _bearings(states[step], traffic.poses[step, [row]])[0] > _BEHIND
        corners = shapely.get_coordinates(ego[step])
        bumper = shapely.LineString([corners[0], corners[3]])
        front = shapely.intersects(bumper, _boxes_at(traffic, step, np.array([row]))[0])
        if moving and (standing or (not behind and (front or straddling[step]))):
            fault[row] = step
    return fault


def _bearings(state: Float[np.ndarray, "11"], poses: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """Return the angles between the ego's heading and the ways from its rear axle to points, 0 to pi."""
    ahead = poses[:, :2] - state[:2]
    forward = ahead @ np.array([np.cos(state[2]), np.sin(state[2])])
    cosines = forward / np.maximum(np.linalg.norm(ahead, axis=1), 1e-9)
    angles: Float[np.ndarray, "n"] = np.arccos(np.clip(cosines, -1.0, 1.0))
    return angles


def _collision_score(traffic: Traffic, fault: Mapping[int, int]) -> float:
    """Return 0 if a road user was hit by the ego's fault; objects: 1, 0.5 and 0 for none, one and more."""
    classes = traffic.classes[list(fault)]
    hit = np.isin(classes, (ObjectClass.VEHICLE, *_VULNERABLE))
    return 0.0 if hit.any() else max(1.0 - 0.5 * len(fault), 0.0)


def _direction_score(progress: Float[np.ndarray, "t"]) -> float:
    """Return 1, 0.5 or 0 by how far the ego went against its lanes' directions within a second: 2 m and 6 m."""
    sums = np.concatenate([[0.0], np.cumsum(progress)])
    back = abs(min(float((sums[k + 1] - sums[max(0, k - 10)]).item()) for k in range(len(progress))))
    return 1.0 if back < 2.0 else 0.5 if back < 6.0 else 0.0


def _ttc_score(
    states: Float[np.ndarray, "t 11"],
    ego: np.ndarray,
    traffic: Traffic,
    met: Mapping[int, int],
    fault: Mapping[int, int],
    crossing: Bool[np.ndarray, "t"],
) -> float:
    """Return 0 if at any step ego and an agent, both going straight on, would touch within 0.95 s.

    Agents ahead count, and those beside the ego while it is in an intersection or not within one lane.
    """
    if fault:
        return 0.0
    steps = np.arange(1, int(_LEAST_TTC / _STEP) + 1) * _STEP
    for step, outline in enumerate(ego):
        speed = float(np.hypot(states[step, State.VELOCITY], states[step, State.LATERAL_VELOCITY]))
        rows = np.array([row for row in np.flatnonzero(traffic.present[step]) if met.get(row, step + 1) > step], int)
        if speed <= _STOPPED_FOR_TTC or not len(rows):
            continue
        bearing = _bearings(states[step], traffic.poses[step, rows])
        rows = rows[(bearing < _AHEAD) | (crossing[step] & (bearing <= _BEHIND))]
        way = speed * np.array([np.cos(states[step, 2]), np.sin(states[step, 2])])
        for after in steps:
            moved = shapely.transform(outline, lambda points, shift=way * after: points + shift)
            if shapely.intersects(moved, _boxes_at(traffic, step, rows, after)).any():
                return 0.0
    return 1.0
