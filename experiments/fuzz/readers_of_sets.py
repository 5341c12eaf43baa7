"""Readers of what Swerve writes: plans, archives, sets, contexts, benchmarks, splats and trained planners."""

import json
from pathlib import Path
from typing import Final

import numpy as np

from experiments.fuzz.formats import mutate_json, mutate_parquet, mutate_safetensors, npz, tar
from experiments.fuzz.hostile import mutate_bytes
from experiments.fuzz.reader import Reader
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.sources.checks import check_log
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.scenes import Scene
from tests.support.simple_source import SimpleSource, small_log

_SIZE: Final = (32, 20)
_SAMPLE: Final = {".json": mutate_json, ".npz": npz(), ".png": mutate_bytes, ".jpg": mutate_bytes}
_ARCHIVE: Final = npz(tree=True)


def _write_plans(folder: Path) -> None:
    poses = [[0.5 * step, 0.0, 0.01] for step in range(1, 9)]
    named = [{"name": "fast", "poses": poses}, {"name": "slow", "poses": poses}]
    (folder / "plans.json").write_text(json.dumps({"1": poses, "2": named}))


def _read_plans(folder: Path) -> None:
    from swerve.eval.scoring.trajectory_file import read_trajectories

    for token, poses in read_trajectories(folder / "plans.json", "fast").items():
        assert isinstance(token, str)
        assert poses.shape[1] == 3
        assert len(poses) >= 8
        assert (np.abs(poses) < 1e4).all()


def _write_archive(folder: Path) -> None:
    from swerve.eval.benchmark.benchmark_store import save_log

    save_log(folder / "log.npz", small_log())


def _read_archive(folder: Path) -> None:
    from swerve.eval.benchmark.benchmark_store import load_log

    check_log(load_log(folder / "log.npz"), "log")


def _write_context(folder: Path) -> None:
    from swerve.eval import build_context, save_context

    save_context(build_context(Scene(small_log(), 40, 15, 50)), folder / "context.npz")


def _read_context(folder: Path) -> None:
    from swerve.eval import load_context, score

    context = load_context(folder / "context.npz")
    plans = np.stack([np.column_stack([np.arange(1, 9) * 2.0, np.zeros((8, 2))])])
    for policy in ("log-replay", "navsim-reactive"):
        metrics = score(context, plans, policy=policy).metrics
        assert ((metrics >= 0) & (metrics <= 1) | np.isnan(metrics)).all()


def _write_set(folder: Path) -> None:
    """Write a set of a few samples, with rasters, depths, classes and instances."""
    options = AugmentOptions(
        scene_interval=5.0, shard_scenes=2, size=_SIZE, extra_outputs=("depth", "semantic", "instance")
    )
    augment([SimpleSource(("train-0", "val-1"))], folder / "set", options, workers=1)


def _write_set_alone(folder: Path) -> None:
    """Write a set as those of before there was an index."""
    _write_set(folder)
    (folder / "set/index.arrow").unlink()


def _read_index(folder: Path) -> None:
    """Read the catalogue of a set: whatever becomes of its index, it says what the manifest says."""
    from swerve.data.dataset.read_manifest import read_manifest
    from swerve.data.stream.catalogue import read_catalogue

    rows = read_manifest(folder / "set", ("key", "shard", "split", "offset", "weight")).to_pylist()
    for split in ("train", "val"):
        own, found = [row for row in rows if row["split"] == split], read_catalogue(folder / "set", split)
        assert found.keys.to_pylist() == [row["key"] for row in own]
        for number, row in enumerate(own):
            shard, _, key, offset, _ = found.where(number)
            assert (shard, key, offset) == (row["shard"], row["key"], row["offset"])
            assert found.weight(number) == row["weight"]


def _read_samples(folder: Path) -> None:
    from swerve.data.dataset import read_samples

    for split in ("train", "val"):
        for sample in read_samples(folder / "set", split):
            assert isinstance(sample["key"], str)
            assert isinstance(sample["json"]["kind"], str)
            assert all(np.asarray(array).dtype.kind in "biufUS" for array in sample["npz"].values())


def _read_stream(folder: Path) -> None:
    parts = (Part("raster_only", 1.0), Part("recovery", 1.0))
    stream = SampleStream(folder / "set", StreamOptions(parts, ImageFit(_SIZE), batch_size=4))
    batch = stream.batch(0)
    assert batch.raster is not None
    assert batch.raster.dtype == np.uint8
    for name in ("history_pose", "target_2hz", "weight", "speed", "vehicle"):
        assert np.isfinite(getattr(batch, name)).all(), name


def _write_contexts(folder: Path) -> None:
    from swerve.eval.context.context_job import write_contexts

    _write_set(folder)
    write_contexts([SimpleSource(("train-0", "val-1"))], folder / "set", folder / "contexts", 1)


