"""Benchmark of the augmentation job on both Argoverse 2 logs, one worker: samples per second, time by stage."""

import tempfile
from pathlib import Path

from benchmarks.measure import real_data, report
from swerve.data import open_source
from swerve.data.dataset import augment
from swerve.data.dataset.augment_options import AugmentOptions

CAMERAS = 8
SETTINGS = {
    "1920x1120 png": AugmentOptions(),
    "1920x1120 jpeg": AugmentOptions(image_format="jpeg"),
    "1920x1120 png, all layers": AugmentOptions(extra_outputs=("depth", "semantic", "instance")),
    "960x560 png": AugmentOptions(size=(960, 560)),
    "768x448 png": AugmentOptions(size=(768, 448)),
}


def run():
    """Print and write the table; skipped without real data."""
    folder = real_data()
    if folder is None:
        return
    source = open_source(f"av2:{folder / 'av2'}")
    one_job(source, AugmentOptions(size=(96, 56), scene_interval=4.0))
    rows = [{"images": name, **one_job(source, options)} for name, options in SETTINGS.items()]
    notes = [
        "Logged, recovery and cross-agent viewpoints of both logs, eight images each, on one core. Seconds are from "
        "the call to the finished manifest, the start of the worker process (some 2 s) included.",
        "Shares are of the worker's own time. Kernels were compiled before.",
    ]
    report("augment", "swerve augment, one worker", rows, notes)


def one_job(source, options):
    """Return the figures of one job with an empty folder."""
    with tempfile.TemporaryDirectory() as out:
        done = augment([source], Path(out) / "set", options, workers=1)
    seconds, samples = done.timing["worker_seconds"], done.summary["samples"]
    total = sum(seconds.values())
    return {
        "samples": samples,
        "samples/s": done.timing["samples_per_second"],
        "ms per image": 1e3 * total / samples / CAMERAS,
        **{f"{stage} %": 100 * spent / total for stage, spent in seconds.items()},
        "kB per image": done.summary["bytes"] / samples / CAMERAS / 1e3,
    }
