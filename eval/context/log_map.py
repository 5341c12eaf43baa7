"""The map of a log as its contexts share it: all polygons, and the lanes that vehicles follow."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int, UInt8

from swerve.data.jobs import part_stem
from swerve.data.storage.archive import load_archive, save_archive
from swerve.eval.context.check_context import map_problems
from swerve.eval.context.map_polygons import Polygons, all_surfaces
from swerve.eval.traffic.agent_paths import lane_path
from swerve.scenes import LogError, RoadMap, SwerveError

MAPS: Final = "maps"
# Raise whenever the fields or their meaning change, or those of `SampleContext`: old stores are then refused.
STORE_VERSION: Final = 5
_KIND: Final = "map of contexts"
_AGAIN: Final = "Delete this file, and run `swerve contexts` again: it makes the map anew"


@dataclass(frozen=True)
class LogMap:
    """Map of a log.

    Attributes:
        ids: names of the polygons, in NAVSIM's order.
        layers: `Layer` of each.
        edges: (x0, y0, x1, y1) of all rings of all polygons.
        starts: polygon i has the edges starts[i]:starts[i + 1].
        lanes: names of the lanes.
        points: (x, y, unwrapped heading) along all lanes, see `lane_path`.
        lengths: arc lengths at those.
        lane_starts: lane i has the points lane_starts[i]:lane_starts[i + 1].
    """

    ids: tuple[str, ...]
    layers: UInt8[np.ndarray, "p"]
    edges: Float[np.ndarray, "e 4"]
    starts: Int[np.ndarray, "p1"]
    lanes: tuple[str, ...]
    points: Float[np.ndarray, "v 3"]
    lengths: Float[np.ndarray, "v"]
    lane_starts: Int[np.ndarray, "l1"]

    @property
    def polygons(self) -> Polygons:
        """Return the polygons."""
        return Polygons(self.edges, self.starts)

    @cached_property
    def lane_rows(self) -> dict[str, int]:
        """Return the row of each lane by its name."""
        return {lane: row for row, lane in enumerate(self.lanes)}


def build_log_map(road_map: RoadMap) -> LogMap:
    """Collect the polygons and lanes of a log's map."""
    items, layers, polygons = all_surfaces(road_map)
    paths = [lane_path(lane) for lane in road_map.lanes]
    return LogMap(
        ids=tuple(item.id for item in items),
        layers=layers,
        edges=polygons.edges,
        starts=polygons.starts,
        lanes=tuple(lane.id for lane in road_map.lanes),
        points=np.concatenate([np.zeros((0, 3)), *(points for points, _ in paths)]),
        lengths=np.concatenate([np.zeros(0), *(lengths for _, lengths in paths)]),
        lane_starts=np.cumsum([0, *(len(lengths) for _, lengths in paths)], dtype=np.int64),
    )


def log_map_path(folder: Path, log: str) -> Path:
    """Return the path of a log's map in a store of contexts."""
    return folder / MAPS / f"{part_stem(log, 0)}.npz"


def save_log_map(folder: Path, log: str, log_map: LogMap) -> None:
    """Write the map of a log atomically."""
    save_archive(log_map_path(folder, log), log_map, _KIND, STORE_VERSION)


def load_log_map(folder: Path, log: str) -> LogMap:
    """Read the map of a log.

    Raises:
        SwerveError: the file is missing, damaged, or of another version.
    """
    path = log_map_path(folder, log)
    try:
        log_map = load_archive(path, LogMap, _KIND, STORE_VERSION)
    except SwerveError as error:
        again = _AGAIN if path.is_file() else "Run `swerve contexts` again"
        raise SwerveError(f"{error}. {again}") from error
    for field, problem in map_problems(log_map.ids, log_map.layers, log_map.polygons):
        raise LogError(path, f"damaged map: {field}", problem, _AGAIN)
    starts, lanes = log_map.lane_starts, log_map.lanes
    if len(starts) != len(lanes) + 1 or starts[0] or starts[-1] != len(log_map.lengths) or (np.diff(starts) < 0).any():
        raise LogError(path, "damaged map: lane_starts", "does not divide the points", _AGAIN)
    return log_map
