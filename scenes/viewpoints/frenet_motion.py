"""Motion in the Frenet frame of a path: decaying offsets, and the resulting curvature and speed."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from swerve.scenes.viewpoints.path import DrivenPath, PathPoints

State = tuple[float, float, float]
_States = tuple[Float[np.ndarray, "*c 1"], Float[np.ndarray, "*c 1"], Float[np.ndarray, "*c 1"]]


def quintic_decay(
    start: State | _States, length: Float[np.ndarray, "*c"] | float, x: Float[np.ndarray, "*c t"]
) -> tuple[Float[np.ndarray, "*c t"], Float[np.ndarray, "*c t"], Float[np.ndarray, "*c t"]]:
    """Evaluate the quintic from (value, slope, bend) at x = 0 to (0, 0, 0) at x = length, zero beyond.

    With minimal jerk between such states it is the usual choice for driving (Werling et al., "Optimal trajectory
    generation for dynamic street scenarios in a Frenet frame", ICRA 2010).

    Returns:
        value, first and second derivative at x (0 and more).
    """
    width = np.asarray(length, dtype=np.float64)[..., None]
    u = np.minimum(x / width, 1.0)
    a0, a1, a2 = start[0], start[1] * width, start[2] * width**2 / 2
    value, slope, bend = -(a0 + a1 + a2), -(a1 + 2 * a2), -2 * a2
    a3, a4, a5 = 10 * value - 4 * slope + bend / 2, -15 * value + 7 * slope - bend, 6 * value - 3 * slope + bend / 2
    return (
        a0 + u * (a1 + u * (a2 + u * (a3 + u * (a4 + u * a5)))),
        (a1 + u * (2 * a2 + u * (3 * a3 + u * (4 * a4 + u * 5 * a5)))) / width,
        (2 * a2 + u * (6 * a3 + u * (12 * a4 + u * 20 * a5))) / width**2,
    )


def quartic_decay(
    start: State, length: Float[np.ndarray, "*c"], x: Float[np.ndarray, "*c t"]
) -> tuple[Float[np.ndarray, "*c t"], Float[np.ndarray, "*c t"]]:
    """Evaluate the quartic from (value, slope, bend) at x = 0 with zero slope and bend at x = length, constant beyond.

    Returns:
        value and first derivative at x (0 and more).
    """
    width = length[..., None]
    u = np.minimum(x / width, 1.0)
    slope = start[1] * (1 + 2 * u) * (1 - u) ** 2 + start[2] * width * u * (1 - u) ** 2
    gain = start[1] * (u - u**3 + u**4 / 2) + start[2] * width * (u**2 / 2 - 2 * u**3 / 3 + u**4 / 4)
    return start[0] + width * gain, slope


@dataclass(frozen=True)
class FrenetTrajectory:
    """Motion of a rear axle, candidates by steps: heading in radians (continuous), speed in m/s along it, 1/m."""

    positions: Float[np.ndarray, "*b 2"]
    headings: Float[np.ndarray, "*b"]
    speeds: Float[np.ndarray, "*b"]
    curvatures: Float[np.ndarray, "*b"]

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order of the attributes."""
        return self.positions, self.headings, self.speeds, self.curvatures

    def of(self, row: int) -> "FrenetTrajectory":
        """Return one candidate."""
        return FrenetTrajectory(*(getattr(self, field.name)[row] for field in fields(self)))

    def then(self, other: "FrenetTrajectory") -> "FrenetTrajectory":
        """Concatenate these steps and the other's."""
        pairs = [(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)]
        return FrenetTrajectory(*(np.concatenate(pair) for pair in pairs))


def drive_beside(
    path: DrivenPath,
    along: Float[np.ndarray, "*b"],
    pace: Float[np.ndarray, "*b"],
    offset: tuple[Float[np.ndarray, "*b"], Float[np.ndarray, "*b"], Float[np.ndarray, "*b"]],
) -> FrenetTrajectory:
    """Compute the motion at arc lengths `along`, passed at `pace` m/s, `offset` to the left of the path.

    Args:
        path: the reference.
        along: arc length, metres.
        pace: its rate, m/s.
        offset: metres, and its first and second derivative by arc length. Formulas: Werling et al. 2010, appendix.
    """
    value, slope, bend = offset
    at = path.at(along)
    shrink = 1 - at.curvatures * value
    turn = np.arctan2(slope, shrink)
    left = np.stack([-np.sin(at.headings), np.cos(at.headings)], axis=-1)
    twist = (at.curvature_slopes * value + at.curvatures * slope) * np.tan(turn)
    curvature = ((bend + twist) * np.cos(turn) ** 2 / shrink + at.curvatures) * np.cos(turn) / shrink
    return FrenetTrajectory(
        at.positions[..., :2] + value[..., None] * left, at.headings + turn, pace * np.hypot(shrink, slope), curvature
    )


def offset_state(at: PathPoints, value: float, turn: float) -> State:
    """Compute `offset_states` of a single point."""
    value, slope, bend = (float(part[0]) for part in offset_states(at, np.array([value]), np.array([turn])))
    return value, slope, bend


def offset_states(
    at: PathPoints,
    value: Float[np.ndarray, "*b"],
    turn: Float[np.ndarray, "*b"],
    curvature: Float[np.ndarray, "*b"] | None = None,
) -> tuple[Float[np.ndarray, "*b"], Float[np.ndarray, "*b"], Float[np.ndarray, "*b"]]:
    """Return (value, slope, bend) of the offset of a car with a heading offset, and its own curvature or the path's.

    Args:
        at: points of the path.
        value: metres to the left.
        turn: heading offset, radians, less than a right angle.
        curvature: of the car's path, 1/m; None for the path's.
    """
    shrink = 1 - at.curvatures * value
    slope = shrink * np.tan(turn)
    twist = (at.curvature_slopes * value + at.curvatures * slope) * np.tan(turn)
    own = at.curvatures if curvature is None else curvature
    bend = (own * shrink / np.cos(turn) - at.curvatures) * shrink / np.cos(turn) ** 2 - twist
    return value, slope, bend
