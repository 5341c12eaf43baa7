"""Planar poses at other times: between those known, and beyond them."""

import numpy as np
from jaxtyping import Float, Int


def sampled(
    times_us: Int[np.ndarray, "n"], poses: Float[np.ndarray, "n 3"], query_us: Int[np.ndarray, "q"]
) -> Float[np.ndarray, "q 3"]:
    """Return x, y, heading at other times: linearly between the known ones; after the last straight on at its speed.

    Headings are to be unwrapped. Before the first time, and after a single one, the nearest pose is held.
    """
    start = times_us[0]
    seconds, query = (times_us - start) * 1e-6, (query_us - start) * 1e-6
    found = np.stack([np.interp(query, seconds, column) for column in poses.T], axis=1)
    if len(times_us) > 1:
        velocity = (poses[-1, :2] - poses[-2, :2]) / (seconds[-1] - seconds[-2])
        found[:, :2] += np.maximum(query - seconds[-1], 0.0)[:, None] * velocity
    return found


def along_arc(
    velocity: Float[np.ndarray, "2"], yaw_rate: float, seconds: Float[np.ndarray, "q"]
) -> Float[np.ndarray, "q 3"]:
    """Return x, y, heading at times from now, past or future, of a car that keeps its velocity and yaw rate.

    Args:
        velocity: forward and left, in the ego frame of each time, m/s.
        yaw_rate: rad/s, counter-clockwise.
        seconds: times from now.
    """
    turned = yaw_rate * seconds
    # Integrals of the cosine and sine of the heading over time, exact also where it hardly turns.
    half = turned / 2.0
    chord = seconds * np.sinc(half / np.pi)
    forward, left = chord * np.cos(half), chord * np.sin(half)
    x, y = velocity[0] * forward - velocity[1] * left, velocity[0] * left + velocity[1] * forward
    return np.column_stack([x, y, turned])
