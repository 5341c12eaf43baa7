"""Exported benchmarks read back, beside the benchmarks that they were made from."""

import csv
from pathlib import Path

import numpy as np

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.navsim_benchmark import NavsimBenchmark, open_navsim_benchmark
from swerve.planners.load_planner import load_planner

PLANNERS = ("constant-velocity", "pdm-closed")


def split_of(root: Path) -> Path:
    """Return the split file of an export."""
    (file,) = (root / "config" / "common" / "train_test_split").glob("*.yaml")
    return file


def read_back(root: Path) -> NavsimBenchmark:
    """Open an export as NAVSIM's data."""
    return open_navsim_benchmark(navsim_folders(str(root)), read_split(split_of(root)))


def tokens_of(root: Path) -> dict[str, str]:
    """Return the exported tokens by the benchmark's names of the scenes."""
    with open(root / "tokens.csv", newline="") as file:
        return {row["scene"]: row["token"] for row in csv.DictReader(file)}


def largest_differences(direct: Benchmark, root: Path, name: str, policy: str = "log-replay") -> np.ndarray:
    """Return the largest difference of each sub-score between a scene group and its export; tokens must agree."""
    exported, tokens = read_back(root), tokens_of(root)
    own = direct.scene_group(name)
    planners = {planner: load_planner(planner).planner for planner in PLANNERS}
    first = evaluate_group(own, planners, policy)
    second = evaluate_group(exported.scene_group(tokens[own.group.now]), planners, policy)
    found = []
    for one, other in zip(first, second, strict=True):
        assert tuple(tokens[name] for name in one.scenes.tokens) == other.scenes.tokens
        np.testing.assert_array_equal(one.scenes.times_us, other.scenes.times_us)
        np.testing.assert_array_equal(one.human_filtered, other.human_filtered)
        np.testing.assert_allclose(
            one.scenes.ends - one.scenes.starts, other.scenes.ends - other.scenes.starts, atol=1e-5
        )
        found.append(np.abs(one.scenes.metrics - other.scenes.metrics).max(axis=0))
        found.append(np.abs(one.raw - other.raw).max(axis=0))
    return np.max(found, axis=0)
