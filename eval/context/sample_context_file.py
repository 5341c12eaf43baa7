"""Contexts of samples as a store holds them: without what the map of their log has, see `LogMap`."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.storage.archive import from_bytes, to_bytes
from swerve.eval.context.check_context import raise_problems
from swerve.eval.context.log_map import STORE_VERSION, LogMap
from swerve.eval.context.map_polygons import Surfaces
from swerve.eval.context.scene_context import Context
from swerve.eval.context.shared_traffic import join_tracks, rows_problem, shared_tracks
from swerve.eval.traffic.agent_paths import AgentPaths
from swerve.scenes import LogError, SwerveError

_KIND: Final = "context of a sample"
_HINT: Final = "Delete the shard, and run `swerve contexts` again"
_NONE: Final = np.zeros(1, np.int64)


@dataclass(frozen=True)
class SampleContext:
    """A context without the polygons of its map, the lanes of NAVSIM's traffic, and tracks that it has twice.

    Attributes:
        context: the rest.
        polygons: rows of the polygons in the map of the log.
        tracks: rows of the traffic's tracks in the long traffic, see `shared_tracks`.
    """

    context: Context
    polygons: Int[np.ndarray, "p"]
    tracks: Int[np.ndarray, "m"]


def sample_context_to_bytes(context: Context, log_map: LogMap) -> bytes:
    """Serialize a context without what the map of its log has.

    Raises:
        SwerveError: a polygon or lane of it is not that of the map.
    """
    surfaces, paths = context.scoring_map.surfaces, context.navsim_paths
    bare = replace(surfaces, ids=(), layers=surfaces.layers[:0], edges=surfaces.edges[:0], starts=_NONE)
    tracks = shared_tracks(context.traffic, context.long_traffic)
    kept = replace(
        context,
        traffic=context.traffic.of(np.flatnonzero(tracks < 0)),
        scoring_map=replace(context.scoring_map, surfaces=bare),
        navsim_paths=replace(paths, points=paths.points[:0], lengths=paths.lengths[:0], starts=_NONE),
    )
    sample = SampleContext(kept, _rows_of(surfaces, log_map), tracks)
    again = _completed(sample, log_map)
    pairs = [(getattr(again.navsim_paths, name), getattr(paths, name)) for name in ("points", "lengths", "starts")]
    if not all(np.array_equal(one, other) for one, other in pairs):
        raise SwerveError(f"scene {context.token}: a path of its traffic is no lane of the map of log {context.log}")
    return to_bytes(sample, _KIND, STORE_VERSION)


def log_of(content: bytes, path: str) -> tuple[SampleContext, str]:
    """Deserialize a context of `sample_context_to_bytes`, still without its map.

    Returns:
        it, and the name of its log.

    Raises:
        SwerveError: it is damaged, or of another version.
    """
    sample = from_bytes(content, SampleContext, _KIND, STORE_VERSION, path)
    return sample, sample.context.log


def complete_context(sample: SampleContext, log_map: LogMap, path: str) -> Context:
    """Return the whole context; `path` is named in errors.

    Raises:
        LogError: it has a polygon or lane that the map lacks, or an index leads out of its array.
    """
    rows, lanes = sample.polygons, sample.context.navsim_paths.lanes
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(log_map.ids):
        raise LogError(path, "damaged context: polygons", f"has rows up to {rows.max()}, of {len(log_map.ids)}", _HINT)
    if strange := [lane for lane in lanes if lane not in log_map.lane_rows]:
        raise LogError(path, "damaged context: lanes", f"has {strange[0]!r:.80}, which the map lacks", _HINT)
    if problem := rows_problem(sample.context.traffic, sample.context.long_traffic, sample.tracks):
        raise LogError(path, "damaged context: tracks", problem, _HINT)
    context = _completed(sample, log_map)
    raise_problems(context, path)
    return context


def _completed(sample: SampleContext, log_map: LogMap) -> Context:
    context = sample.context
    return replace(
        context,
        scoring_map=replace(context.scoring_map, surfaces=_with_polygons(context, sample.polygons, log_map)),
        navsim_paths=_with_lanes(context.navsim_paths, log_map),
        traffic=join_tracks(context.traffic, context.long_traffic, sample.tracks),
    )


def _with_polygons(context: Context, rows: Int[np.ndarray, "p"], log_map: LogMap) -> Surfaces:
    edges, starts = _gather(log_map.edges, log_map.starts, rows)
    ids = tuple(log_map.ids[row] for row in rows.tolist())
    surfaces = context.scoring_map.surfaces
    return replace(surfaces, ids=ids, layers=log_map.layers[rows], edges=edges, starts=starts)


def _with_lanes(paths: AgentPaths, log_map: LogMap) -> AgentPaths:
    rows = np.array([log_map.lane_rows[lane] for lane in paths.lanes], np.int64)
    points, starts = _gather(log_map.points, log_map.lane_starts, rows)
    lengths, _ = _gather(log_map.lengths, log_map.lane_starts, rows)
    return replace(paths, points=points, lengths=lengths, starts=starts)


def _gather(
    values: Float[np.ndarray, "n *d"], starts: Int[np.ndarray, "p1"], rows: Int[np.ndarray, "k"]
) -> tuple[Float[np.ndarray, "m *d"], Int[np.ndarray, "k1"]]:
    """Return the values of the given parts one after the other, and their starts."""
    counts = starts[rows + 1] - starts[rows]
    new = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return values[np.repeat(starts[rows] - new[:-1], counts) + np.arange(new[-1])], new


def _rows_of(surfaces: Surfaces, log_map: LogMap) -> Int[np.ndarray, "p"]:
    """Return the rows of polygons that are a subsequence of the map's.

    Raises:
        SwerveError: they are not.
    """
    rows, row, count = list[int](), 0, len(log_map.ids)
    for number, name in enumerate(surfaces.ids):
        while row < count and not _is_same(surfaces, number, log_map, row):
            row += 1
        if row == count:
            raise SwerveError(f"polygon {name} is not that of the log's map")
        rows.append(row)
        row += 1
    return np.array(rows, np.int64)


def _is_same(surfaces: Surfaces, number: int, log_map: LogMap, row: int) -> bool:
    if surfaces.ids[number] != log_map.ids[row] or surfaces.layers[number] != log_map.layers[row]:
        return False
    own = surfaces.edges[surfaces.starts[number] : surfaces.starts[number + 1]]
    return np.array_equal(own, log_map.edges[log_map.starts[row] : log_map.starts[row + 1]])
