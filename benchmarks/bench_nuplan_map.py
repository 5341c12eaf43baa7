"""Benchmark of nuPlan maps: loading, memory and queries of a city of 20 000 lanes and connectors, one core."""

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.measure import report, timed
from swerve.data.sources.nuplan import load_nuplan_map
from swerve.data.sources.nuplan.nuplan_map import OBJECT_LAYERS
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from tests.support.nuplan_writer import EAST, LOCATION, NORTH, line, strip, write_maps

# Roads, and blocks of each: a block has a lane and a connector, with a vertex each metre.
ROADS, BLOCKS = 100, 100
LANE, CONNECTOR, APART = 70, 30, 60.0
RADIUS = 50.0


def run():
    """Print and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        maps, small = write_maps(Path(folder), city()), write_maps(Path(folder) / "small")
        size = next((maps / LOCATION).rglob("map.gpkg")).stat().st_size / 2**20
        # In a process of its own, whose memory holds nothing of the writing.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            measured = pool.submit(measure, maps, small).result()
    report("nuplan_map", "nuPlan maps", [{"lanes and connectors": 2 * ROADS * BLOCKS, "file, MiB": size, **measured}])


def measure(maps, small):
    """Return the numbers of the table; the small map is loaded first, so that imports and kernels are not counted."""
    road_map_of(load_nuplan_map(small, LOCATION))
    before, start = resident(), time.perf_counter()
    nuplan = load_nuplan_map(maps, LOCATION)
    center = np.array([EAST + 5000.0, NORTH + APART * 50])
    road_map_of(nuplan, center, RADIUS)
    loading, held = time.perf_counter() - start, resident() - before
    queries = timed(lambda: [nuplan.proximal_objects(center, RADIUS, layer) for layer in OBJECT_LAYERS])
    part = timed(lambda: road_map_of(nuplan, center, RADIUS))
    return {
        "load all layers, s": loading,
        "memory, MiB": held,
        "objects within 50 m, ms": queries.wall_ms,
        "road map of 50 m, ms": part.wall_ms,
    }


def city():
    """Return the layers of a city of parallel roads."""
    layers = {}
    for road in range(ROADS):
        for block in range(BLOCKS):
            for name, rows in block_rows(road, block).items():
                layers.setdefault(name, []).extend(rows)
    return layers


def block_rows(road, block):
    """Return the rows of one block: a lane, the connector to the next, and the areas on them."""
    number, left = road * BLOCKS + block + 1, APART * road
    start = (LANE + CONNECTOR) * block
    end, following = start + LANE, start + LANE + CONNECTOR
    after = number + 1 if block + 1 < BLOCKS else None
    area = {"fid": number, "geom": strip(end, following, left - 6, left + 6), "creator_id": ""}
    lane, connector = lane_rows(number, start, end, left), connector_rows(number, after, end, following, left)
    return {
        **lane,
        **connector,
        **{name: lane[name] + connector[name] for name in ("baseline_paths", "boundaries")},
        "intersections": [area],
        "crosswalks": [area],
        "walkways": [{"fid": number, "geom": strip(start, end, left + 2, left + 4), "creator_id": ""}],
        "road_segments": [{"fid": number, "geom": ribbon(start, end, left), "creator_id": ""}],
    }


def lane_rows(number, start, end, left):
    """Return the rows of a lane, its group, centre line and boundaries."""
    lane, group, left_side, right_side = (kind * 1_000_000 + number for kind in (1, 3, 5, 6))
    outline, ids = ribbon(start, end, left), {"lane_fid": lane, "lane_group_fid": group, "lane_type_fid": 0}
    sides = {"left_boundary_fid": left_side, "right_boundary_fid": right_side}
    return {
        "lanes_polygons": [
            {"fid": lane, "geom": outline, **ids, **sides, "lane_index": 0, "speed_limit_mps": 13.0},
        ],
        "lane_groups_polygons": [{"fid": group, "geom": outline, "creator_id": ""}],
        "baseline_paths": [
            {"fid": lane, "geom": dense(start, end, left), "lane_fid": lane, "lane_connector_fid": None},
        ],
        "boundaries": [
            {"fid": left_side, "geom": dense(start, end, left + 2), "boundary_type_fid": 2},
            {"fid": right_side, "geom": dense(start, end, left - 2), "boundary_type_fid": 0},
        ],
    }


def connector_rows(number, after, start, end, left):
    """Return the rows of the connector from a lane to that of the block after, None at the end of the road."""
    connector, group, left_side, right_side = (kind * 1_000_000 + number for kind in (2, 4, 7, 8))
    outline, path = ribbon(start, end, left), dense(start, end, left)
    lanes = {"exit_lane_fid": 1_000_000 + number, "entry_lane_fid": after and 1_000_000 + after}
    groups = {"from_lane_group_fid": 3_000_000 + number, "to_lane_group_fid": after and 3_000_000 + after}
    rules = {"speed_limit_mps": 9.0, "traffic_light_stop_line_fids": ""}
    sides = {"left_boundary_fid": left_side, "right_boundary_fid": right_side}
    return {
        "lane_connectors": [
            {"fid": connector, "geom": path, **lanes, "lane_group_connector_fid": group, **rules},
        ],
        "gen_lane_connectors_scaled_width_polygons": [
            {"fid": connector, "geom": outline, "lane_connector_fid": connector, **sides},
        ],
        "lane_group_connectors": [{"fid": group, "geom": outline, **groups, "intersection_fid": number}],
        "baseline_paths": [
            {"fid": connector, "geom": path, "lane_fid": None, "lane_connector_fid": connector},
        ],
        "boundaries": [
            {"fid": left_side, "geom": dense(start, end, left + 2), "boundary_type_fid": 3},
            {"fid": right_side, "geom": dense(start, end, left - 2), "boundary_type_fid": 3},
        ],
    }


def dense(start, end, left):
    """Return a line along the road with a vertex each metre."""
    return line(start, end, left).segmentize(1.0)


def ribbon(start, end, left):
    """Return the outline of a lane 4 m wide, with a vertex each metre."""
    return strip(start, end, left - 2, left + 2).segmentize(1.0)


def resident():
    """Return the memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
