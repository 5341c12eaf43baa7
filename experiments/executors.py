"""Measure samples a second of `swerve augment` by executor: `python -m experiments.executors [--source town:8]`.

One process, two processes, two workers of Ray, and an array of two runs at once make the same set. Rates are those of
the job itself, without the start of the command; efficiency is the rate over that of one process, times the workers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swerve.data.dataset.shards import dataset_digest

_SWERVE = (sys.executable, "-c", "from swerve.cli import main; main()")
_OPTIONS = ("--viewpoints", "logged", "recovery", "--shard-scenes", "4")


@dataclass(frozen=True)
class Executor:
    """A way to execute the job.

    Attributes:
        name: for the table.
        workers: number of workers, over all runs.
        runs: arguments of each of the commands that run at once.
    """

    name: str
    workers: int
    runs: tuple[tuple[str, ...], ...]


EXECUTORS = (
    Executor("1 process", 1, (("--workers", "1"),)),
    Executor("2 processes", 2, (("--workers", "2"),)),
    Executor("Ray, 2 workers", 2, (("--workers", "2", "--on", "ray"),)),
    Executor("array of 2 runs", 2, tuple(("--workers", "1", "--part", f"{number}/2") for number in (1, 2))),
)


@dataclass(frozen=True)
class Rate:
    """Samples and durations of one executor.

    Attributes:
        samples: number of samples.
        seconds: of the job, or of the longest run of an array.
        whole: seconds of all commands, with their start and the completion of an array.
        digest: of the set.
    """

    samples: int
    seconds: float
    whole: float
    digest: str


def measure(executor: Executor, command: Sequence[str], out: Path) -> Rate:
    """Make the set once.

    Raises:
        RuntimeError: a command fails.
    """
    start = time.perf_counter()
    running = [
        subprocess.Popen([*_SWERVE, *command, *run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for run in executor.runs
    ]
    codes = [one.wait() for one in running]
    if len(executor.runs) > 1:
        codes.append(subprocess.run([*_SWERVE, "finish", str(out)], capture_output=True, check=False).returncode)
    if any(codes):
        raise RuntimeError(f"{executor.name}: exit codes {codes}: {' '.join(command)}")
    timing = json.loads((out / "timing.json").read_text())
    return Rate(timing["samples"], timing["seconds"], time.perf_counter() - start, dataset_digest(out))


def main(arguments: Sequence[str]) -> int:
    """Print a line for each executor; return 1 if sets differ."""
    parser = argparse.ArgumentParser(prog="python -m experiments.executors", description=__doc__)
    parser.add_argument("--source", default="town:8")
    parser.add_argument("--size", default="480x270")
    parser.add_argument("--scene-interval", default="1")
    args = parser.parse_args(arguments)
    rates = list[Rate]()
    with tempfile.TemporaryDirectory() as folder:  # kernels are compiled once after installation: not measured
        out = Path(folder) / "set"
        measure(EXECUTORS[0], ("augment", args.source, str(out), "--size", args.size, "--scene-interval", "10"), out)
    print(f"{'':<16} {'samples':>8} {'seconds':>8} {'samples/s':>9} {'efficiency':>10} {'whole':>7}  same digest")
    for executor in EXECUTORS:
        with tempfile.TemporaryDirectory(prefix="swerve-executors-") as folder:
            out = Path(folder) / "set"
            given = ("--size", args.size, "--scene-interval", args.scene_interval, *_OPTIONS)
            rates.append(rate := measure(executor, ("augment", args.source, str(out), *given), out))
        speed, alone = rate.samples / rate.seconds, rates[0].samples / rates[0].seconds
        print(
            f"{executor.name:<16} {rate.samples:>8} {rate.seconds:>8.1f} {speed:>9.2f} "
            f"{speed / alone / executor.workers:>10.0%} {rate.whole:>6.1f}s  {rate.digest == rates[0].digest}",
            flush=True,
        )
    return int(len({rate.digest for rate in rates}) > 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
