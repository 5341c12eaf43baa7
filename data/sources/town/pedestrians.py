"""Graph of pavements and crossings, and walkers' routes on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float

from swerve.data.sources.town.curves import Curve, left_of
from swerve.data.sources.town.jaywalking import UnmarkedCrossing
from swerve.data.sources.town.junctions import Junction
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.signals import SLOW_WALK
from swerve.data.sources.town.town_options import TownOptions
from swerve.data.sources.town.traffic_state import WALK_SPACING
from swerve.scenes import keyed_generator
from swerve.scenes.polyline import arc_lengths, interpolate_at, remove_duplicate_points

# Graph node: index of a junction, of one of its arms, and the side (+1 left of the arm, -1 right).
Place = tuple[int, int, int]
_RANGE = 90.0
_ROUTE = 75.0
# How much more often pedestrians cross between junctions where parked vehicles hide them: what is rare is of interest.
_SCREENED = 2.0


@dataclass(frozen=True)
class Leg:
    """Edge between two nodes.

    Attributes:
        to: where it leads.
        points: its line, in the middle of the pavement or the crossing.
        crossing: number of the crossing, -1 on pavements.
        kerbs: rows of the points at which a leg with a crossing leaves one kerb and gains the other.
        leftward: whether it leads over the crossing from its right to its left kerb.
    """

    to: Place
    points: Curve
    crossing: int = -1
    kerbs: tuple[int, int] = (0, 0)
    leftward: bool = False


@dataclass(frozen=True)
class Walker:
    """Pedestrian at the start of the simulation.

    Attributes:
        points: route, a point every `WALK_SPACING` metres.
        along: arc length at the start.
        speed: m/s.
        crossings: indices of the crossings on the route.
        ends: for each, arc length and distance across (from the arm's right kerb) of its start and end, in the
            order (arc length, arc length, across, across).
    """

    points: Curve
    along: float
    speed: float
    crossings: tuple[int, ...]
    ends: Float[np.ndarray, "c 4"]


def crossings_of(plan: TownPlan) -> list[tuple[int, int]]:
    """List all crossings as (junction, arm); their order is their index, also in the road map."""
    return [
        (number, index)
        for number, junction in enumerate(plan.junctions)
        if not junction.is_boundary
        for index, arm in enumerate(junction.arms)
        if arm.crossing is not None
    ]


def draw_walkers(
    plan: TownPlan,
    unmarked: Sequence[UnmarkedCrossing],
    way: Float[np.ndarray, "n 2"],
    options: TownOptions,
    name: str,
    seed: int,
) -> list[Walker]:
    """Sample pedestrians near the ego's path.

    Args:
        plan: the town.
        unmarked: where they cross streets between junctions.
        way: points of the ego's way.
        options: how many there are.
        name: name of the log.
        seed: seed of the source.
    """
    generator = keyed_generator(seed, name, "pedestrians")
    legs, weights = _legs(plan, unmarked), _weights(plan, unmarked, options.jaywalkers)
    walkers, marked = [], len(crossings_of(plan))
    for place, ways in legs.items():
        for leg in ways:
            near = np.linalg.norm(leg.points[:, None] - way[::20], axis=2).min() < _RANGE
            if near and not 0 <= leg.crossing < marked:
                length, share = _stretch(leg, weights)
                count = generator.poisson(options.pedestrians / 200.0 * share * length)
                walkers += [_draw_walker(legs, place, leg, length, weights, generator) for _ in range(count)]
    return [walker for walker in walkers if walker is not None]


def _stretch(leg: Leg, weights: Float[np.ndarray, "w"]) -> tuple[float, float]:
    """Return the metres of pavement at the beginning of a leg, and the share of those on it who take this leg.

    On the way to a place between junctions these are some of those who walk beside the street.
    """
    along = arc_lengths(leg.points)
    if leg.crossing < 0:
        return float(along[-1]), 1.0
    taken = float(weights[leg.crossing])
    return float(along[leg.kerbs[0]]), taken / (1.0 + 2.0 * taken)


def _draw_walker(
    legs: dict[Place, list[Leg]],
    start: Place,
    first: Leg,
    length: float,
    weight: Float[np.ndarray, "w"],
    generator: np.random.Generator,
) -> Walker | None:
    """Sample a walker who starts in the first metres of an edge; None where the route is too short."""
    route, total, last = [first], arc_lengths(first.points)[-1], start
    begin = generator.uniform(0.05, 0.95) * length
    while total < begin + _ROUTE:
        choices = [leg for leg in legs.get(route[-1].to, []) if leg.to != last]
        weights = weight[[leg.crossing for leg in choices]]
        if not weights.any():
            return None
        last = route[-1].to
        route.append(choices[int(generator.choice(len(choices), p=weights / weights.sum()))])
        total += arc_lengths(route[-1].points)[-1]
    lateral, speed = -generator.uniform(0.55, 1.1), generator.uniform(SLOW_WALK, 1.5)
    return _walker(route, float(lateral), float(begin), float(speed))


def _weights(plan: TownPlan, unmarked: Sequence[UnmarkedCrossing], jaywalks: float) -> Float[np.ndarray, "w"]:
    """Return the weights with which pedestrians choose legs, by their crossing; the last one is for pavements."""
    between = [jaywalks * (_SCREENED if place.screens else 1.0) for place in unmarked]
    return np.array([*[3.0] * len(crossings_of(plan)), *between, 1.0])


def _walker(route: list[Leg], lateral: float, begin: float, speed: float) -> Walker:
    """Build the walker on a route, with a lateral offset to the left (walkers keep right)."""
    line = remove_duplicate_points(np.concatenate([leg.points for leg in route]))
    along = np.arange(0.0, arc_lengths(line)[-1], WALK_SPACING)
    middle = interpolate_at(line, along)
    smooth = scipy.ndimage.gaussian_filter1d(middle, 0.8 / WALK_SPACING, axis=0, mode="nearest")
    steps = np.gradient(smooth, axis=0)
    normals = left_of(steps / np.linalg.norm(steps, axis=1, keepdims=True))
    shifted = scipy.ndimage.gaussian_filter1d(smooth + lateral * normals, 0.6 / WALK_SPACING, axis=0, mode="nearest")
    length = arc_lengths(shifted)
    points = interpolate_at(shifted, np.arange(0.0, length[-1], WALK_SPACING))
    crossings, ends, passed = [], [], 0.0
    for leg in route:
        size = arc_lengths(leg.points)[-1]
        if leg.crossing >= 0:
            crossings.append(leg.crossing)
            ends.append(_kerbs(leg, passed, along, length))
        passed += size
    return Walker(
        points, float(np.interp(begin, along, length)), speed, tuple(crossings), np.array(ends).reshape(-1, 4)
    )


def _kerbs(
    leg: Leg, passed: float, along: Float[np.ndarray, "n"], length: Float[np.ndarray, "n"]
) -> tuple[float, float, float, float]:
    """Return the arc lengths at which a crossing leg leaves one kerb and reaches the other, and both positions."""
    reached = arc_lengths(leg.points)[list(leg.kerbs)]
    begin, end = (float(value) for value in np.interp(passed + reached, along, length))
    wide = float(reached[1] - reached[0])
    return (begin, end, 0.0, wide) if leg.leftward else (begin, end, wide, 0.0)


def _legs(plan: TownPlan, unmarked: Sequence[UnmarkedCrossing]) -> dict[Place, list[Leg]]:
    """Build the graph: along streets, round corners, over crossings and between them, each in both directions."""
    legs: dict[Place, list[Leg]] = {}

    def join(first: Place, then: Place, points: Curve, crossing: int = -1, kerb: int = 0) -> None:
        last = len(points) - 1
        legs.setdefault(first, []).append(Leg(then, points, crossing, (kerb, kerb + 1), True))
        legs.setdefault(then, []).append(Leg(first, points[::-1], crossing, (last - kerb - 1, last - kerb), False))

    numbers = crossings_of(plan)
    for crossing, (node, arm) in enumerate(numbers):
        join((node, arm, -1), (node, arm, 1), _over(plan.junctions[node], arm), crossing, 1)
    for number, junction in enumerate(plan.junctions):
        if not junction.is_boundary:
            for arm in range(len(junction.arms)):
                following = (arm + 1) % len(junction.arms)
                join((number, arm, 1), (number, following, -1), _round(junction, arm))
    for index in range(len(plan.axes)):
        for side in (-1, 1):
            first, then, points = _beside(plan, index, side)
            join(first, then, points)
    for number, place in enumerate(unmarked):
        for begin, end, points, kerb in _between(plan, place):
            join(begin, end, points, len(numbers) + number, kerb)
    return legs


def _between(plan: TownPlan, place: UnmarkedCrossing) -> Iterator[tuple[Place, Place, Curve, int]]:
    """From both ends of a street's right pavement over the road to both ends of its left one; row of the right kerb."""
    right, left = (_beside(plan, place.street, side) for side in (-1, 1))
    ways = (right[0], right[2][: place.row + 1]), (right[1], right[2][: place.row - 1 : -1])
    onward = (left[1], left[2][place.row :]), (left[0], left[2][place.row :: -1])
    for begin, before in ways:
        for end, after in onward:
            yield begin, end, np.concatenate([before, place.kerbs, after]), len(before)


def _gate(junction: Junction, arm: int, side: int) -> Float[np.ndarray, "2"]:
    """Return the node on the pavement at an arm's crossing."""
    at = junction.arms[arm]
    distance = sum(at.crossing) / 2 if at.crossing is not None else at.lane_end_distance - 2.0
    return junction.point(at, distance, at.kerb_in + at.walkway / 2 if side > 0 else -at.kerb_out - at.walkway / 2)


def _over(junction: Junction, arm: int) -> Curve:
    """Return the line over an arm's crossing, from its right to its left pavement; inner points lie at the kerbs."""
    at = junction.arms[arm]
    distance = sum(at.crossing or (0.0, 0.0)) / 2
    kerbs = [junction.point(at, distance, lateral) for lateral in (-at.kerb_out, at.kerb_in)]
    return np.array([_gate(junction, arm, -1), *kerbs, _gate(junction, arm, 1)])


def _round(junction: Junction, arm: int) -> Curve:
    """Return the line round the corner from an arm's left node to the next arm's right node."""
    following = (arm + 1) % len(junction.arms)
    first, then = junction.arms[arm], junction.arms[following]
    curve = junction.kerb(arm, (first.walkway / 2, then.walkway / 2))
    start, end = _gate(junction, arm, 1), _gate(junction, following, -1)
    rows = slice(
        int(np.linalg.norm(curve - start, axis=1).argmin()) + 1, int(np.linalg.norm(curve - end, axis=1).argmin())
    )
    return np.concatenate([start[None], curve[rows], end[None]])


def _beside(plan: TownPlan, index: int, side: int) -> tuple[Place, Place, Curve]:
    """Return the line along a street's pavement, on the side (+1 left of its line), between both ends' nodes."""
    axis, street = plan.axes[index], plan.axes[index].street
    kerb = street.kerb(street.backward if side > 0 else street.forward)
    line = axis.at(side * (kerb + street.walkway / 2))
    first, then = _arm_number(plan, street.start, index, True), _arm_number(plan, street.end, index, False)
    places = (street.start, first, side), (street.end, then, -side)
    ends = [
        _gate(plan.junctions[node], arm, which)[None] if not plan.junctions[node].is_boundary else line[row : row + 1]
        for (node, arm, which), row in zip(places, (0, len(line) - 1), strict=True)
    ]
    return (*places, np.concatenate([ends[0], line[1:-1], ends[1]]))


def _arm_number(plan: TownPlan, node: int, street: int, outgoing: bool) -> int:
    """Return the index of a street's arm at a node."""
    arms = plan.junctions[node].arms
    return next(row for row, arm in enumerate(arms) if (arm.street, arm.outgoing) == (street, outgoing))
