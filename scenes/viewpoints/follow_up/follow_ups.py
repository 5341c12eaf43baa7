"""Follow-up viewpoints of a scene: start points of the second stage, each with a history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from swerve.scenes.log import Scene
from swerve.scenes.polyline import to_frenet
from swerve.scenes.tracks import Ego
from swerve.scenes.viewpoints.follow_up.follow_up_options import STEP, FollowUpOptions
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, StartGrid, grid_of
from swerve.scenes.viewpoints.follow_up.synthesis import synthesise
from swerve.scenes.viewpoints.follow_up.trajectory_bank import Match, TrajectoryBank, match, rotate_points
from swerve.scenes.viewpoints.human_limits import relaxations
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.viewpoint import Rejection, ViewpointKind

Origin = Literal["bank", "synthesis"]
# Range of the human's path that is searched for foot points of bank trajectories (before the human and past the last
# start point), and the chord length, both in metres (on a radius of 10 m, 1 cm off).
_AROUND, _CHORD = 10.0, 1.0


@dataclass(frozen=True)
class FollowUp:
    """Start state of the second stage.

    Attributes:
        index: number of the start point in the grid.
        ego: states every 0.1 s from `history` seconds before the start to the start itself, which is exactly
            `horizon` seconds after the scene's timestamp; poses lie on the map's ground, tilted like the human's path.
        history_source: whether the history is a human trajectory of the bank or synthesised.
        parameters: provenance, in SI units: "lateral", "longitudinal", "heading" and "speed" are the start point's
        offsets. From the bank: "drive" (row in the bank), "match_along" and "match_across" (distance of its end from
            the start point), "match_distance". Synthesised: "limit_ratio" (ratio to the allowed limits),
            and "relaxed_<bound>" for each bound that it exceeds, its ratio to that bound.
    """

    index: int
    ego: Ego
    history_source: Origin
    parameters: dict[str, float]


@dataclass(frozen=True)
class _Histories:
    """Final steps of trajectories, one for each start point of a grid."""

    positions: Float[np.ndarray, "p h 2"]
    headings: Float[np.ndarray, "p h"]
    speeds: Float[np.ndarray, "p h"]
    accelerations: Float[np.ndarray, "p h"]
    curvatures: Float[np.ndarray, "p h"]
    along: Float[np.ndarray, "p h"]


def follow_ups(
    scene: Scene, geometry: LogGeometry, bank: TrajectoryBank, options: FollowUpOptions
) -> list[FollowUp | Rejection]:
    """Build all start points around the human's position `horizon` seconds after the scene's timestamp, by index.

    Each gets the history of the nearest human trajectory of the bank (`match`), moved so that it ends on the start
    point; heading, speed and acceleration are the trajectory's. Start points with a heading or speed offset, and those
    without a match, get a synthesised one (`synthesise`).

    Reasons to reject: "rough_log" (no car drives the human's poses, or they reverse), "beyond_log" (the start point or
    its history lies beyond an end of the log that is in a curve), "no_match" (only the bank is allowed and nothing
    matches), "infeasible". Neither traffic nor the map's surfaces are tested.

    Raises:
        ValueError: `geometry` is another log's; the log ends before the horizon; the bank has another duration.
    """
    if geometry.log is not scene.log:
        raise ValueError(f"geometry of log {geometry.log.name} given for a scene of {scene.log.name}")
    if bank.speeds.shape[1] != options.steps:
        raise ValueError(f"trajectories of the bank have {bank.speeds.shape[1]} steps instead of {options.steps}")
    human = HumanReference.of(scene, geometry, options.horizon)
    grid = grid_of(human, geometry.path, options)
    if geometry.is_implausible(human.steps):
        return _rejected(grid, "rough_log")
    inside = ~geometry.beyond_log_ends(grid.along[:, None], np.zeros((len(grid), 1)))
    found = _rejected(grid.of(~inside), "beyond_log")
    grid = grid.of(inside)
    matched = np.zeros(len(grid), bool)
    if options.sources != "synthesis":
        matches = match(bank, human, grid, options)
        found += _from_bank(geometry, bank, human, grid, matches, options)
        matched[matches.points] = True
    if options.sources == "bank":
        found += _rejected(grid.of(~matched), "no_match")
    else:
        found += synthesised_follow_ups(geometry, human, grid.of(~matched), options)
    return sorted(found, key=lambda one: one.index)


def _from_bank(
    geometry: LogGeometry,
    bank: TrajectoryBank,
    human: HumanReference,
    grid: StartGrid,
    matches: Match,
    options: FollowUpOptions,
) -> list[FollowUp | Rejection]:
    grid = grid.of(matches.points)
    histories = _placed(geometry, bank, human, grid, (matches.trajectories, slice(-options.history_steps, None)))
    numbers = {
        "drive": matches.trajectories.astype(np.float64),
        "match_along": matches.longitudinal,
        "match_across": matches.lateral,
        "match_distance": np.hypot(matches.longitudinal, matches.lateral),
    }
    return _made(geometry, grid, histories, "bank", numbers)


def _placed(
    geometry: LogGeometry,
    bank: TrajectoryBank,
    human: HumanReference,
    grid: StartGrid,
    steps: tuple[np.ndarray, slice],
) -> _Histories:
    """Rotate steps of trajectories to the human's initial heading and move their ends to the start points."""
    way = rotate_points(bank.positions[steps].astype(np.float64), human.heading)
    positions = grid.positions[:, None] + way - way[:, -1:]
    start = human.along - _AROUND
    reach = float(np.max(grid.along, initial=human.along)) + _AROUND - start
    line = geometry.path.at(start + np.arange(0.0, reach, _CHORD)).positions
    along, _ = to_frenet(line, positions.reshape(-1, 2))
    return _Histories(
        positions,
        human.heading + bank.headings[steps].astype(np.float64),
        bank.speeds[steps].astype(np.float64),
        bank.accelerations[steps].astype(np.float64),
        bank.curvatures[steps].astype(np.float64),
        start + along.reshape(positions.shape[:2]),
    )


