"""Unfiltered sub-scores of simulated proposals, and their causes."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt8

from swerve.eval.context.map_polygons import Surfaces
from swerve.eval.scoring.comfort import comfort_bounds_kept
from swerve.eval.scoring.score_kernels import NON_DRIVABLE as OFF_SURFACE
from swerve.eval.scoring.score_kernels import (
    along_centerline,
    collisions,
    ego_areas,
    ego_boxes,
    red_light_entries,
    time_to_collision,
    wrong_way_distances,
)
from swerve.eval.scoring.thresholds import (
    DIRECTION_COMPLIANT,
    DIRECTION_VIOLATED,
    HISTORY_COMFORT_WEIGHT,
    LANE_KEEPING_WEIGHT,
    PROGRESS_FLOOR,
    PROGRESS_WEIGHT,
    TTC_WEIGHT,
)
from swerve.eval.traffic.traffic import ScoringTraffic
from swerve.scenes.polyline import arc_lengths


class Metric(IntEnum):
    """Columns of sub-scores, in the order of NAVSIM's tables."""

    NO_AT_FAULT_COLLISIONS = 0
    DRIVABLE_AREA_COMPLIANCE = 1
    DRIVING_DIRECTION_COMPLIANCE = 2
    TRAFFIC_LIGHT_COMPLIANCE = 3
    EGO_PROGRESS = 4
    TIME_TO_COLLISION_WITHIN_BOUND = 5
    LANE_KEEPING = 6
    HISTORY_COMFORT = 7


METRIC_NAMES = tuple(metric.name.lower() for metric in Metric)
# Columns that multiply the score, and those of which it has the weighted mean, with their weights.
MULTIPLICATIVE = slice(Metric.EGO_PROGRESS)
WEIGHTED = slice(Metric.EGO_PROGRESS, None)
WEIGHTS = np.array([PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT])


@dataclass(frozen=True)
class ScoringMap:
    """The static part of a scene.

    Attributes:
        surfaces: the map around the ego.
        on_route: which surfaces are lanes of the corrected route.
        centerline: (x, y, heading) along the route.
    """

    surfaces: Surfaces
    on_route: Bool[np.ndarray, "p"]
    centerline: Float[np.ndarray, "k 3"]


@dataclass(frozen=True)
class SubScores:
    """Sub-scores of proposals before progress is compared. Steps, tracks and corners of -1: no event.

    Attributes:
        metrics: columns as in `Metric`; EGO_PROGRESS is not filled (NaN).
        progress: metres along the centreline, not below 0.
        collision: first at-fault step; then step, track (row of the traffic) and kind of the worst.
        ttc: step, track and steps ahead of the first violation.
        light: step and light of the first violation.
        off_surface: step and corner (front left, rear left, rear right, front right) of the first violation.
        wrong_way: metres driven against the route within the worst second.
        lane_left: step at which lane keeping fails.
        comfort: whether each bound is kept, see comfort.QUANTITIES.
        areas: bits per step, see score_kernels.
    """

    metrics: Float[np.ndarray, "n 8"]
    progress: Float[np.ndarray, "n"]
    collision: Int[np.ndarray, "n 4"]
    ttc: Int[np.ndarray, "n 3"]
    light: Int[np.ndarray, "n 2"]
    off_surface: Int[np.ndarray, "n 2"]
    wrong_way: Float[np.ndarray, "n"]
    lane_left: Int[np.ndarray, "n"]
    comfort: Bool[np.ndarray, "n 6"]
    areas: UInt8[np.ndarray, "n t"]

    @property
    def product(self) -> Float[np.ndarray, "n"]:
        """Return the product of the multiplicative sub-scores."""
        return product_of(self.metrics)

    def of(self, rows: Int[np.ndarray, "k"]) -> "SubScores":
        """Select the given proposals."""
        return SubScores(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    @classmethod
    def concatenate(cls, parts: "list[SubScores]") -> "SubScores":
        """Concatenate sub-scores."""
        return cls(**{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)})


