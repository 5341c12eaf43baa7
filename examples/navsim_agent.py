"""Evaluate a NAVSIM agent on a generated town: `python examples/navsim_agent.py [FOLDER]`; needs torch, not NAVSIM."""

import sys
from pathlib import Path

import swerve

# A file of its own, as NAVSIM's users have it: navsim_agents/braking_agent.py, beside this script.
AGENT = "navsim:navsim_agents.braking_agent.BrakingAgent"


def main(folder: Path) -> None:
    """Builds a small benchmark with views of a generated town, and evaluates the agent with two settings."""
    bench = folder / "bench"
    options = swerve.BuildOptions(
        scene_interval=5.0, max_follow_ups=2, min_follow_ups=1, views=("raster",), size=(192, 112), cameras=("front",)
    )
    swerve.build_benchmark(["town:1"], bench, options)
    planners = [f"{AGENT},gain=2,label=bold", f"{AGENT},gain=0.2,label=timid"]
    evaluation = swerve.evaluate(bench, planners, folder / "results")
    for label, numbers in evaluation.summary["planners"].items():
        print(f"{label}: EPDMS {numbers['score']:.3f}, failures {numbers['failures']}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples").absolute())
