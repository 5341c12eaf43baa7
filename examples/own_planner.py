"""Evaluate your own planner on a benchmark: `python examples/own_planner.py [FOLDER]`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from swerve.scenes.planning import Observation, Trajectory


class Braking:
    """Drives straight on and brakes by a constant deceleration until it stands."""

    cameras = ()  # names of the cameras whose images it wants: none

    def __init__(self, deceleration: float = 1.0) -> None:
        self.deceleration = deceleration  # m/s2; `--planner own_planner:Braking,deceleration=2`

    def plan(self, observation: Observation) -> Trajectory:
        """Eight poses (x, y, heading) in the ego frame, every 0.5 s."""
        speed = float(observation.history.velocity[-1, 0])
        seconds = np.minimum(0.5 * np.arange(1, 9), max(speed, 0.0) / self.deceleration)
        x = speed * seconds - 0.5 * self.deceleration * seconds**2
        return Trajectory(np.stack([x, np.zeros(8), np.zeros(8)], axis=1), interval=0.5)


def main(folder: Path) -> None:
    """Builds a small benchmark of a generated town and evaluates the planner on it, beside a baseline."""
    bench, results = folder / "bench", folder / "results"
    swerve = str(Path(sys.executable).with_name("swerve"))  # the command of this environment
    build = ["build", "town:1", str(bench), "--every", "5", "--most", "4", "--least", "1", "--views", "none"]
    planners = ["--planner", "own_planner:Braking,deceleration=2", "--planner", "constant-velocity"]
    # A planner's module is looked for in the current folder.
    for command in (build, ["evaluate", str(bench), *planners, "--out", str(results)]):
        subprocess.run([swerve, *command], check=True, cwd=Path(__file__).parent)
    summary = json.loads((results / "summary.json").read_text())
    for label, numbers in summary["planners"].items():
        print(f"{label}: EPDMS {numbers['score']:.3f}, failures {numbers['failures']}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples").absolute())
