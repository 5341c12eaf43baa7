"""Lookups of nuPlan's metrics on a road map: lanes under points, intersections and the drivable surface."""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float

from swerve.eval.closed_loop.closed_loop_scene import speed_limit_of
from swerve.scenes import Lane, LaneType, RoadMap
from swerve.scenes.polyline import heading_at, remove_duplicate_points, to_frenet
from swerve.scenes.transforms import wrap_angle

# Parts of the map farther than this from all points are left out, metres.
_REACH = 30.0


@dataclass(frozen=True)
class NuPlanRoad:
    """Lanes and areas near a rollout as shapely geometry.

    Attributes:
        lanes: lanes and connectors for vehicles that have a direction.
        shapes: their polygons.
        intersections: union of the intersections.
        drivable: union of everything that may be driven on.
        limit_by_id: speed limit of each lane, m/s; a connector without one has the highest of the lanes it joins.
    """

    lanes: tuple[Lane, ...]
    shapes: np.ndarray
    intersections: shapely.Geometry
    drivable: shapely.Geometry
    limit_by_id: dict[str, float]

    @classmethod
    def near(cls, road_map: RoadMap, points: Float[np.ndarray, "t 2"]) -> "NuPlanRoad":
        """Return the part of a map near points."""
        window = shapely.box(*(points.min(axis=0) - _REACH), *(points.max(axis=0) + _REACH))

        def within(outline: np.ndarray, holes: tuple[np.ndarray, ...]) -> shapely.Geometry | None:
            shape = shapely.make_valid(shapely.Polygon(outline[:, :2], [hole[:, :2] for hole in holes]))
            return shape if shape.intersects(window) else None

        areas = (
            road_map.drivable_areas,
            road_map.generic_drivable_areas,
            road_map.intersections,
            road_map.parking_areas,
        )
        drivable = (*road_map.lanes, *(area for layer in areas for area in layer))
        shapes = {id(area): within(area.polygon, area.holes) for area in drivable if len(area.polygon) > 2}
        found = {key: shape for key, shape in shapes.items() if shape is not None}
        lanes = tuple(lane for lane in road_map.lanes if id(lane) in found and _has_direction(lane))
        crossings = [found[id(area)] for area in road_map.intersections if id(area) in found]
        return cls(
            lanes=lanes,
            shapes=np.array([found[id(lane)] for lane in lanes], object),
            intersections=shapely.union_all(crossings),
            drivable=shapely.union_all(list(found.values())),
            limit_by_id={lane.id: speed_limit_of(lane, road_map.lane_by_id) for lane in lanes},
        )

    def in_intersection(self, points: Float[np.ndarray, "t 2"]) -> Bool[np.ndarray, "t"]:
        """Return which points lie in an intersection."""
        inside: Bool[np.ndarray, "t"] = shapely.contains_xy(self.intersections, points[:, 0], points[:, 1])
        return inside

    def distance_off_road(self, points: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, "p"]:
        """Return how far points are from the drivable surface, metres; 0 on it."""
        distance: Float[np.ndarray, "p"] = shapely.distance(self.drivable, shapely.points(points))
        finite: Float[np.ndarray, "p"] = np.nan_to_num(distance, nan=np.inf)
        return finite

    def _holding(self, points: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, "p l"]:
        """Return which lanes hold which points."""
        held = np.zeros((len(points), len(self.lanes)), bool)
        if len(self.lanes):
            tree = shapely.STRtree(self.shapes)
            rows, lanes = tree.query(shapely.points(points), "intersects")
            held[rows, lanes] = True
        return held

    def in_one_lane(self, corners: Float[np.ndarray, "t 4 2"]) -> Bool[np.ndarray, "t"]:
        """Return at which steps all corners lie in one lane, or in it and those that it follows or leads to."""
        held = self._holding(corners.reshape(-1, 2)).reshape(len(corners), 4, -1)
        place = {lane.id: row for row, lane in enumerate(self.lanes)}
        result = np.zeros(len(corners), bool)
        for row, lane in enumerate(self.lanes):
            joined = [row, *(place[name] for name in (*lane.predecessors, *lane.successors) if name in place)]
            result |= held[:, :, row].any(axis=1) & np.all(held[:, :, joined].any(axis=2), axis=1)
        return result

    def lanes_under(self, centers: Float[np.ndarray, "t 2"], headings: Float[np.ndarray, "t"]) -> list[int | None]:
        """Return the row of the lane at each step, by least difference of heading; None where there is none."""
        held = self._holding(centers)
        chosen: list[int | None] = []
        for center, heading, rows in zip(centers, headings, held, strict=True):
            chosen.append(
                min(np.flatnonzero(rows).tolist(), key=lambda row: self._turn(row, center, heading), default=None)
            )
        return chosen

    def _turn(self, row: int, center: Float[np.ndarray, "2"], heading: float) -> float:
        line = remove_duplicate_points(self.lanes[row].centerline)
        along, _ = to_frenet(line, center[None])
        return abs(float(wrap_angle(heading_at(line, along)[0] - heading)))

    def progress_along(self, lanes: list[int | None], centers: Float[np.ndarray, "t 2"]) -> Float[np.ndarray, "t"]:
        """Return the metres made in each step along the lane; 0 where it is another one than at the step before."""
        progress = np.zeros(len(centers))
        for step in range(1, len(centers)):
            row = lanes[step]
            if row is not None and row == lanes[step - 1]:
                along, _ = to_frenet(remove_duplicate_points(self.lanes[row].centerline), centers[step - 1 : step + 1])
                progress[step] = along[1] - along[0]
        return progress

    def limits(self, lanes: list[int | None]) -> Float[np.ndarray, "t"]:
        """Return the speed limit at each step, m/s; NaN where none is known."""
        return np.array([np.nan if row is None else self.limit_by_id[self.lanes[row].id] for row in lanes])


def _has_direction(lane: Lane) -> bool:
    return lane.kind is not LaneType.BICYCLE and len(remove_duplicate_points(lane.centerline)) > 1
