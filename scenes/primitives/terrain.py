"""Ground surface as planar triangles, along which all features on the ground are cut and draped."""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes.road_map import GroundHeight

# Tolerance in metres (99th percentile) of the surface against the source's height; coarser triangles render faster.
TOLERANCE = 0.03
_CELLS = (16.0, 8.0, 4.0, 2.0)


@dataclass(frozen=True)
class Terrain:
    """A grid of square cells, each cut into two triangles along the diagonal from its lower left corner.

    Attributes:
        heights: metres at the nodes; row = y, column = x.
        origin: (x, y) of node [0, 0].
        cell: metres between nodes.
    """

    heights: Float[np.ndarray, "rows columns"]
    origin: Float[np.ndarray, "2"]
    cell: float

    @classmethod
    def over(cls, ground: GroundHeight, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]) -> "Terrain":
        """Build the coarsest terrain over a rectangle that follows the ground within `TOLERANCE`, or the 2 m one."""
        rng = np.random.default_rng(0)
        samples = rng.uniform(low, high, (4000, 2))
        truth = ground.at(samples)
        for cell in _CELLS:
            terrain = cls._sampled(ground, low, high, cell)
            if np.quantile(np.abs(terrain.at(samples) - truth), 0.99) <= TOLERANCE:
                break
        return terrain

    @classmethod
    def _sampled(
        cls, ground: GroundHeight, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"], cell: float
    ) -> "Terrain":
        corner = np.floor(low / cell) * cell - cell
        columns, rows = (np.ceil((high - corner) / cell).astype(int) + 2).tolist()
        x, y = np.meshgrid(corner[0] + cell * np.arange(columns), corner[1] + cell * np.arange(rows))
        return cls(ground.at(np.stack([x, y], axis=-1)), corner, cell)

    def at(self, points: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b"]:
        """Return the height on the triangles; beyond the grid, the outermost triangles are extrapolated."""
        grid = (points - self.origin) / self.cell
        rows, columns = self.heights.shape
        column = np.clip(np.floor(grid[..., 0]).astype(int), 0, columns - 2)
        row = np.clip(np.floor(grid[..., 1]).astype(int), 0, rows - 2)
        right, up = grid[..., 0] - column, grid[..., 1] - row
        base, far = self.heights[row, column], self.heights[row + 1, column + 1]
        below = base + right * (self.heights[row, column + 1] - base) + up * (far - self.heights[row, column + 1])
        above = base + up * (self.heights[row + 1, column] - base) + right * (far - self.heights[row + 1, column])
        return np.where(right >= up, below, above)

    def drape(self, polygon: shapely.Polygon, lift: float) -> Float[np.ndarray, "f 3 3"]:
        """Drape the polygon on the terrain, `lift` metres above it, as triangles counter-clockwise from above."""
        flat = self._cut(polygon)
        height = self.at(flat) + lift
        return np.concatenate([flat, height[..., None]], axis=-1)

    def _cut(self, polygon: shapely.Polygon) -> Float[np.ndarray, "f 3 2"]:
        """Cut the polygon into triangles none of which crosses an edge of the terrain."""
        if np.ptp(self.heights) < 1e-6:
            return _triangulate(np.array([polygon]))
        tiles = self._tiles(polygon.bounds)
        shapes = shapely.polygons(tiles)
        shapely.prepare(polygon)
        inside = shapely.contains_properly(polygon, shapes)
        rim = ~inside & shapely.intersects(polygon, shapes)
        return np.concatenate([tiles[inside], _triangulate(shapely.intersection(polygon, shapes[rim]))])

    def _tiles(self, bounds: tuple[float, float, float, float]) -> Float[np.ndarray, "k 3 2"]:
        """Return the terrain's triangles that touch a rectangle, counter-clockwise seen from above."""
        low = np.floor((np.array(bounds[:2]) - self.origin) / self.cell).astype(int)
        high = np.ceil((np.array(bounds[2:]) - self.origin) / self.cell).astype(int)
        column, row = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        nodes = np.stack([column.ravel(), row.ravel()], axis=-1)[:, None]
        halves = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]])
        tiles: Float[np.ndarray, "k 3 2"] = self.origin + self.cell * (nodes[:, :, None] + halves).reshape(-1, 3, 2)
        return tiles


def _triangulate(shapes: np.ndarray) -> Float[np.ndarray, "f 3 2"]:
    """Triangulate polygons of any shape, counter-clockwise; lines and points yield no triangles."""
    pieces = shapely.get_parts(shapely.constrained_delaunay_triangles(shapes[shapely.area(shapes) > 0]))
    pieces = pieces[shapely.area(pieces) > 1e-9]
    closed = shapely.get_coordinates(shapely.orient_polygons(pieces)).reshape(-1, 4, 2)
    triangles: Float[np.ndarray, "f 3 2"] = closed[:, :3]
    return triangles
