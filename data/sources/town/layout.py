"""Layout of a town: junctions, streets between them, and their cross-sections."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

# Speed limits in m/s of streets with one, two and three lanes each way.
_LIMITS = {1: (30 / 3.6, 40 / 3.6, 50 / 3.6), 2: (50 / 3.6,), 3: (50 / 3.6, 60 / 3.6)}
_JITTER = 5.0


@dataclass(frozen=True)
class Carriageway:
    """Cross-section of one direction of a street, from the inner to the outer side; widths in metres, 0 if absent.

    Attributes:
        lanes: number of lanes for all vehicles.
        lane_width: width of each lane.
        bicycle: width of the bicycle lane beside them.
        parking: width of the parking strip at the kerb.
    """

    lanes: int
    lane_width: float
    bicycle: float
    parking: float

    @property
    def width(self) -> float:
        """Width from the street's line (or its median) to the kerb."""
        return self.lanes * self.lane_width + self.bicycle + self.parking


@dataclass(frozen=True)
class Street:
    """Street between two nodes.

    Attributes:
        start: start node of its line.
        end: end node of its line.
        forward: the direction of the line, on its right.
        backward: the other direction, on its left.
        median: width of the raised median, 0 for markings only.
        walkway: width of the pavements.
        speed_limit: m/s.
        bend: amplitude of its bend to one side, relative to the maximum (-1 to 1).
        s_bend: amplitude of its S-shaped bend, relative to the maximum (-1 to 1).
    """

    start: int
    end: int
    forward: Carriageway
    backward: Carriageway
    median: float
    walkway: float
    speed_limit: float
    bend: float
    s_bend: float

    def kerb(self, carriageway: Carriageway) -> float:
        """Return the distance of a direction's kerb from the line."""
        return self.median / 2 + carriageway.width


@dataclass(frozen=True)
class TownLayout:
    """Layout: nodes with one street lie at the map's boundary, the others are junctions.

    Attributes:
        nodes: positions, metres.
        streets: streets between the nodes.
    """

    nodes: Float[np.ndarray, "n 2"]
    streets: tuple[Street, ...]

    def arms(self, node: int) -> list[tuple[int, bool]]:
        """Return the streets at a node as (index, whether the node is its start)."""
        ends = ((index, at) for index, street in enumerate(self.streets) for at in (street.start, street.end))
        return [(index, self.streets[index].start == node) for index, at in ends if at == node]


def draw_layout(generator: np.random.Generator) -> TownLayout:
    """Sample a grid of 3 to 4 by 3 to 4 junctions, blocks of 75 to 120 m, with missing streets and exits."""
    columns, rows = (int(count) for count in generator.integers(3, 5, 2))
    avenues = [_draw_street(generator) for _ in range(columns)]
    streets = [_draw_street(generator) for _ in range(rows)]
    x, y = _positions(avenues, generator), _positions(streets, generator)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    nodes = grid + generator.uniform(-_JITTER, _JITTER, grid.shape)
    across = [(r * columns + c, r * columns + c + 1, streets[r]) for r in range(rows) for c in range(columns - 1)]
    along = [(r * columns + c, (r + 1) * columns + c, avenues[c]) for r in range(rows - 1) for c in range(columns)]
    links = _thinned(across + along, len(nodes), generator)
    nodes, links = _with_exits(nodes, links, streets, avenues, generator)
    plan = tuple(_varied(replace(kind, start=a, end=b), generator) for a, b, kind in links)
    return TownLayout(nodes, plan)


def _draw_street(generator: np.random.Generator) -> Street:
    """Sample the cross-section shared by all streets on one line of the grid, before variation."""
    lanes = int(generator.choice([1, 2, 3], p=[0.45, 0.4, 0.15]))
    width = generator.uniform(3.25, 3.6) if lanes < 3 else generator.uniform(3.25, 3.4)
    bicycle = 1.8 if generator.random() < 0.4 else 0.0
    side = Carriageway(lanes, float(width), bicycle, 0.0)
    median = float(generator.uniform(1.6, 2.4)) if generator.random() < (0.0, 0.25, 0.6)[lanes - 1] else 0.0
    limit = float(generator.choice(_LIMITS[lanes]))
    return Street(0, 0, side, side, median, float(generator.uniform(2.8, 4.0)), limit, 0.0, 0.0)


def _positions(kinds: list[Street], generator: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Sample the positions of parallel grid lines: irregular blocks between streets of given widths."""
    halves = np.array([street.kerb(street.forward) for street in kinds])
    gaps = generator.uniform(75.0, 120.0, len(kinds) - 1) + halves[1:] + halves[:-1]
    centred: Float[np.ndarray, "n"] = np.concatenate([[0.0], np.cumsum(gaps)]) - gaps.sum() / 2
    return centred


def _thinned(
    links: list[tuple[int, int, Street]], count: int, generator: np.random.Generator
) -> list[tuple[int, int, Street]]:
    """Remove up to two streets, such that every node keeps at least two others."""
    for _ in range(int(generator.integers(0, 3))):
        degree = np.bincount([node for a, b, _ in links for node in (a, b)], minlength=count)
        spare = [row for row, (a, b, _) in enumerate(links) if min(degree[a], degree[b]) > 3]
        if spare:
            links = [link for row, link in enumerate(links) if row != int(generator.choice(spare))]
    return links


def _with_exits(
    nodes: Float[np.ndarray, "n 2"],
    links: list[tuple[int, int, Street]],
    streets: list[Street],
    avenues: list[Street],
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "m 2"], list[tuple[int, int, Street]]]:
    """Add streets that lead out of town from some boundary junctions."""
    rows, columns = len(streets), len(avenues)
    rim = [(r * columns, (-1.0, 0.0), streets[r]) for r in range(rows)]
    rim += [(r * columns + columns - 1, (1.0, 0.0), streets[r]) for r in range(rows)]
    rim += [(c, (0.0, -1.0), avenues[c]) for c in range(columns)]
    rim += [((rows - 1) * columns + c, (0.0, 1.0), avenues[c]) for c in range(columns)]
    exits, outer = list(links), list(nodes)
    for node, way, kind in rim:
        if generator.random() < 0.5:
            exits.append((node, len(outer), kind))
            outer.append(nodes[node] + np.array(way) * generator.uniform(80.0, 120.0) + generator.uniform(-4, 4, 2))
    return np.array(outer), exits


def _varied(street: Street, generator: np.random.Generator) -> Street:
    """Vary the street's parking strips, bends and, occasionally, its number of lanes one way."""
    sides = []
    for side in (street.forward, street.backward):
        parking = 2.3 if generator.random() < (0.6 if side.lanes < 3 else 0.25) else 0.0
        lanes = side.lanes
        if generator.random() < 0.1:
            lanes = int(np.clip(lanes + generator.choice([-1, 1]), 1, 3))
        sides.append(replace(side, parking=parking, lanes=lanes))
    bow, sway = generator.uniform(-1, 1, 2) * generator.permutation([1.0, 0.3])
    return replace(street, forward=sides[0], backward=sides[1], bend=float(bow), s_bend=float(sway))
