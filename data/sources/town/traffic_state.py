"""State of the simulation: tables of vehicles, walkers and rules.

Lists of lists are flat arrays with a `start` array: the rows of item i are start[i] to start[i + 1].
"""

from typing import NamedTuple

import numpy as np

SPACING = 0.5  # metres between points of a path
WALK_SPACING = 0.25  # metres between points of a walker's route


class Paths(NamedTuple):
    """Vehicle paths: position, direction and largest speed every `SPACING` metres."""

    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    speed: np.ndarray


class Bodies(NamedTuple):
    """Vehicles: distances from the reference point to the bumpers and the rear axle (hitch), and driver parameters."""

    length: np.ndarray
    width: np.ndarray
    front: np.ndarray
    rear: np.ndarray
    hitch: np.ndarray
    acceleration: np.ndarray
    braking: np.ndarray
    headway: np.ndarray
    rolls: np.ndarray
    yellow: np.ndarray
    safe: np.ndarray
    turns_on_red: np.ndarray


class Changes(NamedTuple):
    """Lane changes that vehicles may make: path, arc lengths of begin and end, metres to the left, and bias (m/s2)."""

    start: np.ndarray
    path: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    side: np.ndarray
    bias: np.ndarray


class Stops(NamedTuple):
    """Junctions along the paths: connector, and arc lengths of the stop line and of the connector's end."""

    start: np.ndarray
    connector: np.ndarray
    line: np.ndarray
    end: np.ndarray


class Crosswalks(NamedTuple):
    """Pedestrian crossings along the paths: index, arc lengths of both sides, and position of the path across it."""

    start: np.ndarray
    crossing: np.ndarray
    enter: np.ndarray
    leave: np.ndarray
    across: np.ndarray


class Rules(NamedTuple):
    """Right of way: signal states of connectors, their rank (0 first), whether to halt, turn at red, approach slowly.

    `conflict[c, b]` is the row of `zones` with (enter, leave) on c and (enter, leave) on b, or -1.
    """

    states: np.ndarray
    rank: np.ndarray
    halt: np.ndarray
    on_red: np.ndarray
    cautious: np.ndarray
    origin: np.ndarray
    conflict: np.ndarray
    zones: np.ndarray


class PedestrianRoutes(NamedTuple):
    """Routes of walkers, their speeds, and the legs on crossings: (arc length, distance across) at both ends."""

    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    speed: np.ndarray
    leg_start: np.ndarray
    leg_crossing: np.ndarray
    leg_ends: np.ndarray
    allowed: np.ndarray


class Vehicles(NamedTuple):
    """State of the vehicles.

    `cosine` and `sine` are those of the headings. `path` is a row of Paths, Stops and Zebras; `stop` is the first
    junction not yet left; `changing` the arc length at which a lane change ends, negative without one; `granted` and
    `halted` have the rows of Stops.
    """

    along: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray
    heading: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    x: np.ndarray
    y: np.ndarray
    active: np.ndarray
    path: np.ndarray
    changing: np.ndarray
    stop: np.ndarray
    granted: np.ndarray
    halted: np.ndarray
    blocked: np.ndarray
    gap: np.ndarray
    lead: np.ndarray
    lead_speed: np.ndarray
    zebra_gap: np.ndarray


class Pedestrians(NamedTuple):
    """State of the walkers; `leg` is the next or current crossing leg, `crossing` whether they are on it."""

    along: np.ndarray
    speed: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    leg: np.ndarray
    crossing: np.ndarray
