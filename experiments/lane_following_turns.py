"""Compare where vehicles that turn in the log end under lane-following traffic.

    python -m experiments.lane_following_turns SOURCE...

Sources are those of `swerve`: folders, `town:8`. Every second of each log that has 1.5 s before it and 8 s after it is
a moment; a vehicle that changes its heading by more than 40 degrees in those 8 s of the log turns. It ends elsewhere if
its logged end lies more than 3 m from the path that it follows. The ego drives as logged.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from swerve.data import open_source
from swerve.eval import Context, build_context, lane_agents
from swerve.eval.benchmark.build.advance_traffic import logged_states
from swerve.scenes import Log, Scene, SwerveError
from swerve.scenes.polyline import to_frenet

HISTORY, HORIZON, STRIDE = 15, 80, 10
TURN, ELSEWHERE, SLOW = np.deg2rad(40.0), 3.0, 0.5


@dataclass(frozen=True)
class Turn:
    """A vehicle that turns in the log.

    Attributes:
        name: of the track.
        off_path: metres from its logged end to the path that it follows.
        apart: metres between its logged end and where it is at that step.
    """

    name: str
    off_path: float
    apart: float


def turns_of(context: Context, log: Log, now: int) -> Iterator[Turn]:
    """The vehicles on lanes that turn after a moment."""
    driven, logged, agent_paths = (
        lane_agents(context, logged_states(log, now)[: HORIZON + 1]),
        context.traffic,
        context.lane_graph_paths,
    )
    for place, row in enumerate(agent_paths.rows):
        steps = np.flatnonzero(logged.present[:, row])
        poses = logged.poses[steps, row]
        if np.abs(np.unwrap(poses[:, 2])[-1] - poses[0, 2]) <= TURN or np.ptp(poses[:, :2], axis=0).max() < ELSEWHERE:
            continue
        path = agent_paths.points[agent_paths.starts[place] : agent_paths.starts[place + 1], :2]
        apart = driven.poses[steps[-1], row, :2] - poses[-1, :2]
        yield Turn(logged.ids[row], abs(float(to_frenet(path, poses[-1:, :2])[1][0])), float(np.hypot(*apart)))


def ghosts_of(context: Context, log: Log, now: int) -> int:
    """Count the vehicles that stand at some step and report a speed above 0.5 m/s."""
    driven, rows = lane_agents(context, logged_states(log, now)[: HORIZON + 1]), context.lane_graph_paths.rows
    moved = np.linalg.norm(np.diff(driven.poses[:, rows, :2], axis=0), axis=-1)
    speeds = np.linalg.norm(driven.velocities[1:, rows], axis=-1)
    return int(((moved < 1e-9) & (speeds > SLOW)).any(axis=0).sum())


def measure(log: Log) -> tuple[list[Turn], int, int]:
    """The turns of all moments of a log, followers that report speed while they stand, and all followers."""
    turns, ghosts, followers = [], 0, 0
    for now in range(HISTORY, len(log.times_us) - HORIZON, STRIDE):
        try:
            context = build_context(Scene(log, now, HISTORY, HORIZON), steps=HORIZON + 1)
        except SwerveError as error:
            print(error)
            continue
        turns += turns_of(context, log, now)
        ghosts += ghosts_of(context, log, now)
        followers += len(context.lane_graph_paths.rows)
    return turns, ghosts, followers


def tell(name: str, turns: list[Turn], ghosts: int, followers: int) -> None:
    """Prints a line of figures."""
    off = np.array([turn.off_path for turn in turns])
    apart = np.array([turn.apart for turn in turns])
    vehicles = {turn.name for turn in turns}
    lost = {turn.name for turn in turns if turn.off_path > ELSEWHERE}
    middle = f"path {np.median(off):.2f} m off, {np.median(apart):.1f} m apart (medians)" if len(off) else ""
    share = (
        f"{int((off > ELSEWHERE).sum())} of {len(off)} turns end elsewhere ({len(lost)} of {len(vehicles)} vehicles)"
    )
    print(f"{name}: {share} {middle}; {ghosts} of {followers} report speed while they stand", flush=True)


def main(sources: list[str]) -> None:
    """Measures each source, and each of its logs."""
    for text in sources:
        source, turns, ghosts, followers = open_source(text), list[Turn](), 0, 0
        for name in source.names():
            found, standing, count = measure(source.load(name))
            tell(name, found, standing, count)
            turns += [Turn(f"{name} {turn.name}", turn.off_path, turn.apart) for turn in found]
            ghosts, followers = ghosts + standing, followers + count
        tell(text, turns, ghosts, followers)


if __name__ == "__main__":
    main(sys.argv[1:])
