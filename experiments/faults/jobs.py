"""Small jobs on generated towns, and what their outputs hold."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from swerve.data.dataset.shards import dataset_digest, read_shard

LOGS = "town:2"
_SMALL = ["--size", "160x90", "--scene-interval", "6", "--shard-scenes", "1"]


@dataclass(frozen=True)
class FaultJob:
    """A job to disturb.

    Attributes:
        needs: name of the job whose output it reads; empty if none.
        arguments: of the command, given the output of `needs`, without OUT, which stands where "OUT" is.
        items: what an output holds, each as often as it is there.
        digest: of an output.
    """

    needs: str
    arguments: Callable[[Path], list[str]]
    items: Callable[[Path], Counter[str]]
    digest: Callable[[Path], str]


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


JOBS = {
    "augment": FaultJob(
        "",
        lambda _: ["augment", LOGS, "OUT", *_SMALL, "--viewpoints", "logged"],
        _rows("manifest.parquet", "key"),
        dataset_digest,
    ),
    "contexts": FaultJob("augment", lambda needed: ["contexts", LOGS, str(needed), "OUT"], _contexts, dataset_digest),
    "build": FaultJob(
        "",
        lambda _: ["build", LOGS, "OUT", "--scene-interval", "4", "--views", "--max-follow-ups", "5"],
        _rows("scenes.parquet", "token"),
        dataset_digest,
    ),
    "evaluate": FaultJob(
        "build",
        lambda needed: [
            *("evaluate", str(needed), "OUT", "--no-report", "--planners"),
            *("constant-velocity", "constant-acceleration", "human"),
        ],
        _rows("results.parquet", "planner", "token"),
        _scores,
    ),
}
