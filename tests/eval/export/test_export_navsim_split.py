"""A benchmark of a NAVSIM split's scenes, exported as NAVSIM's data: read back, it scores as before."""

import pytest

from swerve.data import open_source
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.export.export_navsim import export_navsim
from swerve.eval.scoring.sub_scores import Metric
from tests.support.exported_benchmark import largest_differences
from tests.support.nuplan_files import nuplan_archives, unpack

SPLIT = "defaults:\n- scene_filter: own\ndata_split: test\n"
FILTER = """
num_history_frames: 4
num_future_frames: 10
frame_interval: 1
has_route: true
max_scenes: null
log_names: null
tokens: [adcf7d18f0035000]
"""
OPTIONS = BuildOptions(min_follow_ups=1, max_follow_ups=1, traffic="log-replay", size=(64, 36), cameras=("front",))


@pytest.mark.slow
def test_scores_are_those_of_the_benchmark(tmp_path):
    root, splits = unpack(nuplan_archives(), tmp_path / "data"), tmp_path / "splits"
    (splits / "scene_filter").mkdir(parents=True)
    (splits / "own.yaml").write_text(SPLIT)
    (splits / "scene_filter" / "own.yaml").write_text(FILTER)
    build([open_source(f"navsim:{root}").of_split(splits / "own.yaml")], tmp_path / "bench", OPTIONS, 1)
    benchmark = open_benchmark(tmp_path / "bench")
    ((name,),) = [benchmark.scene_groups(log) for log in benchmark.logs]
    exported = export_navsim(benchmark, tmp_path / "out")
    for policy in ("log-replay", "navsim-reactive"):
        found = largest_differences(benchmark, exported.folder.root, name, policy)
        progress = found[Metric.EGO_PROGRESS]
        found[Metric.EGO_PROGRESS] = 0.0
        assert found.max() == 0.0
        assert progress < 1e-6  # velocities are float32 in NAVSIM's files
