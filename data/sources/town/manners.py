"""Human variation of driving: lateral offset and wander, preferred speed and its fluctuation.

Wander is an Ornstein-Uhlenbeck process along the path (exponential autocorrelation), smoothed so that its curvature is
finite. It is of the size of sober drivers' weaving in the on-the-road test, about 0.19 m (Verster and Roth 2011, Int.
J. Gen. Med. 4, 359-371). Preferred speeds over the limit are normal; half of the cars exceed it,
and 5 % do so by a third, as on Britain's 30 mph roads (Department for Transport 2023, Vehicle speed compliance
statistics 2022).
"""

from dataclasses import dataclass
from itertools import accumulate
from math import erfc, exp

import numpy as np
import scipy
from jaxtyping import Float

from swerve.data.sources.town.traffic_state import SPACING

# Metres over which lateral position and pace stay alike, and over which they are smoothed.
_MEMORY, _SMOOTHING = 16.0, 7.0
_PACE_MEMORY = 60.0
_WANDER, _OFFSET = (0.22, 0.36), 0.2
_PACE, _PACE_BOUNDS, _PACE_CHANGE = (1.0, 0.2), (0.6, 1.45), 0.04
# Vehicles keep so far from their lane's edge, metres, and so near to the middle of connectors.
_TO_EDGE, _IN_JUNCTION = 0.25, 0.15
# What remains for wide vehicles: so near to the edge, and between so much and so much to either side, metres.
_LEAST_TO_EDGE, _LEAST_ROOM = 0.1, (0.02, 0.12)


@dataclass(frozen=True)
class Manner:
    """Lateral and speed behaviour of a driver along a path, a value every `SPACING` metres.

    Attributes:
        lateral: wanted position, metres left of the lane's middle, before lanes' widths bound it.
        pace: share of the limit that is wanted.
    """

    lateral: Float[np.ndarray, "n"]
    pace: Float[np.ndarray, "n"]


def draw_manner(length: float, wander: float, generator: np.random.Generator) -> Manner:
    """A manner for a path.

    Args:
        length: of the path, metres.
        wander: factor of all deviations from the lane's middle and from a steady pace; 0 for none.
        generator: where its randomness comes from.
    """
    count = int(length / SPACING) + 2
    offset, spread = generator.normal(0.0, _OFFSET), generator.uniform(*_WANDER)
    weaving, mood = (
        ornstein_uhlenbeck(count, memory, _SMOOTHING, generator.standard_normal(count))
        for memory in (_MEMORY, _PACE_MEMORY)
    )
    return Manner(wander * (offset + spread * weaving), 1.0 + wander * _PACE_CHANGE * mood)


def draw_pace(generator: np.random.Generator) -> float:
    """Sample the preferred ratio to the speed limit."""
    return float(np.clip(generator.normal(*_PACE), *_PACE_BOUNDS))


def ornstein_uhlenbeck(
    count: int, memory: float, smoothing: float, noise: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Compute a smooth stationary process of standard deviation one.

    Args:
        count: of values, `SPACING` apart.
        memory: distance at which the autocorrelation has fallen to 1/e before smoothing, metres.
        smoothing: standard deviation of the Gaussian that smooths it, metres.
        noise: independent standard normal values.
    """
    keep = np.exp(-SPACING / memory)
    drive = noise * np.sqrt(1 - keep**2)
    drive[:1] = noise[:1]
    # scipy.signal.lfilter gives the same bits, and takes 0.3 s to import in every process.
    rough = np.array(list(accumulate(drive.tolist(), lambda last, new: keep * last + new)))
    # A Gaussian leaves exp(r^2) erfc(r) of the variance of an exponential autocorrelation.
    ratio = smoothing / memory
    left = exp(ratio**2) * erfc(ratio)
    smooth: Float[np.ndarray, "n"] = scipy.ndimage.gaussian_filter1d(
        rough, smoothing / SPACING, mode="nearest"
    ) / np.sqrt(left)
    return smooth


def bounded(
    lateral: Float[np.ndarray, "n"],
    lane_width: Float[np.ndarray, "n"],
    width: float | Float[np.ndarray, "n"],
    inside: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Bound lateral positions smoothly (tanh) to what leaves the box within its lane.

    Args:
        lateral: wanted, metres left of the lane's middle.
        lane_width: of the lane at each point, metres.
        width: of the vehicle, or of what it sweeps at each point, metres.
        inside: 1 within junctions, 0 elsewhere, between them in transitions.
    """
    beside = (lane_width - width) / 2
    room = np.maximum(beside - _TO_EDGE, np.clip(beside - _LEAST_TO_EDGE, _LEAST_ROOM[0], _LEAST_ROOM[1]))
    room = room + (np.minimum(room, _IN_JUNCTION) - room) * inside
    position: Float[np.ndarray, "n"] = room * np.tanh(lateral / room)
    return position
