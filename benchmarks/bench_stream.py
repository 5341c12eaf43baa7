"""Benchmark of training input: batches per second by size and number of images, and cost of scoring contexts."""

import cProfile
import pstats
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.measure import report
from swerve.data import open_source
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamLoader, StreamOptions
from swerve.eval import score
from swerve.eval.context.context_job import write_contexts
from swerve.eval.context.context_store import ContextStore

STORED = (768, 448)
PARTS = (Part("raster_only"), Part("recovery"), Part("cross_agent", 2.0))
SETTINGS = [
    (STORED, ("front",)),
    (STORED, ("front", "front_left", "front_right", "back")),
    ((384, 224), ("front",)),
    ((384, 224), ("front", "front_left", "front_right", "back")),
]
BATCH, STEPS = 16, 6


def run():
    """Print and write both tables."""
    source = open_source("town:1")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "set"
        made = augment([source], folder, AugmentOptions(size=STORED, scene_interval=1.0), workers=1)
        rows = [one_setting(folder, size, cameras) for size, cameras in SETTINGS]
        notes = [
            f"PNG rasters of a town, stored at {STORED[0]}x{STORED[1]}, in batches of {BATCH}; samples per second once "
            "the workers run. Decode: share of the time spent on reading, decoding and fitting images.",
        ]
        report("stream", "Batches of a training set", rows, notes)
        report("contexts", "Scoring contexts of a training set", [contexts(source, folder, Path(place), made)])


def one_setting(folder, size, cameras):
    """Measure samples per second without and with workers."""
    stream = SampleStream(folder, StreamOptions(PARTS, ImageFit(size), cameras, BATCH))
    stream.batch(0)
    start = time.process_time()
    for step in range(STEPS):
        stream.batch(step)
    spent = time.process_time() - start
    return {
        "images": f"{len(cameras)} x {size[0]}x{size[1]}",
        "samples/s of CPU time": BATCH * STEPS / spent,
        "decode %": 100 * decode_share(stream),
        **{f"samples/s, {workers} workers": rate(stream, workers) for workers in (1, 2)},
    }


def decode_share(stream):
    """Measure the share of `ImageFit.decode` in the time of a batch, reading included, under the profiler."""
    profile = cProfile.Profile()
    profile.runcall(lambda: [stream.batch(step) for step in range(4)])
    stats = pstats.Stats(profile)
    decoding = sum(row[3] for (_, _, name), row in stats.stats.items() if name == "_image")
    return decoding / stats.total_tt


def rate(stream, workers):
    """Measure samples per second from the second batch on, when all workers have started."""
    batches = iter(StreamLoader(stream, 4 * STEPS, workers))
    for _ in range(2 * workers + 1):
        next(batches)
    start, count = time.perf_counter(), 0
    for batch in batches:
        count += len(batch)
    return count / (time.perf_counter() - start)


def contexts(source, folder, place, made):
    """Measure size and times of the contexts of the set."""
    done = write_contexts([source], folder, place / "contexts", workers=1)
    store = ContextStore(place / "contexts", folder)
    stream = SampleStream(folder, StreamOptions(PARTS, ImageFit((8, 8)), ("front",), BATCH))
    batch = stream.batch(0)
    loads, scores = [], []
    for row, origin in enumerate(batch.provenance):
        start = time.process_time()
        context = store.context(origin)
        loads.append(time.process_time() - start)
        proposals = batch.target_2hz[row, None, :8].astype(float).repeat(64, axis=0)
        score(context, proposals)
        start = time.process_time()
        score(context, proposals)
        scores.append(time.process_time() - start)
    spent, samples = done.timing["worker_seconds"], made.summary["samples"]
    return {
        "samples": samples,
        "kB per sample": done.summary["bytes"] / samples / 1e3,
        "ms to make": 1e3 * (spent["contexts"] + spent["viewpoints"]) / samples,
        "ms to load": 1e3 * median(loads),
        "ms to score 64 proposals": 1e3 * median(scores),
    }


if __name__ == "__main__":
    run()
