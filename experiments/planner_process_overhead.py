"""Measure what a process of its own costs a planner: `python -m experiments.planner_process_overhead [--plans 200]`.

The planner does nothing but return a straight trajectory. Observations have no images, eight images of 960x540 or
1920x1080, or the privileged input of a town's scene. Times are medians per plan, of calls in turn with those of the
same planner in this process.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from swerve.data import open_source
from swerve.eval import build_context
from swerve.eval.benchmark.evaluate.call_planner import call_planner
from swerve.eval.planner_process import PlannerLimits, ProcessPlanner
from swerve.planners.open_planner import load_with_identity
from swerve.scenes import Vehicle, extract_scenes
from swerve.scenes.planning import History, Observation, Planner, Trajectory
from swerve.scenes.viewpoints import Command

STRAIGHT = np.stack([np.arange(1, 9) * 2.0, np.zeros(8), np.zeros(8)], axis=1)


class Straight:
    """Drives straight on."""

    cameras = ()

    def plan(self, observation: Observation) -> Trajectory:
        """Return the same trajectory for every scene."""
        return Trajectory(STRAIGHT, 0.5)


def observations() -> dict[str, Observation]:
    """Return an observation of each kind."""
    seconds = np.arange(-15, 1) / 10
    history = History(seconds, np.zeros((16, 3)), np.zeros((16, 2)), np.zeros((16, 2)), np.zeros(16))
    plain = Observation("token", 0, Vehicle.pacifica(), history, Command.STRAIGHT)
    random = np.random.default_rng(0)
    images, larger = (
        {f"camera {row}": random.integers(0, 255, (*size, 3), np.uint8) for row in range(8)}
        for size in ((540, 960), (1080, 1920))
    )
    source = open_source("town:1")
    scene = extract_scenes(source.load(source.names()[0]))[0]
    return {
        "no images": plain,
        "eight images of 960x540": replace(plain, images=images),
        "eight images of 1920x1080": replace(plain, images=larger),
        "privileged input": replace(plain, privileged=build_context(scene).privileged_input),
    }


def median_ms(call: Callable[[], object], count: int) -> float:
    """Return the median duration of calls, in milliseconds."""
    call()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    """Print a line for each kind of observation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=200)
    count = parser.parse_args().plans
    spec = f"{Straight.__module__.replace('__main__', 'experiments.planner_process_overhead')}:Straight"
    start = time.perf_counter()
    remote: Planner = ProcessPlanner(load_with_identity, spec, PlannerLimits())
    print(f"started in {time.perf_counter() - start:.1f} s")
    for name, observation in observations().items():
        here, there = (
            median_ms(lambda planner=planner, one=observation: call_planner(planner, [one]), count)
            for planner in (Straight(), remote)
        )
        print(f"{name:25} in process {here:7.3f} ms  in its own {there:7.3f} ms")


if __name__ == "__main__":
    main()
