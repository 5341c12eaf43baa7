"""Static town: layout, junctions, streets, connectors, and the road map built from them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.connectors import Connector, build_connectors
from swerve.data.sources.town.hills import hills, lifted
from swerve.data.sources.town.junctions import Arm, Junction, build_junctions, outline
from swerve.data.sources.town.layout import TownLayout, draw_layout
from swerve.data.sources.town.roundabouts import circle
from swerve.data.sources.town.streets import (
    Direction,
    StreetAxis,
    build_direction,
    painted_lines,
    parking_areas,
    road_edges,
    street_area,
    street_axis,
    walkways,
)
from swerve.scenes import (
    Area,
    GroundHeight,
    Lane,
    LaneGroup,
    LaneMarking,
    RoadEdge,
    RoadLine,
    RoadMap,
    StopLine,
    keyed_generator,
)

# Distance of the stop line before the end of its lanes, metres.
STOP_LINE_SETBACK = 0.3


@dataclass(frozen=True)
class TownPlan:
    """Static parts of a town, with their layout.

    Attributes:
        layout: nodes and streets.
        junctions: one junction per node.
        axes: centre line of each street.
        directions: forward and backward lanes of each street.
        connectors: connectors of all junctions.
        road_map: map of the log.
    """

    layout: TownLayout
    junctions: tuple[Junction, ...]
    axes: tuple[StreetAxis, ...]
    directions: tuple[tuple[Direction, Direction], ...]
    connectors: tuple[Connector, ...]
    road_map: RoadMap


def plan_town(name: str, seed: int) -> TownPlan:
    """Build the static town of one log, determined by name and seed only."""
    layout = draw_layout(keyed_generator(seed, name, "layout"))
    ground = hills(layout.nodes, keyed_generator(seed, name, "hills"))
    generators = (keyed_generator(seed, name, kind) for kind in ("junctions", "roundabouts"))
    junctions = build_junctions(layout, *generators)
    axes = tuple(_axis(layout, junctions, index) for index in range(len(layout.streets)))
    directions = tuple((build_direction(axis, False, ground), build_direction(axis, True, ground)) for axis in axes)
    connectors, groups = [], []
    for number, junction in enumerate(junctions):
        if not junction.is_boundary:
            traffic = [_traffic(directions[arm.street], arm) for arm in junction.arms]
            built, built_groups = build_connectors(number, junction, traffic, ground)
            connectors += built
            groups += built_groups
    road_map = _road_map(junctions, axes, directions, tuple(connectors), groups, ground)
    return TownPlan(layout, junctions, axes, directions, tuple(connectors), road_map)


def _axis(layout: TownLayout, junctions: tuple[Junction, ...], index: int) -> StreetAxis:
    """Build the centre line of a street."""
    street = layout.streets[index]
    reaches = [
        next(arm.lane_end_distance for arm in junctions[node].arms if (arm.street, arm.outgoing) == (index, outgoing))
        for node, outgoing in ((street.start, True), (street.end, False))
    ]
    return street_axis(index, street, (junctions[street.start], junctions[street.end]), (reaches[0], reaches[1]))


def _traffic(directions: tuple[Direction, Direction], arm: Arm) -> tuple[Direction, Direction]:
    """Return the incoming and outgoing directions of an arm."""
    forward, backward = directions
    return (backward, forward) if arm.outgoing else (forward, backward)


def _road_map(
    junctions: tuple[Junction, ...],
    axes: tuple[StreetAxis, ...],
    directions: tuple[tuple[Direction, Direction], ...],
    connectors: tuple[Connector, ...],
    connector_groups: list[LaneGroup],
    ground: GroundHeight,
) -> RoadMap:
    """Assemble the road map."""
    real = [(number, junction) for number, junction in enumerate(junctions) if not junction.is_boundary]
    crossings = [area for number, junction in real for area in _crossings(number, junction, ground)]
    areas = [_junction_area(number, junction, ground) for number, junction in real]
    kerbs = [edge for number, junction in real for edge in _corner_edges(number, junction, ground)]
    corners = [area for number, junction in real for area in _corner_walkways(number, junction, ground)]
    return RoadMap(
        lanes=_linked(directions, connectors),
        ground=ground,
        lane_groups=_linked_groups(directions, connector_groups),
        drivable_areas=(*(street_area(axis, ground) for axis in axes), *areas),
        intersections=tuple(area for area, (_, junction) in zip(areas, real, strict=True) if len(junction.arms) > 2),
        crosswalks=tuple(crossings),
        walkways=(*(area for axis in axes for area in walkways(axis, ground)), *corners),
        parking_areas=tuple(area for axis in axes for area in parking_areas(axis, ground)),
        road_lines=(*(line for axis in axes for line in painted_lines(axis, ground)), *_bend_lines(connectors)),
        road_edges=(*(edge for axis in axes for edge in road_edges(axis, ground)), *kerbs),
        stop_lines=tuple(line for number, junction in real for line in _stop_lines(number, junction, directions)),
    )


def _junction_area(number: int, junction: Junction, ground: GroundHeight) -> Area:
    """Return the surface of a junction, without the central island of a roundabout."""
    islands = () if junction.ring is None else (lifted(ground, circle(junction.position, junction.ring.island)),)
    return Area(f"junction-{number}", lifted(ground, _resampled(outline(junction))), islands)


def _bend_lines(connectors: tuple[Connector, ...]) -> list[RoadLine]:
    """Return the markings along bends: left ones, the middle only once, and outermost right ones."""
    lines = []
    for connector in connectors:
        lane = connector.lane
        if lane.left_marking.color != "yellow" or lane.left_marking is LaneMarking.SOLID_YELLOW or connector.arm == 0:
            lines.append(RoadLine(f"{lane.id}-left", lane.left_boundary, lane.left_marking))
        if lane.right_marking is LaneMarking.SOLID_WHITE:
            lines.append(RoadLine(f"{lane.id}-right", lane.right_boundary, lane.right_marking))
    return [line for line in lines if line.paint is not LaneMarking.NONE]


def _linked(directions: tuple[tuple[Direction, Direction], ...], connectors: tuple[Connector, ...]) -> tuple[Lane, ...]:
    """Return all lanes; street lanes get their predecessors and successors."""
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for connector in connectors:
        after.setdefault(connector.lane.predecessors[0], []).append(connector.lane.id)
        before.setdefault(connector.lane.successors[0], []).append(connector.lane.id)
    lanes = [lane for pair in directions for way in pair for lane in (*way.lanes, way.bicycle) if lane is not None]
    linked = [
        replace(lane, predecessors=tuple(before.get(lane.id, ())), successors=tuple(after.get(lane.id, ())))
        for lane in lanes
    ]
    return (*linked, *(connector.lane for connector in connectors))


def _linked_groups(
    directions: tuple[tuple[Direction, Direction], ...], connector_groups: list[LaneGroup]
) -> tuple[LaneGroup, ...]:
    """Return all groups; street groups get their predecessors and successors."""
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for group in connector_groups:
        after.setdefault(group.predecessors[0], []).append(group.id)
        before.setdefault(group.successors[0], []).append(group.id)
    own = [group for pair in directions for way in pair for group in (way.group, way.bicycle_group) if group]
    linked = [
        replace(group, predecessors=tuple(before.get(group.id, ())), successors=tuple(after.get(group.id, ())))
        for group in own
    ]
    return (*linked, *connector_groups)


def _crossings(number: int, junction: Junction, ground: GroundHeight) -> list[Area]:
    """Return the pedestrian crossings, from kerb to kerb."""
    areas = []
    for index, arm in enumerate(junction.arms):
        if arm.crossing is not None:
            near, far = arm.crossing
            across = np.linspace(-arm.kerb_out, arm.kerb_in, 7)
            rim = [junction.point(arm, far, lateral) for lateral in across]
            rim += [junction.point(arm, near, lateral) for lateral in across[::-1]]
            areas.append(Area(f"junction-{number}-crossing-{index}", lifted(ground, np.array(rim))))
    return areas


def _corner_edges(number: int, junction: Junction, ground: GroundHeight) -> list[RoadEdge]:
    """Return the kerbs at the corners, and that of a roundabout's island."""
    kerbs = [junction.kerb(row) for row in range(len(junction.arms))]
    if junction.ring is not None:
        island = circle(junction.position, junction.ring.island)
        kerbs.append(np.concatenate([island, island[:1]]))
    return [RoadEdge(f"junction-{number}-edge-{row}", lifted(ground, kerb)) for row, kerb in enumerate(kerbs)]


