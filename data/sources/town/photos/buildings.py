"""Houses along the streets: on plots behind the pavements, not overlapping paved areas or each other."""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.town.photos.shapes import box
from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined, split_quads
from swerve.scenes import GroundHeight
from swerve.scenes.polyline import arc_lengths, interpolate_at

# Least distance of walls from paved areas, metres.
CLEARANCE = 0.5
# Rings of paved ground around less than this area, square metres, are medians and islands: those of
# roundabouts have up to 452.
_LEAST_BLOCK = 600.0
_WALLS: tuple[Rgb, ...] = (
    (0.55, 0.50, 0.42),
    (0.62, 0.60, 0.56),
    (0.30, 0.12, 0.075),
    (0.36, 0.19, 0.12),
    (0.52, 0.40, 0.22),
    (0.38, 0.38, 0.37),
    (0.46, 0.30, 0.24),
    (0.30, 0.36, 0.40),
    (0.58, 0.52, 0.36),
    (0.22, 0.22, 0.23),
)
_ROOFS: tuple[Rgb, ...] = ((0.24, 0.07, 0.035), (0.13, 0.06, 0.04), (0.06, 0.06, 0.065), (0.10, 0.085, 0.07))


@dataclass(frozen=True)
class Plot:
    """Footprint of a house.

    Attributes:
        corners: counter-clockwise from above; the first side faces the street.
        setback: metres from the paved area to the front.
    """

    corners: Float[np.ndarray, "4 2"]
    setback: float


def draw_plots(paved: shapely.Geometry, generator: np.random.Generator) -> list[Plot]:
    """Sample plots along the boundaries of the paved area."""
    blocked, plots = paved.buffer(CLEARANCE), list[Plot]()
    shapely.prepare(blocked)
    for ring in rims(paved):
        lengths, at = arc_lengths(ring), float(generator.uniform(2.0, 8.0))
        setback, dense = float(generator.uniform(1.0, 6.0)), bool(generator.random() < 0.5)
        while at < lengths[-1] - 8.0:
            width = float(generator.uniform(9.0, 24.0) if dense else generator.uniform(8.0, 15.0))
            plot = _plot(ring, at, width, setback, float(generator.uniform(8.0, 13.0)))
            if plot is not None and _is_free(plot, blocked, plots):
                plots.append(plot)
                at += width + (0.02 if dense and generator.random() < 0.75 else float(generator.uniform(2.5, 10.0)))
            else:
                at += 2.5
            if generator.random() < 0.12:
                setback, dense = float(generator.uniform(1.0, 6.0)), not dense
                at += float(generator.uniform(0.0, 14.0))
    return plots


def rims(paved: shapely.Geometry) -> list[Float[np.ndarray, "n 2"]]:
    """Return closed outlines of the paved area, with it on their left, without small islands."""
    rings = []
    for part in shapely.get_parts(shapely.orient_polygons(paved)):
        if part.geom_type == "Polygon":
            holes = [hole for hole in part.interiors if shapely.Polygon(hole).area > _LEAST_BLOCK]
            rings += [np.array(ring.coords) for ring in (part.exterior, *holes)]
    return rings


def _plot(ring: Float[np.ndarray, "n 2"], at: float, width: float, setback: float, depth: float) -> Plot | None:
    """Return a rectangle to the right of a piece of the ring; None where that bends too much."""
    ends = interpolate_at(ring, np.array([at, at + width]))
    step = ends[1] - ends[0]
    chord = float(np.linalg.norm(step))
    if chord < 0.97 * width:
        return None
    along = step / chord
    away = np.array([along[1], -along[0]])
    front, back = ends + setback * away, ends + (setback + depth) * away
    return Plot(np.array([front[1], front[0], back[0], back[1]]), setback)


def _is_free(plot: Plot, blocked: shapely.Geometry, plots: list[Plot]) -> bool:
    """Test whether the plot overlaps nothing."""
    own = shapely.Polygon(plot.corners)
    if blocked.intersects(own):
        return False
    own = own.buffer(-0.01)
    middle = plot.corners.mean(axis=0)
    near = [other for other in plots if np.linalg.norm(other.corners.mean(axis=0) - middle) < 45.0]
    return not any(own.intersects(shapely.Polygon(other.corners)) for other in near)


