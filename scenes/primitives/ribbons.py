"""Road markings and kerbs: lines on the ground as ribbons of their true width."""

import numpy as np
from jaxtyping import Float

from swerve.scenes.polyline import arc_lengths, interpolate_at, offset_line, remove_duplicate_points, subdivide
from swerve.scenes.primitives.terrain import Terrain
from swerve.scenes.road_map import LaneMarking

# Metres. US MUTCD 3A.04 to 3A.06: lines 0.10-0.15 m wide, dashes of 3.05 m with gaps of 9.14 m, double lines apart by
# about their width; stop lines 0.3-0.6 m (3B.19).
LINE_WIDTH = 0.12
DOUBLE_LINE_GAP = 0.12
DASH, GAP = 3.0, 9.0
STOP_LINE_WIDTH = 0.4
EDGE_WIDTH = 0.15
# Largest distance in metres between cross sections of a ribbon, so that it follows the ground.
_SPACING = 1.0


def paint_ribbons(
    line: Float[np.ndarray, "n 3"], paint: LaneMarking, terrain: Terrain, lift: float
) -> list[np.ndarray]:
    """Build the ribbons of the strokes of a painted line, one `ribbon` per piece."""
    strokes = paint.strokes
    spacing = LINE_WIDTH + DOUBLE_LINE_GAP
    pieces = []
    for number, stroke in enumerate(strokes):
        # Strokes are listed from left to right, and offsets are positive to the left.
        offset = spacing * ((len(strokes) - 1) / 2 - number)
        shifted = offset_line(remove_duplicate_points(line), offset) if offset else line
        for piece in _dashes(shifted) if stroke == "dashed" else [shifted]:
            pieces.append(ribbon(piece, LINE_WIDTH, terrain, lift))
    return pieces


def ribbon(line: Float[np.ndarray, "n 3"], width: float, terrain: Terrain, lift: float) -> Float[np.ndarray, "f 3 3"]:
    """Build a strip along the line, laid on the terrain: triangles counter-clockwise seen from above.

    Between its vertices, at most 1 m apart, the strip is straight where the terrain may bend; `lift` must bridge that:
    where slopes change by 4 % from cell to cell, 1 cm.
    """
    dense = subdivide(remove_duplicate_points(line), _SPACING)
    if len(dense) < 2:
        return np.zeros((0, 3, 3))
    sides = np.stack([offset_line(dense, width / 2), offset_line(dense, -width / 2)])
    sides[..., 2] = terrain.at(sides[..., :2]) + lift
    left, right = sides
    near = np.stack([left[:-1], right[:-1], right[1:]], axis=1)
    far = np.stack([left[:-1], right[1:], left[1:]], axis=1)
    return np.stack([near, far], axis=1).reshape(-1, 3, 3)


def _dashes(line: Float[np.ndarray, "n 3"]) -> list[Float[np.ndarray, "m 3"]]:
    """Return the painted pieces of a dashed line; the first dash begins half a gap from the start.

    Where a map cuts one line into several, the pattern restarts with each: sources do not say where dashes are.
    """
    length = arc_lengths(line)
    starts = np.arange(min(GAP / 2, length[-1] / 4), length[-1], DASH + GAP)
    pieces = []
    for start in starts:
        end = min(start + DASH, length[-1])
        inner = length[(length > start) & (length < end)]
        pieces.append(interpolate_at(line, np.concatenate([[start], inner, [end]])))
    return pieces