def _corner_walkways(number: int, junction: Junction, ground: GroundHeight) -> list[Area]:
    """Return the pavements at the corners."""
    areas = []
    for row in range(len(junction.arms)):
        widths = junction.arms[row].walkway, junction.arms[(row + 1) % len(junction.arms)].walkway
        rim = np.concatenate([junction.kerb(row), junction.kerb(row, widths)[::-1]])
        areas.append(Area(f"junction-{number}-walkway-{row}", lifted(ground, rim)))
    return areas


def _stop_lines(number: int, junction: Junction, directions: tuple[tuple[Direction, Direction], ...]) -> list[StopLine]:
    """Return a line across the lanes of each arm whose traffic may have to stop."""
    lines = []
    for index, arm in enumerate(junction.arms):
        if must_stop(junction, index):
            inbound, _ = _traffic(directions[arm.street], arm)
            lanes = [*inbound.lanes, *([inbound.bicycle] if inbound.bicycle else [])]
            ends = np.stack([lanes[0].left_boundary[-2:], lanes[-1].right_boundary[-2:]])
            step = ends[:, 0] - ends[:, 1]
            points = ends[:, 1] + step / np.linalg.norm(step[:, :2], axis=1)[:, None] * STOP_LINE_SETBACK
            lines.append(StopLine(f"junction-{number}-stop-{index}", points, tuple(lane.id for lane in lanes)))
    return lines


def must_stop(junction: Junction, arm: int) -> bool:
    """Test whether an arm's traffic has a stop line: at signals, on minor arms, and before crossings."""
    real = len(junction.arms) > 2
    return real and (
        junction.signalised or arm not in junction.priority_arms or junction.arms[arm].crossing is not None
    )


def _resampled(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Drop points closer than 5 cm to their predecessor."""
    gaps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    kept: Float[np.ndarray, "m 2"] = points[gaps > 0.05]
    return kept
