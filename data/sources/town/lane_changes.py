"""Lane changes that drivers would like to make: other paths, which they take if the gaps allow it when they get there.

A change lasts 5.5 s on average (5 to 6 s: Toledo and Zohar 2007, Transportation Research Record 1999; 6.3 s: Lee, Olsen
and Wierwille 2004, DOT HS 809 702), less where the street is too short for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swerve.data.sources.town.obstructions import Obstruction
from swerve.data.sources.town.routes import Handling, LaneChange, Path, build_path, change_lane, draw_route
from swerve.scenes import Lane

_SECONDS, _SECONDS_BOUNDS = (5.5, 1.2), (3.5, 8.0)
_SHORTEST = 26.0
# Metres: kept from both ends of the lane; between places where a change may begin; how far ahead changes are planned.
_FROM_START, _TO_END = 3.0, 10.0
_APART, _PLACES = 8.0, 3
_PLANNED = 260.0
# What a change is worth to drivers who want the other lane anyway, m/s2 (MOBIL's bias), and their share.
_BIAS, _WANT_ANYWAY = 0.8, 0.6


@dataclass(frozen=True)
class ChangedPath:
    """A path that is a driver's own until a lane change begins.

    Attributes:
        path: the whole path.
        begin: arc length of the path at which the change begins, metres.
        end: arc length at which it has ended.
        side: metres from the old to the new lane, left positive.
        bias: how much the driver wants the other lane, m/s2.
    """

    path: Path
    begin: float
    end: float
    side: float
    bias: float


def draw_changes(
    lanes: dict[str, Lane],
    route: tuple[str, ...],
    along: float,
    handling: Handling,
    obstructions: Mapping[str, Obstruction],
    length: float,
    generator: np.random.Generator,
) -> tuple[ChangedPath, ...]:
    """Up to three places at which a driver may change to one lane beside the route; none where nothing is suitable.

    Args:
        lanes: by id.
        route: of the driver.
        along: arc length of the reference point at the start, metres.
        handling: how the route is driven.
        obstructions: obstructions on lanes; there are no lane changes beside them.
        length: of the paths, metres.
        generator: where its randomness comes from.
    """
    starts = np.concatenate([[0.0], np.cumsum([lanes[lane].lengths[-1] for lane in route])])
    rows = [row for row in range(len(route)) if starts[row] < along + _PLANNED]
    choices = [(row, beside) for row in rows for beside in _beside(lanes[route[row]], obstructions)]
    if not choices:
        return ()
    row, beside = choices[int(generator.integers(len(choices)))]
    old, new = lanes[route[row]], lanes[beside]
    seconds = float(np.clip(generator.normal(*_SECONDS), *_SECONDS_BOUNDS))
    wanted = seconds * 0.8 * handling.pace * (old.speed_limit or 0.0)
    bias = _BIAS if generator.random() < _WANT_ANYWAY else 0.0
    onward = draw_route(lanes, new.id, max(length - starts[row], 1.0), generator)
    changes = _places(old, new, row, max(_FROM_START, along - starts[row] + 4.0), wanted)
    return tuple(_changed(lanes, (*route[:row], *onward), handling, obstructions, change, bias) for change in changes)


def _beside(lane: Lane, obstructions: Mapping[str, Obstruction]) -> list[str]:
    """The lanes that one may change to from a lane."""
    beside = [name for name in (lane.left_neighbor, lane.right_neighbor) if name is not None]
    group = f"{lane.group_id}-"
    narrow = any(name.startswith(group) for here in obstructions.values() for name in (here.lane, here.other))
    return [] if narrow else beside


def _places(old: Lane, new: Lane, row: int, first: float, wanted: float) -> list[LaneChange]:
    """Changes that begin at several places of a lane, each long enough."""
    last = float(old.lengths[-1]) - _TO_END
    length = min(wanted, last - first)
    begins = first + _APART * np.arange(_PLACES)
    if length < _SHORTEST:
        return []
    lengths = [min(length, last - begin) for begin in begins]
    places = zip(begins, lengths, strict=True)
    return [change_lane(old, new, row, float(begin), span) for begin, span in places if span >= _SHORTEST]


def _changed(
    lanes: dict[str, Lane],
    route: tuple[str, ...],
    handling: Handling,
    obstructions: Mapping[str, Obstruction],
    change: LaneChange,
    bias: float,
) -> ChangedPath:
    """The path with one change."""
    path = build_path(lanes, route, handling, obstructions, change)
    begin = path.starts[change.row] + change.begin
    return ChangedPath(path, float(begin), float(path.starts[change.row] + change.end), change.side, bias)
