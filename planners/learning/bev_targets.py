"""Targets of auxiliary heads on a grid around the ego, from scoring contexts: agents and drivable area."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.context.map_polygons import Layer
from swerve.eval.context.polygon_grid_kernels import polygons_under
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.context.scene_context import Context
from swerve.scenes.transforms import wrap_angle

# Cells of 2 m in the ego frame: x from 16 m behind the rear axle to 48 m ahead, y from 32 m right to 32 m left.
CELL: Final = 2.0
SIZE: Final = 32
CORNER: Final = (-16.0, -32.0)
# Channels of agents: whether a centre is in the cell; its offset from the cell's centre, x and y, in cells; cosine and
# sine of the heading; logarithms of length and width, m; velocity over ground along the ego's axes, in units of 10 m/s.
CHANNELS: Final = 9
USUAL_SPEED: Final = 10.0
_SMALLEST: Final = 0.1
# As in the drivable area compliance, which asks for corners in polygons of other layers than these.
_NOT_DRIVABLE: Final = (Layer.LANE, Layer.LANE_CONNECTOR)


@lru_cache(1)
def cell_centres() -> Float[np.ndarray, "x y 2"]:
    """Return the centres of the cells in the ego frame, metres; not to be changed."""
    rows = (np.arange(SIZE) + 0.5) * CELL
    centres = np.stack(np.meshgrid(rows + CORNER[0], rows + CORNER[1], indexing="ij"), axis=-1)
    centres.setflags(write=False)
    return centres


def agent_targets(truth: PrivilegedInput) -> Float[np.ndarray, "9 x y"]:
    """Return the road users that are present now, by the cell of their centre; channels as in `CHANNELS`.

    Of several in a cell, the nearest to the ego is kept.
    """
    traffic, found = truth.traffic, np.zeros((CHANNELS, SIZE, SIZE), np.float32)
    rows = np.flatnonzero(traffic.present[0] & traffic.road_users)
    x, y, heading = truth.ego[:3]
    poses, velocities = traffic.poses[0, rows], traffic.velocities[0, rows]
    to_ego = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    centres, moving = (poses[:, :2] - (x, y)) @ to_ego.T, velocities @ to_ego.T / USUAL_SPEED
    turned = wrap_angle(poses[:, 2] - heading)
    places = (centres - CORNER) / CELL
    cells = np.floor(places).astype(int)
    sizes = np.log(np.maximum(traffic.sizes[rows], _SMALLEST))
    offsets = places - cells - 0.5
    values = np.column_stack([np.ones(len(rows)), offsets, np.cos(turned), np.sin(turned), sizes, moving])
    # The nearest is written last.
    for row in np.argsort(-np.hypot(*centres.T), kind="stable"):
        if (cells[row] >= 0).all() and (cells[row] < SIZE).all():
            found[:, cells[row, 0], cells[row, 1]] = values[row]
    return found


def drivable_targets(truth: PrivilegedInput) -> Bool[np.ndarray, "x y"]:
    """Return whether the centre of each cell is on drivable area, as its compliance is scored."""
    surfaces, (x, y, heading) = truth.scoring_map.surfaces, truth.ego[:3]
    to_world = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    points = cell_centres().reshape(-1, 2) @ to_world.T + (x, y)
    ground = (surfaces.edges, surfaces.starts, surfaces.corner, surfaces.cells, surfaces.covered, surfaces.cell_starts)
    polygons, ends = polygons_under(ground, points)
    drivable = ~np.isin(surfaces.layers, _NOT_DRIVABLE)
    owners = np.repeat(np.arange(len(points)), np.diff(ends))
    found = np.zeros(len(points), bool)
    found[owners[drivable[polygons[: ends[-1]]]]] = True
    return found.reshape(SIZE, SIZE)


def bev_targets(
    contexts: Sequence[Context | None],
) -> tuple[Float[np.ndarray, "b 9 x y"], Bool[np.ndarray, "b x y"], Bool[np.ndarray, "b"]]:
    """Return the targets of samples: agents, drivable area, and which samples have a context; zero for others."""
    agents = np.zeros((len(contexts), CHANNELS, SIZE, SIZE), np.float32)
    drivable = np.zeros((len(contexts), SIZE, SIZE), bool)
    for row, one in enumerate(contexts):
        if one is not None:
            truth = one.privileged_input
            agents[row], drivable[row] = agent_targets(truth), drivable_targets(truth)
    return agents, drivable, np.array([one is not None for one in contexts], dtype=bool)
