"""Obstructions as places with right of way, like junctions: vehicles that pass them yield to the other lane."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swerve.data.sources.town.obstructions import CLEARANCE, MOVING_OUT, STOP_BEFORE, STOP_ONCOMING, Obstruction
from swerve.data.sources.town.routes import lane_width
from swerve.data.sources.town.traffic_state import Rules
from swerve.scenes import Lane, LightState

_RANK_OF_PASSING = 3


@dataclass(frozen=True)
class Gate:
    """A place on a lane where vehicles may have to wait because of an obstruction.

    Attributes:
        number: used like a connector's in the tables; even for those who pass, odd for the other lane.
        line: arc length on the lane at which to stop, metres.
        end: arc length at which a vehicle that has left it is out of the way, metres.
        width: narrower vehicles stay in their lane and need not wait; None where all must.
    """

    number: int
    line: float
    end: float
    width: float | None


def gates_of(lanes: Mapping[str, Lane], obstructions: Mapping[str, Obstruction], first: int) -> dict[str, list[Gate]]:
    """Return the gates of each lane that has some.

    Args:
        lanes: by id.
        obstructions: by the ids of their lanes.
        first: number of the first gate, after those of the connectors.
    """
    gates: dict[str, list[Gate]] = {}
    for row, here in enumerate(obstructions.values()):
        number, lane, other = first + 2 * row, lanes[here.lane], lanes[here.other]
        begin, end = here.begin, here.end
        room = lane_width(lane) / 2 - here.inner - CLEARANCE
        gates.setdefault(here.lane, []).append(Gate(number, begin - STOP_BEFORE, end + MOVING_OUT, room))
        if here.oncoming:
            scale = other.lengths[-1] / lane.lengths[-1]
            begin, end = (lane.lengths[-1] - end) * scale, (lane.lengths[-1] - begin) * scale
        gate = Gate(number + 1, float(begin - STOP_ONCOMING), float(end + STOP_BEFORE), None)
        gates.setdefault(here.other, []).append(gate)
    return gates


def with_obstructions(rules: Rules, obstructions: Mapping[str, Obstruction]) -> Rules:
    """Return the rules with two more rows per obstruction: for its own lane, and for the other lane, with priority."""
    count, extra = len(rules.rank), 2 * len(obstructions)
    ranks = np.tile([_RANK_OF_PASSING, 0], len(obstructions)).astype(np.int64)
    conflict = np.full((count + extra,) * 2, -1, np.int64)
    conflict[:count, :count] = rules.conflict
    zones = [rules.zones]
    for row, here in enumerate(obstructions.values()):
        passing, other, number = count + 2 * row, count + 2 * row + 1, len(rules.zones) + 2 * row
        conflict[passing, other], conflict[other, passing] = number, number + 1
        size = here.end - here.begin
        spans = (0.0, STOP_BEFORE + size + MOVING_OUT / 2), (0.0, STOP_ONCOMING + size + STOP_BEFORE / 2)
        zones.append(np.array([[*spans[0], *spans[1]], [*spans[1], *spans[0]]]))
    green = np.full((extra, rules.states.shape[1]), LightState.GREEN, np.uint8)
    none = np.zeros(extra, bool)
    return Rules(
        np.concatenate([rules.states, green]),
        np.concatenate([rules.rank, ranks]),
        np.concatenate([rules.halt, none]),
        np.concatenate([rules.on_red, none]),
        np.concatenate([rules.cautious, none]),
        np.concatenate([rules.origin, rules.origin.max(initial=-1) + 1 + np.arange(extra)]),
        conflict,
        np.concatenate(zones),
    )
