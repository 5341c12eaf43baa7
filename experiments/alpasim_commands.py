"""Compare commands of routes with those of paths: `python -m experiments.alpasim_commands [SOURCE]`, town:12 if none.

IDM drives in closed loop, 8 s at 5 Hz from every 4 s of each log. At each plan the command of the closed loop, which
knows the human's path in points half a metre apart, and the map, is compared with that of AlpaSim's route: up to twenty
waypoints 4.2 m apart in single precision; and of what is left of them where the first 40 m are cut off, as in the
challenge.
"""

import sys
from collections import Counter

import numpy as np

from swerve.data import open_source
from swerve.eval.alpasim.remote_planner import route_waypoints
from swerve.eval.alpasim.route_command import route_command
from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
from swerve.planners.load_planner import load_planner
from swerve.scenes import extract_scenes
from swerve.scenes.planning import Observation, Trajectory
from swerve.scenes.viewpoints import Command, build_log_geometry, logged

CUT = 10


class Comparing:
    """IDM that counts commands: of the observation, of its route, and of the far part of its route."""

    cameras, privileged, route = (), True, True

    def __init__(self) -> None:
        self.idm = load_planner("idm").planner
        self.near, self.far = Counter[tuple[Command, Command]](), Counter[tuple[Command, Command]]()

    def plan(self, observation: Observation) -> Trajectory:
        """Return the trajectory of IDM."""
        assert observation.route is not None
        waypoints = route_waypoints(observation.route).astype(np.float32).astype(np.float64)
        self.near[observation.command, route_command(waypoints)] += 1
        self.far[observation.command, route_command(waypoints[CUT:])] += 1
        return self.idm.plan(observation)


def main() -> None:
    """Print how often commands agree."""
    planner, options = Comparing(), ClosedLoopOptions(rate=5.0, seconds=8.0)
    source = open_source(sys.argv[1] if len(sys.argv) > 1 else "town:12")
    for log in map(source.load, source.names()):
        geometry = build_log_geometry(log)
        for scene in extract_scenes(log, history=1.5, future=options.seconds, interval=4.0):
            drive_prepared(build_closed_loop_scene(logged(scene, geometry), options, geometry=geometry), planner)
    for title, counts in (("whole routes", planner.near), ("routes that begin 40 m ahead", planner.far)):
        known = {pair: count for pair, count in counts.items() if pair[1] is not Command.UNKNOWN}
        agreed = sum(count for (own, other), count in known.items() if own is other)
        print(f"{title}: {agreed} of {sum(known.values())}, {counts.total() - sum(known.values())} unknown")
        for (own, other), count in sorted(counts.items()):
            print(f"  {own.name:9} told as {other.name:9} {count:5d}")


if __name__ == "__main__":
    main()