def compute_sub_scores(
    states: Float[np.ndarray, "n t 11"],
    scoring_map: ScoringMap,
    scoring_traffic: ScoringTraffic,
    history: Float[np.ndarray, "h 11"] | None,
) -> SubScores:
    """Compute all sub-scores but ego progress, which is relative.

    Args:
        states: simulated, see `simulate`.
        scoring_map: the map.
        scoring_traffic: the agents.
        history: the ego's states before now, for comfort; None to leave them out.
    """
    boxes = ego_boxes(states)
    areas, corners = areas_under(states, boxes, scoring_map)
    others = (scoring_traffic.boxes, scoring_traffic.present)
    no_collision, collision = collisions(
        states,
        boxes,
        areas,
        *others,
        scoring_traffic.stopped,
        scoring_traffic.road_user,
        scoring_traffic.ignored,
        scoring_traffic.bounds,
    )
    ttc, ttc_event = time_to_collision(states, boxes, areas, *others, scoring_traffic.ignored, scoring_traffic.bounds)
    light, light_event = red_light_entries(
        boxes,
        scoring_traffic.lights.polygons.edges,
        scoring_traffic.lights.polygons.starts,
        scoring_traffic.lights.active,
    )
    wrong_way = wrong_way_distances(boxes, areas)
    progress, lane_left = along_centerline(boxes, areas, scoring_map.centerline, arc_lengths(scoring_map.centerline))
    comfort = comfort_bounds_kept(states, history)
    off = _first_off(areas, corners)
    direction = np.where(wrong_way < DIRECTION_COMPLIANT, 1.0, np.where(wrong_way < DIRECTION_VIOLATED, 0.5, 0.0))
    columns = (
        no_collision,
        off[:, 0] < 0,
        direction,
        light,
        np.full(len(states), np.nan),
        ttc,
        lane_left < 0,
        comfort.all(axis=1),
    )
    metrics = np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)
    return SubScores(metrics, progress, collision, ttc_event, light_event, off, wrong_way, lane_left, comfort, areas)


def areas_under(
    states: Float[np.ndarray, "n t 11"], boxes: Float[np.ndarray, "n t 6"], scoring_map: ScoringMap
) -> tuple[UInt8[np.ndarray, "n t"], Int8[np.ndarray, "n t"]]:
    """Return the area bits of ego boxes, see score_kernels; and the first corner off the road, or -1."""
    surfaces = scoring_map.surfaces
    ground = (
        surfaces.edges,
        surfaces.starts,
        surfaces.corner,
        surfaces.cells,
        surfaces.covered,
        surfaces.cell_starts,
    )
    areas: tuple[UInt8[np.ndarray, "n t"], Int8[np.ndarray, "n t"]] = ego_areas(
        states, boxes, ground, surfaces.layers, scoring_map.on_route
    )
    return areas


def _first_off(areas: UInt8[np.ndarray, "n t"], corners: Int8[np.ndarray, "n t"]) -> Int[np.ndarray, "n 2"]:
    off = np.bitwise_and(areas, OFF_SURFACE).astype(bool)
    step = off.argmax(axis=1)
    events = np.stack([step, corners[np.arange(len(step)), step]], axis=1).astype(np.int64)
    return np.where(off.any(axis=1)[:, None], events, -1)


def product_of(metrics: Float[np.ndarray, "*n 8"]) -> Float[np.ndarray, "*n"]:
    """Return the product of the four multiplicative sub-scores."""
    return np.asarray(metrics[..., MULTIPLICATIVE].prod(axis=-1))


def compared_progress(
    progress: Float[np.ndarray, "n"], best: Float[np.ndarray, "n"] | Float[np.ndarray, ""] | float
) -> Float[np.ndarray, "n"]:
    """Compute EP: progress over the best (progress times product) compared with; 1 if the best is below the floor."""
    share = np.clip(progress / np.maximum(best, PROGRESS_FLOOR), 0.0, 1.0)
    return np.where(np.asarray(best) > PROGRESS_FLOOR, share, 1.0)


def pdm_score(metrics: Float[np.ndarray, "*n 8"]) -> Float[np.ndarray, "*n"]:
    """Compute NAVSIM's `pdm_score` column: EPDMS without extended comfort."""
    return np.asarray(product_of(metrics) * (metrics[..., WEIGHTED] @ WEIGHTS) / WEIGHTS.sum())
