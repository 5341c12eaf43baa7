"""Evaluate your own planner on a benchmark: `python examples/own_planner.py [FOLDER]`."""

import sys
from pathlib import Path

import numpy as np

import swerve


class Braking(swerve.Planner):
    """Drives straight on and brakes by a constant deceleration until it stands."""

    cameras = ()  # names of the cameras whose images it wants: none

    def __init__(self, deceleration: float = 1.0) -> None:
        self.deceleration = deceleration  # m/s2; `--planners own_planner:Braking,deceleration=2`

    def plan(self, observation: swerve.Observation) -> swerve.Trajectory:
        """Eight poses (x, y, heading) in the ego frame, every 0.5 s."""
        speed = float(observation.history.velocity[-1, 0])
        seconds = np.minimum(0.5 * np.arange(1, 9), max(speed, 0.0) / self.deceleration)
        x = speed * seconds - 0.5 * self.deceleration * seconds**2
        return swerve.Trajectory(np.stack([x, np.zeros(8), np.zeros(8)], axis=1), interval=0.5)


def main(folder: Path) -> None:
    """Builds a small benchmark of a generated town and evaluates the planner on it, beside a baseline."""
    bench = folder / "bench"
    swerve.build_benchmark(
        ["town:1"], bench, swerve.BuildOptions(scene_interval=5.0, max_follow_ups=4, min_follow_ups=1, views=())
    )
    # Worker processes import the planner's module; it is looked for in the current folder, too.
    planners = ["own_planner:Braking,deceleration=2", "constant-velocity"]
    evaluation = swerve.evaluate(bench, planners, folder / "results")
    for label, numbers in evaluation.summary["planners"].items():
        print(f"{label}: EPDMS {numbers['score']:.3f}, failures {numbers['failures']}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples").absolute())
