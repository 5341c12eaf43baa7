"""Way back to the human's path from any state beside it, in any traffic."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.scenes.log import Scene
from swerve.scenes.polyline import to_frenet
from swerve.scenes.tracks import Tracks
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.collisions import body_footprints, collisions
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory, offset_states
from swerve.scenes.viewpoints.human_limits import relaxations
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.maneuver import Maneuver, ManeuverStart, return_maneuver
from swerve.scenes.viewpoints.path import PathPoints
from swerve.scenes.viewpoints.recovery import unfit_reason
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions

# The foot point is searched this far along the path around the human's position at that time, metres, on chords of this
# length, and then refined.
_REACH, _CHORD, _REFINEMENTS = 60.0, 0.5, 8
# States farther off the path, metres, or turned further from it, radians, have no way back: offsets from the path are
# not defined beyond its centre of curvature, and beyond a right angle a car drives the other way.
_FARTHEST, _LARGEST_TURN = 20.0, np.pi / 3


@dataclass(frozen=True)
class PathOffset:
    """Position of a state relative to the human at the same time.

    Attributes:
        along: arc length of the nearest point on the human's path, metres.
        lateral: metres to the left of the path.
        longitudinal: metres along the path from the human's position.
        heading: radians from the path's heading.
    """

    along: float
    lateral: float
    longitudinal: float
    heading: float


@dataclass(frozen=True)
class WayBack:
    """Way back to the human's path.

    Attributes:
        poses: world_from_ego at the steps after now.
        parameters: provenance, see the parameters of recoveries.
    """

    poses: Float[np.ndarray, "f 4 4"]
    parameters: dict[str, float]


def path_offset(geometry: LogGeometry, now: int, position: Float[np.ndarray, "2"], heading: float) -> PathOffset:
    """Compute where a pose is relative to the human's path and position at a step of the log.

    The nearest point of the path within 60 m of the human is taken; with it the pose is restored to 1e-9 m.
    """
    middle = float(geometry.path.arc_lengths[now])
    start = middle - _REACH
    line = geometry.path.at(np.arange(start, middle + _REACH, _CHORD)).positions[:, :2]
    along = start + float(to_frenet(line, position[None])[0][0])
    for _ in range(_REFINEMENTS):
        at = geometry.path.at(np.array([along]))
        ahead, left = _axes(at)
        gap = position - at.positions[0, :2]
        along += float(gap @ ahead) / max(1.0 - float(at.curvatures[0] * (gap @ left)), 0.2)
    at = geometry.path.at(np.array([along]))
    lateral = float((position - at.positions[0, :2]) @ _axes(at)[1])
    return PathOffset(along, lateral, along - middle, float(wrap_angle(heading - at.headings[0])))


def way_back(
    scene: Scene,
    geometry: LogGeometry,
    past: FrenetTrajectory,
    acceleration: float,
    tracks: Tracks,
    options: RecoveryOptions,
) -> WayBack | str:
    """Compute the way back from a state to the path of the human, or say why there is none.

    It is the return of recoveries (`return_maneuver`) from the state's own position, heading, speed, acceleration and
    curvature, within the same bounds, in which the last steps of the past count too.

    Reasons: "rough_log", "standing" (see `recovery`), "far_off" (more than 20 m off the path, 60 m from the human, or
    60 degrees off the path's heading), "infeasible", "beyond_log", "collision_later", "off_road_later".

    Args:
        scene: window of the log, its history as long as `past`.
        geometry: of the log.
        past: motion of the rear axle up to now, a step of the log each.
        acceleration: along the heading, now, m/s2.
        tracks: other agents from now to the end of the window; all are tracks of the log.
        options: bounds and tolerances.
    """
    if reason := unfit_reason(scene, geometry, options):
        return reason
    now = path_offset(geometry, scene.now, past.positions[-1], float(past.headings[-1]))
    if abs(now.lateral) > _FARTHEST or abs(now.heading) > _LARGEST_TURN or abs(now.longitudinal) > _REACH - 1.0:
        return "far_off"
    start = _start(geometry, now, past, acceleration)
    feet = [path_offset(geometry, scene.now, one, 0.0).along for one in past.positions[:-1]]
    # Headings count from the path's own, which are continuous over the log.
    turns = geometry.path.at(np.array([now.along])).headings[0] + now.heading - past.headings[-1]
    past = replace(past, headings=past.headings + turns)
    found = return_maneuver(scene, geometry, start, (past, np.array([*feet, now.along])), options.bounds)
    if found is None:
        return "infeasible"
    if geometry.beyond_log_ends(found.along, found.drive.speeds):
        return "beyond_log"
    return _conflict(scene, geometry, found.drive, tracks, options) or _found(scene, geometry, found)


def _axes(at: PathPoints) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Return unit vectors along a point's heading and to its left."""
    cos, sin = np.cos(at.headings[0]), np.sin(at.headings[0])
    return np.array([cos, sin]), np.array([-sin, cos])


def _start(geometry: LogGeometry, now: PathOffset, past: FrenetTrajectory, acceleration: float) -> ManeuverStart:
    """Compute the state in the path's Frenet frame; the rates follow from a car that does not slip sideways."""
    at = geometry.path.at(np.array([now.along]))
    bend, bend_slope = float(at.curvatures[0]), float(at.curvature_slopes[0])
    speed, own = float(past.speeds[-1]), past.curvatures[-1:]
    offset = tuple(float(part[0]) for part in offset_states(at, np.array([now.lateral]), np.array([now.heading]), own))
    shrink, cos, sin = 1.0 - bend * now.lateral, np.cos(now.heading), np.sin(now.heading)
    s_dot = speed * cos / shrink
    turning = speed * float(own[0]) - bend * s_dot
    shrinking = -(bend_slope * s_dot * now.lateral + bend * speed * sin)
    s_ddot = (acceleration * cos - speed * sin * turning - s_dot * shrinking) / shrink
    return ManeuverStart(now.along, s_dot, s_ddot, (offset[0], offset[1], offset[2]))


def _conflict(
    scene: Scene, geometry: LogGeometry, drive: FrenetTrajectory, tracks: Tracks, options: RecoveryOptions
) -> str | None:
    """Return whether the way back collides with the tracks or leaves the surface.

    Boxes that overlap the logged ego in the log itself are label errors, as in `recovery`.
    """
    steps = slice(scene.now + 1, scene.now + scene.future + 1)
    later = slice(scene.history + 1, None)
    footprint = body_footprints(drive.positions[later], drive.headings[later], scene.log.vehicle)
    row_of = {track: row for row, track in enumerate(scene.log.tracks.ids)}
    rows = np.array([row_of[track] for track in tracks.ids], dtype=int)
    after = tracks.at(slice(1, None))
    valid = after.valid & ~geometry.ego_contacts[rows, steps]
    if collisions(footprint, after.footprints(), valid).any():
        return "collision_later"
    if geometry.surface is None:
        return None
    slack = geometry.ego_distance_outside[steps] + options.surface_tolerance
    return "off_road_later" if (geometry.surface.distance_outside(footprint) > slack).any() else None


def _found(scene: Scene, geometry: LogGeometry, found: Maneuver) -> WayBack:
    later = slice(scene.history + 1, None)
    drive = found.drive
    poses = geometry.poses_beside(drive.positions[later], drive.headings[later], found.along[later])
    numbers = {
        "rejoin_length": found.length,
        "rejoin_duration": found.duration,
        "rejoins_schedule": float(found.rejoins_schedule),
        "limit_ratio": found.demand,
        **relaxations(found.ratios),
        "surface_checked": float(geometry.surface is not None),
    }
    return WayBack(poses, numbers)