def synthesised_follow_ups(
    geometry: LogGeometry, human: HumanReference, grid: StartGrid, options: FollowUpOptions
) -> list[FollowUp | Rejection]:
    """Build start points of a grid with synthesised histories; rejects as "infeasible" or "beyond_log"."""
    synthesis = synthesise(geometry, human, grid, options)
    feasible = synthesis.limit_ratio <= 1.0
    drives, last = synthesis.drives, slice(-options.history_steps, None)
    acceleration = np.gradient(drives.speeds, STEP, axis=1, edge_order=2)
    whole = (drives.positions, drives.headings, drives.speeds, acceleration, drives.curvatures, synthesis.along)
    histories = _Histories(*(part[feasible, last] for part in whole))
    numbers = {"limit_ratio": synthesis.limit_ratio[feasible]}
    relaxed = [relaxations(ratios) for ratios in synthesis.ratios.T[feasible]]
    made = _made(geometry, grid.of(feasible), histories, "synthesis", numbers, relaxed)
    return made + _rejected(grid.of(~feasible), "infeasible")


def _made(
    geometry: LogGeometry,
    grid: StartGrid,
    histories: _Histories,
    origin: Origin,
    numbers: dict[str, Float[np.ndarray, "p"]],
    relaxed: Sequence[dict[str, float]] = (),
) -> list[FollowUp | Rejection]:
    poses = geometry.poses_beside(histories.positions, histories.headings, histories.along)
    beyond = geometry.beyond_log_ends(histories.along, histories.speeds)
    still = np.zeros_like(histories.speeds)
    yaw_rates = histories.speeds * histories.curvatures
    velocity = np.stack([histories.speeds, still], axis=-1)
    acceleration = np.stack([histories.accelerations, histories.speeds * yaw_rates], axis=-1)
    offsets = {
        "lateral": grid.lateral,
        "longitudinal": grid.longitudinal,
        "heading": grid.heading_offsets,
        "speed": grid.speed_offsets,
    }
    result: list[FollowUp | Rejection] = _rejected(grid.of(beyond), "beyond_log")
    for row in np.flatnonzero(~beyond):
        ego = Ego(poses[row], velocity[row], acceleration[row], yaw_rates[row])
        parameters = {name: float(values[row]) for name, values in {**offsets, **numbers}.items()}
        parameters |= relaxed[row] if relaxed else {}
        result.append(FollowUp(int(grid.indices[row]), ego, origin, parameters))
    return result


def _rejected(grid: StartGrid, reason: str) -> list[FollowUp | Rejection]:
    return [Rejection(ViewpointKind.FOLLOW_UP, int(index), reason) for index in grid.indices]
