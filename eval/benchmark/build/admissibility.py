"""Admissibility of scenes: the initial ego pose must not violate a multiplicative sub-score."""

from typing import Final

import numpy as np

from swerve.eval.context.map_polygons import surfaces_around
from swerve.eval.context.route import lanes_of
from swerve.eval.context.scene_context import ego_box_at, locate_on_route
from swerve.eval.scoring.score_kernels import CENTER_IN_INTERSECTION, NON_DRIVABLE, ONCOMING, red_light_entries
from swerve.eval.scoring.sub_scores import areas_under
from swerve.eval.traffic.track_kernels import touching
from swerve.eval.traffic.traffic import frames_of, logged_traffic, red_lights
from swerve.scenes import Ego, Scene, SwerveError, Tracks
from swerve.scenes.viewpoints import LogGeometry
from swerve.scenes.viewpoints.collisions import body_footprints, collisions

COLLISION: Final = "collision"
OFF_ROAD: Final = "off_road"
WRONG_WAY: Final = "wrong_way"
RED_LIGHT: Final = "red_light"
COLLISION_BEFORE: Final = "collision_before"
OFF_ROAD_BEFORE: Final = "off_road_before"
# How much further than the logged ego a corner may leave the drivable surface in a history, metres.
_SURFACE_SLACK = 0.2


def violation(scene: Scene) -> str | None:
    """Return the violation of the initial ego pose by the scorer's kernels and vehicle; None if there is none.

    "collision" (NC): its box touches a track, whoever is at fault. "off_road" (DAC): a corner is off the drivable
    surface. "wrong_way" (DDC): its centre is on no lane of the route and in no intersection. "red_light" (TLC): its box
    touches a connector of the route whose light is red. If there are several, the first in this order is returned.

    Raises:
        SwerveError: the route cannot be found from that pose.
    """
    log, frames = scene.log, frames_of(scene)
    pose = np.array([*log.ego.positions[scene.now, :2], log.ego.headings[scene.now]])
    box, traffic = ego_box_at(pose), logged_traffic(scene, frames)
    if touching(box, traffic.boxes[0], traffic.present[0]).any():
        return COLLISION
    if log.road_map is None:
        raise SwerveError(f"log {log.name} has no map")
    boxes, states = box[None, None], np.array([*pose, *np.zeros(8)])[None, None]
    scoring_map = locate_on_route(log, surfaces_around(log.road_map, box[:2]), pose).scoring_map
    area = int(areas_under(states, boxes, scoring_map)[0][0, 0])
    if area & NON_DRIVABLE:
        return OFF_ROAD
    if area & ONCOMING and not area & CENTER_IN_INTERSECTION:
        return WRONG_WAY
    red = red_lights(scene, frames[:1], lanes_of(log.road_map, log.route), 1)
    compliant, _ = red_light_entries(boxes, red.polygons.edges, red.polygons.starts, red.active)
    return None if compliant[0] == 1.0 else RED_LIGHT


def history_violation(geometry: LogGeometry, first: int, tracks: Tracks, ego: Ego) -> str | None:
    """Return what a follow-up's history violates at any of its steps; None if nothing.

    "collision_before": its box overlaps a track, other than one that overlaps the logged ego at that step.
    "off_road_before": a corner is off the drivable surface by more than the logged ego's worst corner and 0.2 m.

    Args:
        geometry: of the log.
        first: step of the log at which history and tracks begin.
        tracks: the other agents from that step on.
        ego: states of the history.
    """
    steps, boxes = slice(first, first + len(ego)), slice(0, len(ego))
    footprint = body_footprints(ego.positions[:, :2], ego.headings, geometry.log.vehicle)
    others, valid = tracks.footprints()[:, boxes], tracks.valid[:, boxes]
    valid = valid & ~collisions(geometry.ego_footprints[steps], others, valid)
    if collisions(footprint, others, valid).any():
        return COLLISION_BEFORE
    if geometry.surface is None:
        return None
    off = geometry.surface.distance_outside(footprint) > geometry.ego_distance_outside[steps] + _SURFACE_SLACK
    return OFF_ROAD_BEFORE if off.any() else None
