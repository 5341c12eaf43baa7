"""Small jobs on generated towns, and what their outputs hold."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from swerve.data.dataset.shards import dataset_digest, read_shard
from tests.support.blocky_street import write_street

LOGS = "town:2"
_SMALL = ["--size", "160x90", "--scene-interval", "6", "--shard-scenes", "1"]


@dataclass(frozen=True)
class FaultJob:
    """A job to disturb.

    Attributes:
        needs: name of the job whose output it reads; empty if none.
        arguments: of the command, given the output of `needs` (folder or URL) and a folder of this machine for sources;
            without OUT, which stands where "OUT" is.
        items: what an output holds, each as often as it is there.
        digest: of an output.
        workers: arguments that give it two workers.
        shared: whether the runs of an array can share it.
    """

    needs: str
    arguments: Callable[[Path | str, Path], list[str]]
    items: Callable[[Path], Counter[str]]
    digest: Callable[[Path], str]
    workers: tuple[str, ...] = ("--workers", "2")
    shared: bool = True


def _rows(name: str, *columns: str) -> Callable[[Path], Counter[str]]:
    """Return the function that counts the rows of a table by some columns."""

    def count(folder: Path) -> Counter[str]:
        table = pq.read_table(folder / name, columns=list(columns))
        return Counter(" ".join(map(str, row.values())) for row in table.to_pylist())

    return count


def _contexts(folder: Path) -> Counter[str]:
    shards = [shard for split in ("train", "val", "test") for shard in sorted((folder / split).glob("*.tar"))]
    return Counter(key for shard in shards for key, _ in read_shard(shard))


def _scores(folder: Path) -> str:
    """Return the digest of the tables of scores; the results also hold times.

    Raises:
        RuntimeError: there are none.
    """
    files = sorted((folder / "scores").glob("*.csv"))
    if not files:
        raise RuntimeError(f"{folder}: no tables of scores")
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def _streets(folder: Path) -> list[str]:
    """Return two sources of photos, which are drawn where they are missing."""
    places = [folder / "streets" / name for name in ("one", "two")]
    for place in places:
        if not place.is_dir():
            write_street(place, count=10, height=64, width=96)
    return [f"kitti:{place}" for place in places]


def _fit(_: Path | str, folder: Path) -> list[str]:
    small = ["--cameras", "left", "--steps", "160", "--densification.max-gaussians", "2000"]
    return ["fit", *_streets(folder), "OUT", *small, "--holdout-interval", "4", "--checkpoint-seconds", "0.2"]


def _splats(folder: Path) -> list[Path]:
    """Return the files of scenes."""
    return sorted(path for path in folder.glob("*/*") if path.suffix == ".ply" or path.name == "graph.json")


def _fits(folder: Path) -> str:
    """Return the digest of scenes; fit.json also holds times."""
    content = b"".join(path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in _splats(folder))
    return hashlib.sha256(content).hexdigest()


def _steps(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the table of steps, without times."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in csv.DictReader(file)]


def _training(folder: Path) -> str:
    """Return the digest of a planner and of the losses of all steps."""
    weights = (folder / "planner.safetensors").read_bytes()
    return hashlib.sha256(weights + json.dumps(_steps(folder)).encode()).hexdigest()


def _driven(folder: Path) -> str:
    """Return the digest of the rows of rollouts, without times."""
    table = pq.read_table(folder / "rollouts.parquet").drop_columns(["seconds_per_plan"])
    return hashlib.sha256(json.dumps(table.to_pylist()).encode()).hexdigest()


_TINY = ["--family", "ego-mlp", "--model", "tiny", "--batch-size", "4", "--steps", "200", "--checkpoint-every", "10"]

JOBS = {
    "augment": FaultJob(
        "",
        lambda *_: ["augment", LOGS, "OUT", *_SMALL, "--viewpoints", "logged"],
        _rows("manifest.parquet", "key"),
        dataset_digest,
    ),
    "contexts": FaultJob(
        "augment", lambda needed, _: ["contexts", LOGS, str(needed), "OUT"], _contexts, dataset_digest
    ),
    "build": FaultJob(
        "",
        lambda *_: ["build", LOGS, "OUT", "--scene-interval", "4", "--views", "--max-follow-ups", "5"],
        _rows("scenes.parquet", "token"),
        dataset_digest,
    ),
    "evaluate": FaultJob(
        "build",
        lambda needed, _: [
            *("evaluate", str(needed), "OUT", "--no-report", "--planners"),
            *("constant-velocity", "constant-acceleration", "human"),
        ],
        _rows("results.parquet", "planner", "token"),
        _scores,
    ),
    "drive": FaultJob(
        "",
        lambda *_: [
            *("drive", LOGS, "OUT", "--rate", "1", "--seconds", "4", "--scene-interval", "4"),
            *("--planners", "constant-velocity", "human"),
        ],
        _rows("rollouts.parquet", "planner", "log", "token"),
        _driven,
    ),
    "fit": FaultJob("", _fit, lambda folder: Counter(str(path.relative_to(folder)) for path in _splats(folder)), _fits),
    "train": FaultJob(
        "augment",
        lambda needed, _: ["train", str(needed), "OUT", *_TINY],
        lambda folder: Counter(row["step"] for row in _steps(folder)),
        _training,
        shared=False,
    ),
}
