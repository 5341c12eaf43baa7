"""Measure what a part costs by itself, here and on Ray: `python -m experiments.faults.overhead [--parts 400]`.

Parts write a number. The cost is the time from the first to the last, over their count, with all workers at once.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swerve.data.jobs import (
    Execution,
    FolderLayout,
    PartResult,
    ProgressCallback,
    job_config,
    open_job,
    part_stem,
    run_work,
)
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import to_json, write_atomically

_LAYOUT = FolderLayout("done.json", (), {"numbers": ".json"})
_LOGS = ("a", "b")


@dataclass(frozen=True)
class NumberWork:
    """Writes the number of each part.

    Attributes:
        folder: output folder.
        chunks: number of parts of each log.
    """

    folder: Path
    chunks: int

    def open(self, log: str, watch: Stopwatch) -> "NumberLog":
        """Return the log."""
        return NumberLog(self.folder, log, self.chunks)


@dataclass(frozen=True)
class NumberLog:
    """A log of numbers."""

    folder: Path
    log: str
    chunks: int

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Write a number."""
        report("", 0, 0.0)
        write_atomically(self.folder / "numbers" / f"{part_stem(self.log, chunk)}.json", to_json(chunk))
        return PartResult(1)


def main(arguments: Sequence[str]) -> int:
    """Print the milliseconds of a part by executor."""
    parser = argparse.ArgumentParser(prog="python -m experiments.faults.overhead", description=__doc__)
    parser.add_argument("--parts", type=int, default=400, help="parts of each of two logs")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args(arguments)
    for on in ("local", "ray"):
        execution = Execution(args.workers, on=on)
        cost, seconds = _measured(execution, args.parts)
        print(f"{on}: {cost:.1f} ms a part, {seconds:.1f} s in all", flush=True)
    return 0


def _measured(execution: Execution, chunks: int) -> tuple[float, float]:
    """Return the milliseconds of a part, and the seconds of a job of two logs of so many parts."""
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), time.perf_counter()
        with open_job(folder, job_config({}, [("numbers", log) for log in _LOGS], ()), _LAYOUT):
            run_work(NumberWork(folder, chunks), folder, _LOGS, {}, "numbers", execution)
        times = sorted(path.stat().st_mtime_ns for path in (folder / "numbers").iterdir())
        return (times[-1] - times[0]) * 1e-6 / (len(times) - 1), time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
