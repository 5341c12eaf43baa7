"""Routes of AlpaSim's messages: driving commands of routes, and routes ahead of a driver."""

import json
from typing import Any, Final

import numpy as np
import scipy
from jaxtyping import Float

from swerve.eval.alpasim.protocol import protocol
from swerve.scenes.polyline import arc_lengths, remove_duplicate_points
from swerve.scenes.viewpoints import Command, driving_command

# AlpaSim's routes have this many waypoints over this length, metres; those that there are not are NaN.
WAYPOINTS: Final = 20
LENGTH: Final = 80.0
SPACING: Final = LENGTH / (WAYPOINTS - 1)
# A route whose first waypoint is farther ahead than this begins ahead of the car (route_start_offset_m), metres.
_AHEAD: Final = 6.0
_FINE: Final = 0.25
# The arc that stands for a turn where the route is not known, metres: 6 m to the side after 20 m.
_RADIUS: Final = 30.0
# How `renderer_data` names the command, and the longest that is looked at, bytes.
_KEY, _LONGEST = "swerve_command", 200
# Waypoints beyond this are no part of what decides the command, metres.
_DECISIVE: Final = 120.0


def route_command(waypoints: Float[np.ndarray, "n 2"]) -> Command:
    """Return the driving command of a route by NAVSIM's rule, see `driving_command`.

    The route's direction and its point 20 m ahead are those of a cubic spline through the waypoints, which are 4.2 m
    apart. A route that begins ahead of the car is joined to it by a cubic curve. UNKNOWN without a route, or with
    one that begins more than 120 m away.

    Args:
        waypoints: x, y in the rig frame of now, the first beside the car or ahead of it; without those that are NaN.
    """
    points = remove_duplicate_points(waypoints, 1e-3) if len(waypoints) > 1 else waypoints
    if len(points) < 2 or np.hypot(*points[0]) > _DECISIVE:
        return Command.UNKNOWN
    points = _decisive(points)
    if points[0, 0] > _AHEAD:
        return driving_command(np.concatenate([_joined(points), points[1:]]), 0.0, None)
    curve = _curve(points)
    direction = curve(0.0, 1)
    steps = np.arange(0.0, float(curve.x[-1]) + _FINE, _FINE).clip(max=float(curve.x[-1]))
    return driving_command(curve(steps), float(np.arctan2(direction[1], direction[0])), None)


def waypoints_of(message: Any) -> Float[np.ndarray, "n 2"]:  # noqa: ANN401
    """Return x, y of the waypoints of a `Route`, up to the first that is not finite: AlpaSim pads routes with NaN."""
    rows = np.array([(one.x, one.y) for one in message.waypoints], dtype=np.float64).reshape(-1, 2)
    finite = np.isfinite(rows).all(axis=1)
    return rows if finite.all() else rows[: int(np.argmin(finite))]


def route_message(waypoints: Float[np.ndarray, "n 2"], time_us: int) -> Any:  # noqa: ANN401
    """Return the `Route` of waypoints in the rig frame, padded with NaN to AlpaSim's number."""
    messages = protocol()
    rows = np.full((max(WAYPOINTS, len(waypoints)), 3), np.nan)
    rows[: len(waypoints)] = np.column_stack([waypoints, np.zeros(len(waypoints))])
    return messages.Route(timestamp_us=time_us, waypoints=[messages.Vec3(x=x, y=y, z=z) for x, y, z in rows])


def command_bytes(command: Command) -> bytes:
    """Return a command as the `renderer_data` of a drive call, which AlpaSim leaves to renderers."""
    return json.dumps({_KEY: command.name}).encode()


def told_command(renderer_data: bytes) -> Command | None:
    """Return the command that `command_bytes` wrote; None of any other data."""
    if not renderer_data.startswith(b"{") or len(renderer_data) > _LONGEST:
        return None
    try:
        found = json.loads(renderer_data)
    except (ValueError, RecursionError):
        return None
    name = found.get(_KEY) if isinstance(found, dict) else None
    return next((one for one in Command if one.name == name), None)


def command_route(command: Command) -> Float[np.ndarray, "n 2"]:
    """Return a route that has a command, where no more is known: straight on, or an arc; nothing for UNKNOWN."""
    if command is Command.UNKNOWN:
        return np.zeros((0, 2))
    lengths = SPACING * np.arange(WAYPOINTS)
    if command is Command.STRAIGHT:
        return np.column_stack([lengths, np.zeros(WAYPOINTS)])
    # A quarter turn, then straight on.
    turned = np.minimum(lengths / _RADIUS, np.pi / 2)
    rest = lengths - turned * _RADIUS
    left = _RADIUS * (1.0 - np.cos(turned)) + rest
    return np.column_stack([_RADIUS * np.sin(turned), left if command is Command.LEFT else -left])


def _decisive(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Return the points of a route up to 120 m from its first; of a longer first step so much of it."""
    lengths = arc_lengths(points)
    if lengths[1] > _DECISIVE:
        return np.stack([points[0], points[0] + (points[1] - points[0]) * (_DECISIVE / lengths[1])])
    return points[: max(int(np.searchsorted(lengths, _DECISIVE)), 2)]


def _curve(points: Float[np.ndarray, "n 2"]) -> Any:  # noqa: ANN401 scipy publishes no types
    """Return the cubic spline through points, by the length of their polyline."""
    return scipy.interpolate.CubicSpline(
        arc_lengths(points), points, bc_type="not-a-knot" if len(points) > 3 else "natural"
    )


def _joined(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "k 2"]:
    """Return the curve from the car, along its heading, to the first waypoint, along the route's direction."""
    direction = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
    reach = float(np.linalg.norm(points[0]))
    ends = np.stack([np.zeros(2), points[0]])
    curve = scipy.interpolate.CubicHermiteSpline([0.0, 1.0], ends, reach * np.stack([np.array([1.0, 0.0]), direction]))
    joined: Float[np.ndarray, "k 2"] = curve(np.linspace(0.0, 1.0, 81))
    return joined
