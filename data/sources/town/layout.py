"""The plan of a town: where junctions lie, which streets join them, and how wide these are."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

# km/h to m/s of the limits on streets with one, two and three lanes each way.
_LIMITS = {1: (30 / 3.6, 40 / 3.6), 2: (50 / 3.6,), 3: (50 / 3.6, 60 / 3.6)}
_JITTER = 5.0


@dataclass(frozen=True)
class Carriageway:
    """One direction of a street, from its inner to its outer side; widths in metres, 0 for what is absent.

    Attributes:
        lanes: how many lanes for all vehicles.
        lane_width: of each.
        bicycle: width of the bicycle lane beside them.
        parking: width of the parking strip at the kerb.
    """

    lanes: int
    lane_width: float
    bicycle: float
    parking: float

    @property
    def width(self) -> float:
        """From the middle of the street (or its median) to the kerb."""
        return self.lanes * self.lane_width + self.bicycle + self.parking


@dataclass(frozen=True)
class Street:
    """A street between two nodes.

    Attributes:
        start: node where its line begins.
        end: node where it ends.
        forward: the direction of the line, on its right.
        backward: the other direction, on its left.
        median: width of the raised strip in the middle, 0 where there is only paint.
        walkway: width of the pavements.
        speed_limit: m/s.
        bow: how far it is bent to one side, as a share of what is possible (-1 to 1).
        sway: how far it is bent like an S, likewise.
    """

    start: int
    end: int
    forward: Carriageway
    backward: Carriageway
    median: float
    walkway: float
    speed_limit: float
    bow: float
    sway: float

    def kerb(self, carriageway: Carriageway) -> float:
        """Distance of a direction's kerb from the line."""
        return self.median / 2 + carriageway.width


@dataclass(frozen=True)
class TownLayout:
    """The plan: nodes with one street are where the map ends, the others are junctions.

    Attributes:
        nodes: metres.
        streets: between them.
    """

    nodes: Float[np.ndarray, "n 2"]
    streets: tuple[Street, ...]

    def arms(self, node: int) -> list[tuple[int, bool]]:
        """The streets at a node as (index, whether the node is its start)."""
        ends = ((index, at) for index, street in enumerate(self.streets) for at in (street.start, street.end))
        return [(index, self.streets[index].start == node) for index, at in ends if at == node]


def draw_layout(generator: np.random.Generator) -> TownLayout:
    """A grid of 3 to 4 by 3 to 4 junctions, 75 to 120 m of block between them, with streets missing and leading out."""
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
    """The cross-section that all streets on one line of the grid share, more or less."""
    lanes = int(generator.choice([1, 2, 3], p=[0.45, 0.4, 0.15]))
    width = generator.uniform(3.25, 3.6) if lanes < 3 else generator.uniform(3.25, 3.4)
    bicycle = 1.8 if generator.random() < 0.4 else 0.0
    side = Carriageway(lanes, float(width), bicycle, 0.0)
    median = float(generator.uniform(1.6, 2.4)) if generator.random() < (0.0, 0.25, 0.6)[lanes - 1] else 0.0
    limit = float(generator.choice(_LIMITS[lanes]))
    return Street(0, 0, side, side, median, float(generator.uniform(2.8, 4.0)), limit, 0.0, 0.0)


def _positions(kinds: list[Street], generator: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Where parallel lines of the grid lie: irregular blocks between streets of their widths."""
    halves = np.array([street.kerb(street.forward) for street in kinds])
    gaps = generator.uniform(75.0, 120.0, len(kinds) - 1) + halves[1:] + halves[:-1]
    return np.concatenate([[0.0], np.cumsum(gaps)]) - gaps.sum() / 2


def _thinned(
    links: list[tuple[int, int, Street]], count: int, generator: np.random.Generator
) -> list[tuple[int, int, Street]]:
    """Without up to two streets, where every node keeps two others at least."""
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
    """With streets that lead out of town from some junctions of the rim."""
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
    """The street with its own parking strips, bends and, now and then, another number of lanes one way."""
    sides = []
    for side in (street.forward, street.backward):
        parking = 2.3 if generator.random() < (0.6 if side.lanes < 3 else 0.25) else 0.0
        lanes = side.lanes
        if generator.random() < 0.1:
            lanes = int(np.clip(lanes + generator.choice([-1, 1]), 1, 3))
        sides.append(replace(side, parking=parking, lanes=lanes))
    bow, sway = generator.uniform(-1, 1, 2) * generator.permutation([1.0, 0.3])
    return replace(street, forward=sides[0], backward=sides[1], bow=float(bow), sway=float(sway))
