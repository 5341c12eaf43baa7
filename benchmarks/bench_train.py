"""Benchmark of RAP training on the CPU, one thread: samples per second, time by stage, cost of scoring."""

import json
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.measure import report, timed
from swerve.data import open_source
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamLoader, StreamOptions
from swerve.eval.context.context_job import write_contexts
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import prepare_context, score, score_prepared

CAMERAS = ("front", "left", "right")
STORED = (256, 144)
PARTS = (Part("paired", 2.0, "both"), Part("recovery"), Part("cross_agent"))
BATCH, STEPS, WARM = 16, 12, 3
# Stages of the time between two steps; forward excludes the scorer.
SHARES = ("wait", "forward", "scoring_wait", "backward", "optimizer")


def run():
    """Print and write both tables."""
    import torch

    torch.set_num_threads(1)
    source = open_source("town:1")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        look = {"cameras": CAMERAS, "size": STORED, "scene_interval": 2.0}
        augment([source], folder / "set", AugmentOptions(photos=True, **look), workers=1)
        augment([source], folder / "drawn", AugmentOptions(rasters="primitives", **look), workers=1)
        write_contexts([source], folder / "set", folder / "contexts", workers=1)
        rows = [one_config(folder, name, config) for name, config in configs().items()]
        notes = [
            f"Batches of {BATCH}, half of them with both domains: {BATCH * 3 // 2} views; images stored "
            f"at {STORED[0]}x{STORED[1]}. Shares of the time between two steps, medians of {STEPS - WARM}.",
            "Batches and contexts are prefetched during the step: `wait` is the time that it waits for them.",
            "Proposals are scored in a thread while the other losses are computed: `scoring_wait` is the waiting time,",
            "`scoring_cpu` its CPU time, as a share of the step's CPU time, and per proposal.",
        ]
        report("train", "Training RAP, one thread", rows, notes)
        report("scoring", "Scoring proposals, microseconds of CPU each", scoring(folder))
        report("rasters", "Rasters stored and drawn", [one_kind(folder, kind) for kind in ("set", "drawn")])


def configs():
    from swerve.planners.rap import RapConfig

    middle = {
        "cameras": CAMERAS,
        "image_width": STORED[0],
        "image_height": STORED[1],
        "dim": 128,
        "mlp_dim": 256,
        "proposals": 16,
    }
    return {"tiny": RapConfig.tiny(), "3 cameras 256x144, dim 128": RapConfig.tiny(**middle)}


def one_config(folder, name, config):
    """Measure the shares of a step."""
    import torch

    from swerve.planners.learning.train import Process, train
    from swerve.planners.learning.train_options import TrainingOptions

    fit = ImageFit((config.image_width, config.image_height))
    stream = SampleStream(folder / "set", StreamOptions(PARTS, fit, config.cameras, BATCH))
    store, taken, ends = ContextStore(folder / "contexts", folder / "set"), [], []

    def told(noted):
        ends.append((time.perf_counter(), time.thread_time()))
        taken.append({part.removesuffix("_seconds"): value for part, value in noted.items() if "_seconds" in part})

    alone, options = Process(0, 1, torch.device("cpu")), TrainingOptions(STEPS)
    train(stream, store, config, options, folder / "".join(filter(str.isalnum, name)), alone, report=told)
    steps = [
        {**row, "forward": row["forward"] - row["scoring_wait"], "whole": end[0] - start[0], "cpu": end[1] - start[1]}
        for row, start, end in zip(taken[1:], ends[:-1], ends[1:], strict=True)
    ][WARM - 1 :]
    whole = median(step["whole"] for step in steps)
    return {
        "config": name,
        "samples/s": BATCH / whole,
        **{f"{part} %": 100 * median(step[part] / step["whole"] for step in steps) for part in SHARES},
        "scoring, % of CPU": 100 * median(step["scoring_cpu"] / (step["cpu"] + step["scoring_cpu"]) for step in steps),
        "us a proposal": 1e6 * median(step["scoring_cpu"] for step in steps) / (BATCH * 3 // 2 * config.proposals),
        "beside: load ms": 1e3 * median(step["load"] for step in steps),
        "beside: contexts ms": 1e3 * median(step["contexts"] for step in steps),
        "step ms": 1e3 * whole,
    }


def scoring(folder):
    """Measure the cost of a proposal, with and without the scene's preparation."""
    stream = SampleStream(folder / "set", StreamOptions(PARTS, ImageFit(STORED), CAMERAS, BATCH))
    batch, store = stream.batch(0), ContextStore(folder / "contexts", folder / "set")
    contexts = [one for one in store.contexts(batch.provenance) if one and one.human is not None]
    prepared, rows = [prepare_context(one) for one in contexts], []
    for count in (4, 16, 64):
        noise = np.random.default_rng(0).normal(size=(count, 1, 3)) * [2.0, 1.0, 0.1] * np.linspace(0.1, 1, 8)[:, None]
        plans = [one.human + noise for one in contexts]
        whole = timed(lambda plans=plans: [score(*one) for one in zip(contexts, plans, strict=True)])
        alone = timed(lambda plans=plans: [score_prepared(*one) for one in zip(prepared, plans, strict=True)])
        share = 1e3 / count / len(contexts)
        rows.append({"proposals": count, "by context": share * whole.cpu_ms, "prepared": share * alone.cpu_ms})
    return rows


def one_kind(folder, kind):
    """Measure the cost of a raster, read or rendered, and its size on disk."""
    parts = (Part("recovery"), Part("cross_agent"))
    stream = SampleStream(folder / kind, StreamOptions(parts, ImageFit(STORED), CAMERAS, BATCH))
    list(StreamLoader(stream, 1))
    spent = []
    for step in range(1, 7):
        start = time.process_time()
        stream.batch(step)
        spent.append(time.process_time() - start)
    sizes = [size for path in (folder / kind).rglob("*.tar") for size in raster_sizes(path)]
    still = sum(path.stat().st_size for path in (folder / kind).rglob("still/*"))
    samples = json.loads((folder / kind / "summary.json").read_bytes())["samples"]
    return {
        "rasters": "stored" if kind == "set" else "drawn",
        "ms a sample": 1e3 * median(spent) / BATCH,
        "ms a view, rest included": 1e3 * median(spent) / BATCH / len(CAMERAS),
        "kB a sample": sum(sizes) / samples / 1e3,
        "MB of a log's map": still / 1e6,
    }


def raster_sizes(path):
    """Return the bytes of a shard's rasters, or of the snapshots they are rendered from."""
    with tarfile.open(path) as shard:
        return [member.size for member in shard if member.name.endswith((".png", ".snapshots.npz"))]


if __name__ == "__main__":
    run()