def _read_contexts(folder: Path) -> None:
    from swerve.data.stream.batch import Provenance
    from swerve.data.stream.catalogue import read_catalogue
    from swerve.eval.context.context_store import ContextStore
    from swerve.scenes.viewpoints import ViewpointKind

    catalogue, store = read_catalogue(folder / "set", "train"), ContextStore(folder / "contexts", folder / "set")
    for row in range(min(len(catalogue), 4)):
        shard, number, key, *_ = catalogue.where(row)
        stored = Provenance(key, "", "", "", ViewpointKind.LOGGED, 0, shard, number)
        context, reason = store.context(stored), store.reason(stored)
        assert context is not None or (reason and reason.isprintable())


def _write_benchmark(folder: Path) -> None:
    from swerve.eval.benchmark.build.build_job import build
    from swerve.eval.benchmark.build_options import BuildOptions

    options = BuildOptions(
        scene_interval=4.0, traffic="log-replay", min_follow_ups=2, max_follow_ups=2, size=_SIZE, views=("raster",)
    )
    report = build([SimpleSource(("val-a",))], folder / "bench", options, workers=1)
    assert not report.failures, report.failures


def _read_benchmark(folder: Path) -> None:
    from swerve.eval.benchmark.benchmark_store import open_benchmark

    benchmark = open_benchmark(folder / "bench")
    assert benchmark.scenes().num_rows >= 0
    assert benchmark.rejections().num_rows >= 0
    for log in benchmark.logs:
        check_log(benchmark.log(log), "log")
        for name in benchmark.scene_groups(log)[:1]:
            group = benchmark.scene_group(name)
            for scene in list(group.scenes.values())[:2]:
                images = group.views.images(scene, [camera.name for camera in scene.viewpoint.cameras])
                assert all(image.dtype == np.uint8 and image.ndim == 3 for image in images.values())


def _write_trained(folder: Path) -> None:
    from swerve.planners.learning import save_learned
    from swerve.planners.rap import RapConfig, RapModel

    save_learned(RapModel(RapConfig.tiny(dim=8, mlp_dim=8, heads=2, proposals=2)), {}, folder / "rap.safetensors")


def _read_trained(folder: Path) -> None:
    from swerve.planners.load_planner import load_planner

    assert callable(load_planner(str(folder / "rap.safetensors")).planner.plan)


def _write_splats(folder: Path) -> None:
    from swerve.data.splats.splat_files import write_splats
    from swerve.rasterizer.splats import RigidNode, Sky, SplatScene
    from tests.support.splat_clouds import random_gaussians

    times, poses = np.array([0, 100_000]), np.broadcast_to(np.eye(4), (2, 4, 4)).copy()
    nodes = (RigidNode("a/b", 1, random_gaussians(1, 5, 1), times, poses),)
    write_splats(SplatScene(random_gaussians(0, 9), nodes, np.zeros(3), Sky(np.zeros((4, 3), np.float32))), folder)


def _read_splats(folder: Path) -> None:
    from swerve.data.splats.splat_files import read_splats

    scene = read_splats(folder)
    assert np.isfinite(scene.at(50_000).gaussians.means).all()


_TABLES: Final = {"*.parquet": mutate_parquet, "*.tar": tar(_SAMPLE)}
SET_READERS: Final = tuple(
    Reader(*parts)
    for parts in (
        ("plans", _write_plans, {"*.json": mutate_json}, _read_plans),
        ("archive", _write_archive, {"*.npz": _ARCHIVE}, _read_archive),
        ("context", _write_context, {"*.npz": _ARCHIVE}, _read_context),
        ("samples", _write_set, {"set/manifest.parquet": mutate_parquet, "*.tar": tar(_SAMPLE)}, _read_samples),
        ("index", _write_set, {"set/index.arrow": mutate_bytes}, _read_index),
        (
            "stream",
            _write_set_alone,
            {"set/manifest.parquet": mutate_parquet, "*train/*.tar": tar(_SAMPLE)},
            _read_stream,
        ),
        (
            "contexts",
            _write_contexts,
            {"contexts/contexts.json": mutate_json, "contexts/train/*.tar": tar({".npz": _ARCHIVE})},
            _read_contexts,
        ),
        (
            "benchmark",
            _write_benchmark,
            {
                "bench/benchmark.json": mutate_json,
                "bench/scene_groups/*.npz": _ARCHIVE,
                "bench/logs/*.npz": _ARCHIVE,
                "bench/*.parquet": mutate_parquet,
                "bench/views-raster/*.tar": tar({".png": mutate_bytes}),
            },
            _read_benchmark,
        ),
        ("trained", _write_trained, {"*.safetensors": mutate_safetensors}, _read_trained),
        ("splats", _write_splats, {"*.json": mutate_json, "*.ply": mutate_bytes}, _read_splats),
    )
)
