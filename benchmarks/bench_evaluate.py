"""Benchmark of evaluations (plan and score of one scene) per second on one core, warm, against the official code."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import real_data, report, timed
from swerve.data import open_source
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.planners import ConstantVelocity

# Official code with its context cache built beforehand, as measured on another day on this kind of machine
# (reference/pseudo_simulation.md, 5): first-stage scenes include the human filter, follow-ups do not.
ORIGINAL = {"log-replay": (8.0, 12.0), "navsim-reactive": (0.7, 1.5)}
POPULATIONS = {
    "1": {"constant-velocity": ConstantVelocity()},
    "10": {f"constant-velocity-{factor:.1f}": ConstantVelocity(factor) for factor in np.arange(0.5, 1.5, 0.1)},
}
CASES = 2  # of each benchmark
REPEATS = 3


def run():
    """Print and write the table; real logs only where available."""
    sources = {"town": "town:1"}
    if folder := real_data():
        sources["Argoverse 2"] = f"av2:{folder / 'av2'}"
    rows = [row for name, source in sources.items() for row in measured(name, source)]
    notes = [
        "Swerve builds the contexts, which the official code caches, and includes planning and the reasons.",
        f"Constant-velocity planners on {CASES} cases of each benchmark, evaluated as in swerve evaluate.",
    ]
    report("evaluate", "Evaluations per second and core, warm", rows, notes)


def measured(name, source):
    """Return the rows of one benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        build(
            [open_source(source)],
            Path(folder),
            BuildOptions(scene_interval=4.0, views=(), traffic="log-replay"),
            workers=1,
        )
        benchmark = open_benchmark(folder)
        names = [scene_group for log in benchmark.logs for scene_group in benchmark.scene_groups(log)]
        scene_groups = [
            benchmark.scene_group(scene_group) for scene_group in names[:: max(len(names) // CASES, 1)][:CASES]
        ]
    for policy, (least, most) in ORIGINAL.items():
        for count, planners in POPULATIONS.items():
            seconds = 1e-3 * sum(timing(scene_group, planners, policy) for scene_group in scene_groups)
            evaluations = len(planners) * sum(len(scene_group.scenes) for scene_group in scene_groups)
            yield {
                "benchmark": name,
                "traffic": policy,
                "planners": count,
                "frames": evaluations // len(planners),
                "evaluations/s": evaluations / seconds,
                "ms each": 1e3 * seconds / evaluations,
                "official/s": f"{least:g}-{most:g}",
                "ratio": f"{evaluations / seconds / most:.0f}-{evaluations / seconds / least:.0f}",
            }


def timing(scene_group, planners, policy):
    """Measure the CPU milliseconds of one scene group."""
    return timed(lambda: evaluate_group(scene_group, planners, policy), REPEATS).cpu_ms
