"""Inputs of the experiment, and its results: a line of JSON for each run."""

import fcntl
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from experiments.learned_planners.arms import Arm
from experiments.learned_planners.evaluation import Bench
from experiments.learned_planners.training import Sets
from swerve.data.stream.catalogue import read_catalogue
from swerve.scenes import SwerveError
from swerve.training_rounds import RoundSet

OPEN: Final = "open.jsonl"
SAMPLES: Final = "samples.jsonl"
# Scene groups of a log.
_MOST = 3


@dataclass(frozen=True)
class Work:
    """Inputs and runs of the experiment.

    Attributes:
        sets: training sets.
        bench: the benchmark.
        runs: folder of the runs.
        steps: of training.
        closed: name of the file of closed-loop results.
    """

    sets: Sets
    bench: Bench
    runs: Path
    steps: int
    closed: str


def opened_work(
    inputs: Path,
    runs: Path,
    steps: int,
    benchmarks: Sequence[str] = ("bench",),
    driven: int = 1,
    every: int = 1,
    offset: int = 0,
) -> Work:
    """Open sets and benchmarks; `driven`, `every` and `offset` as of `Bench`.

    Raises:
        SwerveError: a log is in the sets and in a benchmark.
    """
    runs.mkdir(parents=True, exist_ok=True)
    off_path = RoundSet(inputs / "off-path", inputs / "off-path-contexts")
    sets = Sets(
        RoundSet(inputs / "logged", inputs / "logged-contexts"),
        off_path,
        ("town:2000-2199",),
        inputs / "backbone.safetensors",
        runs,
    )
    bench = Bench([inputs / one for one in benchmarks], _MOST, driven, every, offset)
    if shared := set(bench.logs) & read_catalogue(off_path.dataset, "train").logs:
        raise SwerveError(f"log {min(shared)} is in the sets and in a benchmark")
    return Work(sets, bench, runs, steps, f"closed-{offset}.jsonl" if offset else "closed.jsonl")


def place_of(runs: Path, arm: Arm, seed: int) -> Path:
    """Return the folder of a run."""
    return runs / f"{arm.name.replace('+ ', '').replace(',', '').replace(' ', '-')}-{seed}"


def noted(path: Path, name: str, seed: int | None) -> bool:
    """Return whether a file has the line of a run."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return any((note["arm"], note["seed"]) == (name, seed) for note in map(json.loads, lines))


def append(work: Work, name: str, note: dict[str, Any]) -> None:
    """Append a line, with the log of each scene group."""
    logs = [work.bench.group(one).log for one in work.bench.names]
    with open(work.runs / name, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({**note, "logs": logs}) + "\n")
    print(f"{note['arm']}, seed {note['seed']}: {note.get('cpu', '')}", flush=True)
