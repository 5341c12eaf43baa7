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
    """Return the rows of one block: a lane, and the connector to the next."""
    number, start, left = road * BLOCKS + block + 1, (LANE + CONNECTOR) * block, APART * road
    lane, connector, group, joint = (kind * 1_000_000 + number for kind in (1, 2, 3, 4))
    end, following = start + LANE, start + LANE + CONNECTOR
    after = number + 1 if block + 1 < BLOCKS else None
    sides = {side: kind * 1_000_000 + number for side, kind in (("l", 5), ("r", 6), ("cl", 7), ("cr", 8))}
    area = {"geom": strip(end, following, left - 6, left + 6), "creator_id": ""}
    return {
        "lanes_polygons": [
            {
                "fid": lane,
                "geom": ribbon(start, end, left),
                "lane_fid": lane,
                "lane_group_fid": group,
                "lane_index": 0,
                "speed_limit_mps": 13.0,
                "lane_type_fid": 0,
                "left_boundary_fid": sides["l"],
                "right_boundary_fid": sides["r"],
            },
        ],
        "lane_connectors": [
            {
                "fid": connector,
                "geom": dense(end, following, left),
                "exit_lane_fid": lane,
                "entry_lane_fid": after and 1_000_000 + after,
                "lane_group_connector_fid": joint,
                "speed_limit_mps": 9.0,
                "traffic_light_stop_line_fids": "",
            },
        ],
        "gen_lane_connectors_scaled_width_polygons": [
            {
                "fid": connector,
                "geom": ribbon(end, following, left),
                "lane_connector_fid": connector,
                "left_boundary_fid": sides["cl"],
                "right_boundary_fid": sides["cr"],
            },
        ],
        "lane_groups_polygons": [{"fid": group, "geom": ribbon(start, end, left), "creator_id": ""}],
        "lane_group_connectors": [
            {
                "fid": joint,
                "geom": ribbon(end, following, left),
                "from_lane_group_fid": group,
                "to_lane_group_fid": after and 3_000_000 + after,
                "intersection_fid": number,
            },
        ],
        "baseline_paths": [
            {"fid": lane, "geom": dense(start, end, left), "lane_fid": lane, "lane_connector_fid": None},
            {"fid": connector, "geom": dense(end, following, left), "lane_fid": None, "lane_connector_fid": connector},
        ],
        "boundaries": [
            {"fid": sides["l"], "geom": dense(start, end, left + 2), "boundary_type_fid": 2},
            {"fid": sides["r"], "geom": dense(start, end, left - 2), "boundary_type_fid": 0},
            {"fid": sides["cl"], "geom": dense(end, following, left + 2), "boundary_type_fid": 3},
            {"fid": sides["cr"], "geom": dense(end, following, left - 2), "boundary_type_fid": 3},
        ],
        "intersections": [{"fid": number, **area}],
        "crosswalks": [{"fid": number, **area}],
        "walkways": [{"fid": number, "geom": strip(start, end, left + 2, left + 4), "creator_id": ""}],
        "road_segments": [{"fid": number, "geom": ribbon(start, end, left), "creator_id": ""}],
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