def build_house(plot: Plot, ground: GroundHeight, generator: np.random.Generator) -> Solid:
    """Build walls and roof of a plot: low houses with tiles and gables, higher ones flat."""
    heights = ground.at(plot.corners)
    foot, door = float(heights.min()) - 1.5, float(heights[:2].mean())
    width, depth = (float(np.linalg.norm(plot.corners[k] - plot.corners[k + 1])) for k in (0, 1))
    pitched = width < 16.0 and generator.random() < 0.55
    storeys = int(generator.integers(1, 4) if pitched else generator.integers(2, 8))
    storey, code = float(generator.uniform(2.8, 3.4)), float(generator.random())
    tint = np.array(_WALLS[int(generator.integers(len(_WALLS)))]) * generator.uniform(0.85, 1.15)
    top = door + storeys * storey + (0.15 if pitched else 0.7)
    wall: Rgb = tuple(tint.clip(0.03, 0.75).tolist())
    faces = [
        _wall((plot.corners[k], plot.corners[(k + 1) % 4]), (foot, door, top), wall, (storey, 1.25 * storey, code))
        for k in range(4)
    ]
    if pitched:
        roof: Rgb = _ROOFS[int(generator.integers(len(_ROOFS)))]
        return joined([*faces, *_gable_roof(plot.corners, top, width, depth, wall, roof, generator)])
    return joined([*faces, *_flat_roof(plot.corners, top, generator)])


def _wall(
    ends: tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]],
    levels: tuple[float, float, float],
    tint: Rgb,
    numbers: tuple[float, float, float],
) -> Solid:
    """Build one wall, with as many windows as fit evenly."""
    (start, end), (foot, door, top) = ends, levels
    storey, bay, code = numbers
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    quad = np.array([[[*start, foot], [*end, foot], [*end, top], [*start, top]]])
    frame = (*start, door, *along, storey, length / max(round(length / bay), 1), code)
    return Solid.of(split_quads(quad), Material.FACADE, tint, frame=frame)


def _flat_roof(corners: Float[np.ndarray, "4 2"], top: float, generator: np.random.Generator) -> list[Solid]:
    """Build a flat roof of gravel below the parapet, with a lift shed."""
    quad = np.concatenate([corners, np.full((4, 1), top)], axis=1)[None]
    lid = Solid.of(split_quads(quad), Material.ROUGH, (0.16, 0.16, 0.155))
    side = corners[1] - corners[0]
    shed = box((0, 0, 1.1), (3.0, 2.6, 2.2), Material.ROUGH, (0.3, 0.3, 0.29))
    place = np.array([*(corners.mean(axis=0) + generator.uniform(-1.0, 1.0, 2)), top])
    return [lid, shed.moved(float(np.arctan2(side[1], side[0])), place)]


def _gable_roof(
    corners: Float[np.ndarray, "4 2"],
    top: float,
    width: float,
    depth: float,
    wall: Rgb,
    roof: Rgb,
    generator: np.random.Generator,
) -> list[Solid]:
    """Build two slopes from the eaves to a ridge along the longer side, gables below them, a chimney."""
    ring = corners if width >= depth else np.roll(corners, -1, axis=0)
    along = (ring[1] - ring[0]) / np.linalg.norm(ring[1] - ring[0])
    across = np.array([-along[1], along[0]])
    span, eaves = min(width, depth) / 2, 0.45
    rise = span * float(generator.uniform(0.55, 0.95))
    low = ring + eaves * np.array([-along - across, along - across, along + across, -along + across])
    base = np.concatenate([low, np.full((4, 1), top - rise * eaves / span)], axis=1)
    ends = np.array([(low[0] + low[3]) / 2, (low[1] + low[2]) / 2])
    ridge = np.concatenate([ends, np.full((2, 1), top + rise)], axis=1)
    quads = np.array([[base[0], base[1], ridge[1], ridge[0]], [base[2], base[3], ridge[0], ridge[1]]])
    slopes = Solid.of(split_quads(quads), Material.TILES, roof, frame=(*ring[0], top, *along, 0.0, 0.0, 0.0))
    walls = np.concatenate([ring, np.full((4, 1), top)], axis=1)
    peaks = [np.array([*(ring[a] + ring[b]) / 2, top + rise]) for a, b in ((1, 2), (3, 0))]
    triangles = np.array([[walls[1], walls[2], peaks[0]], [walls[3], walls[0], peaks[1]]])
    gables = Solid.of(triangles, Material.ROUGH, wall)
    place = ring.mean(axis=0) + float(generator.uniform(-0.3, 0.3)) * np.linalg.norm(ring[1] - ring[0]) * along
    chimney = box((*place, top + rise), (0.7, 0.7, 1.6), Material.ROUGH, (0.25, 0.12, 0.08))
    return [slopes.two_sided(), gables, chimney]
