"""Records of the parts of a context store."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from swerve.data.dataset.manifest import ShardRecord
from swerve.data.jobs import RECORDS, FinishedParts, record_path
from swerve.data.storage.checked_json import fields, flag, integer, list_of, read_json, text
from swerve.data.storage.files import remove_file, to_json, write_atomically
from swerve.eval.context.log_map import log_map_path
from swerve.scenes import LogError

_RECORD: Final = fields({"shard": text, "size": integer(0), "sha256": text, "scored": list_of(flag)})


@dataclass(frozen=True)
class ContextRecord:
    """Result of a part.

    Attributes:
        shard: path of the tar in the store, as in the set.
        size: of the tar in bytes.
        sha256: of the tar.
        scored: whether each sample has a context.
    """

    shard: str
    size: int
    sha256: str
    scored: tuple[bool, ...]


def context_record_path(folder: Path, record: ShardRecord) -> Path:
    """Return the path of the record of a part of the set."""
    return record_path(folder, record.log, record.part, ".json")


def write_context_record(folder: Path, part: ShardRecord, record: ContextRecord) -> None:
    """Write the record of a part of the set."""
    write_atomically(context_record_path(folder, part), to_json(asdict(record)))


def read_context_record(folder: Path, part: ShardRecord) -> ContextRecord | None:
    """Read the record of a part of the set; None if it is missing, damaged, or of another part."""
    path = context_record_path(folder, part)
    if not path.is_file():
        return None
    try:
        found = read_json(path, _RECORD)
    except LogError:
        return None
    record = ContextRecord(found["shard"], found["size"], found["sha256"], tuple(found["scored"]))
    return record if (record.shard, len(record.scored)) == (part.shard, len(part.rows)) else None


def remove_damaged(folder: Path, parts: Iterable[ShardRecord]) -> list[Path]:
    """Remove records that are damaged, of another part, or of no part of the set; return them."""
    # Listed first: other runs of an array write records meanwhile.
    there = sorted((folder / RECORDS).glob("*.json"))
    good = {context_record_path(folder, part) for part in parts if read_context_record(folder, part) is not None}
    damaged = [path for path in there if path not in good]
    for path in damaged:
        remove_file(path)
    return damaged


def finished_contexts(folder: Path, parts: Iterable[ShardRecord]) -> FinishedParts:
    """Return the parts whose shard is as large as its record says, or that have no sample.

    Where the map of a log is missing, its first part with contexts, which writes it again, is not finished.
    """
    finished, mapped = dict[str, tuple[set[int], int]](), set[str]()
    for part in parts:
        done, _ = finished.setdefault(part.log, (set(), part.num_parts))
        record, path = read_context_record(folder, part), folder / part.shard
        whole = record is not None and path.is_file() and path.stat().st_size == record.size
        if whole and record is not None and any(record.scored) and part.log not in mapped:
            mapped.add(part.log)
            whole = log_map_path(folder, part.log).is_file()
        if whole or not part.shard:
            done.add(part.part)
    return finished


def count_contexts(folder: Path, parts: Iterable[ShardRecord], failures: int) -> dict[str, Any]:
    """Count by kind the samples that can and cannot be scored; failed parts are left out."""
    scored, unscored, size = Counter[str](), Counter[str](), 0
    for part in parts:
        record = read_context_record(folder, part)
        if record is None:
            continue
        size += record.size
        for row, has in zip(part.rows, record.scored, strict=True):
            (scored if has else unscored)[row["kind"]] += 1
    return {"scored": dict(scored), "unscored": dict(unscored), "failures": failures, "bytes": size}
