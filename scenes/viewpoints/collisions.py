"""Collision tests between boxes, and drivable-area tests."""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float

from swerve.scenes.road_map import Area, Lane, RoadMap, union_of
from swerve.scenes.tracks import box_footprints
from swerve.scenes.vehicle import Vehicle


def boxes_overlap(a: Float[np.ndarray, "*b 4 2"], b: Float[np.ndarray, "*b 4 2"]) -> Bool[np.ndarray, "*b"]:
    """Test whether rectangles overlap (touching is not overlapping), by the separating axis theorem."""
    edges = np.concatenate([a[..., 1:3, :] - a[..., :2, :], b[..., 1:3, :] - b[..., :2, :]], axis=-2)
    on_a, on_b = a @ np.swapaxes(edges, -1, -2), b @ np.swapaxes(edges, -1, -2)
    apart = (on_a.max(axis=-2) <= on_b.min(axis=-2)) | (on_b.max(axis=-2) <= on_a.min(axis=-2))
    overlap: Bool[np.ndarray, "*b"] = ~apart.any(axis=-1)
    return overlap


def collisions(
    footprint: Float[np.ndarray, "t 4 2"], others: Float[np.ndarray, "n t 4 2"], valid: Bool[np.ndarray, "n t"]
) -> Bool[np.ndarray, "n t"]:
    """Test which agents a moving footprint overlaps, per step.

    Tests are in the xy plane: heights do not count, so that what hangs over the road counts as being on it.
    """
    gap = others.mean(axis=-2) - footprint.mean(axis=-2)
    reach = _radius(footprint) + _radius(others)
    result: Bool[np.ndarray, "n t"] = valid & ((gap**2).sum(axis=-1) < reach**2)
    row, step = np.nonzero(result)
    result[row, step] = boxes_overlap(footprint[step], others[row, step])
    return result


def body_footprints(
    positions: Float[np.ndarray, "t 2"], headings: Float[np.ndarray, "t"], vehicle: Vehicle
) -> Float[np.ndarray, "t 4 2"]:
    """Compute outlines of a vehicle whose rear axle is at these positions."""
    ahead = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    centers = positions + vehicle.rear_axle_to_center * ahead
    return box_footprints(centers, headings, np.broadcast_to(vehicle.size[:2], centers.shape))


def _radius(footprints: Float[np.ndarray, "*b 4 2"]) -> Float[np.ndarray, "*b"]:
    radius: Float[np.ndarray, "*b"] = np.linalg.norm(footprints[..., 0, :] - footprints[..., 2, :], axis=-1) / 2
    return radius


@dataclass(frozen=True)
class DrivableSurface:
    """Drivable surface: union of drivable areas, lanes, intersections and car parks."""

    shape: shapely.Geometry

    @classmethod
    def of(cls, road_map: RoadMap) -> "DrivableSurface":
        """Compute the union of all drivable areas; self-intersecting outlines are repaired."""
        pieces: list[Area | Lane] = [
            *road_map.drivable_areas,
            *road_map.lanes,
            *road_map.intersections,
            *road_map.parking_areas,
        ]
        shape = union_of(pieces)
        shapely.prepare(shape)
        return cls(shape)

    def distance_outside(self, footprints: Float[np.ndarray, "*b 4 2"]) -> Float[np.ndarray, "*b"]:
        """Return the distance in metres of each footprint's worst corner from the surface; 0 where all four are on it.

        Only corners are tested: an island smaller than the vehicle may lie between them.
        """
        corners = footprints.reshape(-1, 2)
        outside = ~shapely.contains_xy(self.shape, corners[:, 0], corners[:, 1])
        distances = np.zeros(len(corners))
        distances[outside] = shapely.distance(self.shape, shapely.points(corners[outside]))
        farthest: Float[np.ndarray, "*b"] = distances.reshape(*footprints.shape[:-2], 4).max(axis=-1)
        return farthest
