"""Road marking lines from lane boundaries, each shared line once."""

from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Bool, Float

from swerve.scenes import Lane, LaneMarking, RoadLine
from swerve.scenes.polyline import arc_lengths, headings, interpolate_at, remove_duplicate_points

# Boundaries this close and this parallel are duplicates of one marking.
_SAME_DISTANCE = 0.4
_SAME_ANGLE = np.deg2rad(25.0)
_SAMPLE = 0.5
_SHORTEST = 1.0


def merge_lane_markings(lanes: Sequence[Lane]) -> tuple[RoadLine, ...]:
    """Merge the lanes' painted boundaries; of overlapping ones only the longest is kept.

    Adjacent lanes sample their common boundary differently, opposite ones in reverse, one of them may say NONE, and
    pieces may overlap in part. So a line keeps only those stretches (of at least 1 m) that no longer line covers:
    within 0.4 m and 25 degrees, in either direction. Strokes of asymmetric markings are those of the line that is kept.
    """
    lines = [(lane.left_boundary, lane.left_marking) for lane in lanes] + [
        (lane.right_boundary, lane.right_marking) for lane in lanes
    ]
    lines = [
        (remove_duplicate_points(points), paint)
        for points, paint in lines
        if paint is not LaneMarking.NONE and len(points)
    ]
    lines = [(points, paint) for points, paint in lines if len(points) > 1]
    lines.sort(key=lambda line: -arc_lengths(line[0])[-1])
    if not lines:
        return ()
    tree = shapely.STRtree([shapely.LineString(points[:, :2]) for points, _ in lines])
    kept = [
        (piece, paint)
        for rank, (points, paint) in enumerate(lines)
        for piece in _uncovered(points, _longer(tree, lines, rank))
    ]
    return tuple(RoadLine(f"line{index}", points, paint) for index, (points, paint) in enumerate(kept))


def _longer(
    tree: shapely.STRtree, lines: list[tuple[np.ndarray, LaneMarking]], rank: int
) -> list[Float[np.ndarray, "_ 3"]]:
    """Return the lines before this rank that come close to it."""
    near = tree.query(shapely.LineString(lines[rank][0][:, :2]), "dwithin", _SAME_DISTANCE)
    return [lines[other][0] for other in sorted(near) if other < rank]


def _uncovered(
    line: Float[np.ndarray, "n 3"], others: list[Float[np.ndarray, "_ 3"]]
) -> list[Float[np.ndarray, "_ 3"]]:
    """Return the stretches of a line that none of the others covers."""
    length = arc_lengths(line)[-1]
    if not others:
        return [line] if length >= _SHORTEST else []
    count = max(int(np.ceil(length / _SAMPLE)), 2)
    edges = np.linspace(0.0, length, count + 1)
    middles = interpolate_at(line, (edges[:-1] + edges[1:]) / 2)[:, :2]
    angles = headings(interpolate_at(line, edges))[:-1]
    free = ~np.any([_covers(other, middles, angles) for other in others], axis=0)
    steps = np.diff(np.concatenate([[0], free.astype(int), [0]]))
    stretches = zip(edges[np.flatnonzero(steps == 1)], edges[np.flatnonzero(steps == -1)], strict=True)
    return [_between(line, start, end) for start, end in stretches if end - start >= _SHORTEST]


def _covers(
    line: Float[np.ndarray, "n 3"], points: Float[np.ndarray, "q 2"], angles: Float[np.ndarray, "q"]
) -> Bool[np.ndarray, "q"]:
    """Test whether some segment of the line is near each point and parallel to the angle there."""
    start, step = line[:-1, :2], np.diff(line[:, :2], axis=0)
    offset = points[:, None] - start
    share = np.clip((offset * step).sum(axis=2) / (step**2).sum(axis=1), 0.0, 1.0)
    distance = np.linalg.norm(offset - share[..., None] * step, axis=2)
    turn = np.abs(np.sin(angles[:, None] - headings(line)[:-1]))
    covered: Bool[np.ndarray, "q"] = ((distance <= _SAME_DISTANCE) & (turn <= np.sin(_SAME_ANGLE))).any(axis=1)
    return covered


def _between(line: Float[np.ndarray, "n 3"], start: float, end: float) -> Float[np.ndarray, "m 3"]:
    """Return the part of a line between two arc lengths, with its own vertices."""
    along = arc_lengths(line)
    inner = line[(along > start + 1e-9) & (along < end - 1e-9)]
    ends = interpolate_at(line, np.array([start, end]))
    return np.concatenate([ends[:1], inner, ends[1:]])
