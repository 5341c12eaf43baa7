"""Velocity and acceleration at a time from positions at or before it: causal estimates for inputs of planners.

A parabola is fitted by least squares to the samples of the last 0.3 s, including that time; its first and second
derivative at that time are the velocity and the acceleration. Motion at constant acceleration is reproduced exactly;
central differences would need the next sample, which is to be predicted. On two Argoverse 2 logs windows of 0.2 and
0.5 s are further from the smoothed motion.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

# 0.3 s, and half a step of 0.1 s more, since times jitter.
WINDOW_US: Final = 350_000
# Gaps longer than this are not bridged.
_LONGEST_GAP_US: Final = 550_000
# With fewer samples in the window, earlier ones are used up to this number, if there is no gap in between.
_FEWEST: Final = 3
_UNIT_US: Final = 300_000

Moments = tuple[Float[np.ndarray, "n t 5"], Float[np.ndarray, "n t 3 d"]]


def causal_rates(
    values: Float[np.ndarray, "n t d"], valid: Bool[np.ndarray, "n t"], times_us: Int[np.ndarray, "t"]
) -> tuple[Float[np.ndarray, "n t d"], Float[np.ndarray, "n t d"]]:
    """Compute first and second derivatives at each step, from the valid samples of the 0.35 s up to it.

    Where fewer than three lie within, those before count too, up to three; none counts beyond a gap of more than
    0.55 s. Of two samples the first derivative is their difference and the second zero; of one both are zero, as they
    are at steps that are not valid. Derivatives do not depend on how far from zero the values are.
    """
    moments, sums = _summed(values, valid, times_us)
    zeroth, first, second = moments[..., 0], moments[..., 1], moments[..., 2]
    per_second = 1e6 / _UNIT_US
    enough, two = (zeroth >= _FEWEST)[..., None], (zeroth == 2)[..., None]
    normal = moments[..., np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])]
    parabola = np.linalg.solve(np.where(enough[..., None], normal, np.eye(3)), sums)
    spread = np.maximum(zeroth * second - first**2, 1e-12)[..., None]
    line = (zeroth[..., None] * sums[..., 1, :] - first[..., None] * sums[..., 0, :]) / spread
    rates = np.where(enough, parabola[..., 1, :], np.where(two, line, 0.0)) * per_second
    return rates, np.where(enough, 2.0 * parabola[..., 2, :], 0.0) * per_second**2


def _summed(
    values: Float[np.ndarray, "n t d"], valid: Bool[np.ndarray, "n t"], times_us: Int[np.ndarray, "t"]
) -> Moments:
    """Sums over each step's samples of powers of their times, and of those times their values, relative to the step."""
    count, steps, width = values.shape
    moments, sums = np.zeros((count, steps, 5)), np.zeros((count, steps, 3, width))
    reached, open_ = np.broadcast_to(times_us, (count, steps)).copy(), valid.copy()
    for lag in range(steps):
        ages = times_us[lag:] - times_us[: steps - lag]
        here = open_[:, lag:] & valid[:, : steps - lag]
        gap = reached[:, lag:] - times_us[: steps - lag]
        inside = (ages <= WINDOW_US) | (moments[:, lag:, 0] < _FEWEST)
        open_[:, lag:] &= (gap <= _LONGEST_GAP_US) & inside
        if not open_[:, lag:].any():
            break
        here &= open_[:, lag:]
        times = np.where(here, -ages / _UNIT_US, 0.0)[..., None]
        moments[:, lag:] += here[..., None] * times ** np.arange(5)
        moved = np.where(here[..., None], values[:, : steps - lag] - values[:, lag:], 0.0)
        sums[:, lag:] += (times ** np.arange(3))[..., None] * moved[..., None, :]
        reached[:, lag:] = np.where(here, times_us[: steps - lag], reached[:, lag:])
    return moments, sums


def planar_motion(
    poses: Float[np.ndarray, "t 3"], times_us: Int[np.ndarray, "t"]
) -> tuple[Float[np.ndarray, "t 2"], Float[np.ndarray, "t 2"], Float[np.ndarray, "t"]]:
    """Velocity and acceleration (forward, left) and yaw rate at each of the poses (x, y, heading), from those up to it.

    See `causal_rates`; m/s, m/s2 and rad/s.
    """
    values = np.column_stack([poses[:, :2], np.unwrap(poses[:, 2])])[None]
    rates, bends = causal_rates(values, np.ones((1, len(poses)), bool), times_us)
    return in_own_frame(rates[0, :, :2], poses[:, 2]), in_own_frame(bends[0, :, :2], poses[:, 2]), rates[0, :, 2]


def in_own_frame(vectors: Float[np.ndarray, "t 2"], headings: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 2"]:
    """Vectors of the world as (forward, left) of who has these headings."""
    cos, sin = np.cos(headings), np.sin(headings)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=1)
