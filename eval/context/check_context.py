"""Checks of contexts that come from files: kernels follow the indices in them without looking."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, UInt8

from swerve.eval.context.map_polygons import Layer, Polygons, Surfaces
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.sub_scores import ScoringMap
from swerve.eval.scoring.thresholds import STEPS
from swerve.eval.traffic.agent_paths import AgentPaths
from swerve.eval.traffic.traffic import RedLights, Traffic
from swerve.scenes import LogError, ObjectClass
from swerve.scenes.printable import name_problem

# Field and problem.
Problems = Iterator[tuple[str, str]]


def context_problems(context: Context) -> Problems:
    """Yield what is invalid in a context: field and problem. Sizes of arrays that share an axis are equal already."""
    for field, names in (("token", [context.token]), ("log", [context.log]), ("route_lanes", context.route_lanes)):
        yield from ((field, problem) for name in names if (problem := name_problem(name)))
    for field in ("ego", "history", "reference", "human"):
        values = getattr(context, field)
        if values is not None and not np.isfinite(values).all():
            yield field, "is not finite"
    yield from _map(context.scoring_map)
    for field, least in (("traffic", STEPS), ("long_traffic", 1), ("current_traffic", 1)):
        yield from _traffic(field, getattr(context, field), least)
    yield from _lights("lights", context.lights, len(context.traffic.present))
    yield from _lights("current_lights", context.current_lights, 1)
    for field in ("navsim_paths", "lane_graph_paths"):
        paths = getattr(context, field)
        yield from _paths(field, paths, context.traffic) if paths is not None else ()


def raise_problems(context: Context, path: str) -> None:
    """Refuse an invalid context; `path` is that of its file.

    Raises:
        LogError: an index leads out of its array, a number is not finite, or a name is none.
    """
    for field, problem in context_problems(context):
        raise LogError(path, f"damaged context: {field}", problem, "Create it again")


def map_problems(ids: tuple[str, ...], layers: UInt8[np.ndarray, "_"], polygons: Polygons) -> Problems:
    """Yield what is invalid in the polygons of a map: field and problem."""
    yield from _polygons("surfaces", polygons, len(ids))
    if len(layers) != len(ids):
        yield "surfaces", f"has {len(ids)} names and {len(layers)} layers"
    if len(layers) and layers.max() > max(Layer):
        yield "surfaces.layers", f"has {layers.max()}, which is no layer"


def _map(scoring_map: ScoringMap) -> Problems:
    surfaces = scoring_map.surfaces
    yield from map_problems(surfaces.ids, surfaces.layers, Polygons(surfaces.edges, surfaces.starts))
    if len(scoring_map.on_route) != len(surfaces.ids):
        yield "surfaces", f"has {len(surfaces.ids)} names and {len(scoring_map.on_route)} on the route"
    yield from _grid(surfaces)
    if len(scoring_map.centerline) < 2 or not np.isfinite(scoring_map.centerline).all():
        yield "scoring_map.centerline", "needs two finite points or more"


def _grid(surfaces: Surfaces) -> Problems:
    cells, side = len(surfaces.cell_starts) - 1, round(max(len(surfaces.cell_starts) - 1, 0) ** 0.5)
    if cells < 1 or side * side != cells or not np.isfinite(surfaces.corner).all():
        yield "surfaces.cell_starts", f"has {cells} cells, which are no square"
    if not _is_packed(surfaces.cell_starts, len(surfaces.cells)):
        yield "surfaces.cell_starts", "does not divide the cells"
    yield from _rows("surfaces.cells", surfaces.cells, len(surfaces.ids))


def _polygons(field: str, polygons: Polygons, count: int) -> Problems:
    if len(polygons.starts) != count + 1 or not _is_packed(polygons.starts, len(polygons.edges)):
        yield f"{field}.starts", f"does not divide the edges into {count} polygons"
    if not np.isfinite(polygons.edges).all():
        yield f"{field}.edges", "is not finite"


def _traffic(field: str, traffic: Traffic, least: int) -> Problems:
    if len(traffic.ids) != len(traffic.classes) or len(traffic.present) < least:
        yield field, f"has {len(traffic.ids)} names of {len(traffic.classes)} tracks, and {len(traffic.present)} steps"
    if len(traffic.classes) and traffic.classes.max() > max(ObjectClass):
        yield f"{field}.classes", f"has {traffic.classes.max()}, which is no class"
    for name in ("poses", "velocities"):
        values = getattr(traffic, name)
        # All are finite, as a rule, which is quicker to find out than which are present.
        if not np.isfinite(values).all() and not np.isfinite(values[traffic.present]).all():
            yield f"{field}.{name}", "is not finite where a track is present"
    if not np.isfinite(traffic.sizes).all() or (traffic.sizes < 0).any():
        yield f"{field}.sizes", "is negative or not finite"


def _lights(field: str, lights: RedLights, steps: int) -> Problems:
    count = len(lights.lane_ids)
    yield from _polygons(f"{field}.polygons", lights.polygons, count)
    if lights.active.shape[1] != count or len(lights.active) < steps:
        yield f"{field}.active", f"is for {lights.active.shape} steps and lights, of which there are {steps, count}"


def _paths(field: str, paths: AgentPaths, traffic: Traffic) -> Problems:
    followers, tracks = len(paths.rows), len(traffic.ids)
    yield from _rows(f"{field}.rows", paths.rows, tracks)
    yield from _rows(f"{field}.parked", paths.parked, tracks)
    if len(paths.current) != tracks or len(paths.lanes) != followers:
        yield field, f"is for {len(paths.current)} tracks and {len(paths.lanes)} followers, not {tracks}, {followers}"
    if len(paths.starts) != followers + 1 or not _is_packed(paths.starts, len(paths.points), least=2):
        yield f"{field}.starts", f"does not divide the points into {followers} paths"
    if paths.gates.shape[2] < len(traffic.present):
        yield f"{field}.gates", f"is for {paths.gates.shape[2]} steps, not {len(traffic.present)}"
    if not all(np.isfinite(one).all() for one in (paths.points, paths.lengths, paths.boxes, paths.sizes, paths.state)):
        yield field, "is not finite"


def _rows(field: str, rows: Int[np.ndarray, "k"], count: int) -> Problems:
    if len(rows) and not 0 <= rows.min() <= rows.max() < count:
        yield field, f"has rows {rows.min()} to {rows.max()}, of {count}"


def _is_packed(starts: Int[np.ndarray, "n1"], count: int, least: int = 0) -> bool:
    """Return whether starts divide so many rows into consecutive parts of `least` rows or more."""
    return bool(len(starts) and starts[0] == 0 and starts[-1] == count and (np.diff(starts) >= least).all())
