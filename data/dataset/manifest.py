"""Contents of a set: a record per shard, and the manifest assembled from all records."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from swerve.data.dataset.set_index import INDEX, write_index
from swerve.data.jobs import Failure, write_failures
from swerve.data.jobs.failures import FAILURE_SHAPE
from swerve.data.storage.checked_json import (
    fields,
    integer,
    list_of,
    one_of,
    plain_name,
    read_json,
    row_of,
    text,
)
from swerve.data.storage.files import to_json, write_atomically
from swerve.data.storage.parquet_file import ParquetFile
from swerve.scenes import Split

UNKNOWN_OFFSET = -1
# Prefix of the parameters that state the bounds that a viewpoint exceeds.
_RELAXED = "relaxed_"
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("log", pa.string()),
        ("token", pa.string()),
        ("time_us", pa.int64()),
        ("kind", pa.string()),
        ("index", pa.int32()),
        ("command", pa.string()),
        ("speed", pa.float64()),
        ("coverage", pa.float64()),
        ("boxes", pa.int32()),
        ("photos", pa.int32()),
        ("relaxed", pa.string()),
        ("relaxation", pa.float64()),
        ("weight", pa.float64()),
        ("parameters", pa.string()),
        ("offset", pa.int64()),
    ]
)

_COUNT = integer(0)
_ROW = fields({**dict.fromkeys(("key", "kind", "log", "token", "parameters"), text), "index": integer()})
_RECORD = fields(
    {
        **{"log": plain_name, "part": _COUNT, "num_parts": _COUNT, "split": one_of(("train", "val", "test"))},
        **{"shard": text, "size": _COUNT, "sha256": text, "rows": list_of(_ROW)},
        "rejections": list_of(row_of(text, text, integer(), text)),
        "failures": list_of(FAILURE_SHAPE),
    }
)


@dataclass(frozen=True)
class ShardRecord:
    """Result of one part of a log.

    Attributes:
        log: the log's name.
        part: index of the part.
        num_parts: number of parts of the log.
        split: split of the log.
        shard: path of the tar in the set; empty if the part has no sample.
        size: size of the tar in bytes.
        sha256: SHA-256 of the tar.
        rows: the manifest's rows, in the order of the samples.
        rejections: (token, kind, index, reason) of each viewpoint that was tried and not used; of kind "scene", reason
            "time_gap", in the first part: windows of the log rejected because of a time gap.
        failures: failed samples; a part with failures is repeated by the next run.
    """

    log: str
    part: int
    num_parts: int
    split: Split
    shard: str
    size: int
    sha256: str
    rows: tuple[dict[str, Any], ...]
    rejections: tuple[tuple[str, str, int, str], ...]
    failures: tuple[Failure, ...]


def write_record(path: Path, record: ShardRecord) -> None:
    """Write a record as JSON, atomically."""
    write_atomically(path, to_json(asdict(record)))


def read_record(path: Path) -> ShardRecord:
    """Read a record written by `write_record`.

    Raises:
        LogError: it is missing or damaged.
    """
    record = read_json(path, _RECORD, "Remove it and run the same job again")
    record["rows"] = tuple(record["rows"])
    record["rejections"] = tuple(tuple(rejection) for rejection in record["rejections"])
    record["failures"] = tuple(Failure(**failure) for failure in record["failures"])
    return ShardRecord(**{field.name: record[field.name] for field in fields_of(ShardRecord)})


def write_manifest(
    folder: Path,
    records: Iterable[ShardRecord],
    failures: Sequence[Failure],
    weights_of: Callable[[ShardRecord], Sequence[float]],
    acceptance: dict[str, Any],
) -> dict[str, Any]:
    """Write manifest.parquet, its index, failures.json and summary.json of a set; return the summary.

    Args:
        folder: folder of the set.
        records: records of all parts, in the order of the rows. Only one is held in memory at a time.
        failures: failures of parts without a record, usually whole logs.
        weights_of: the weights of a record's rows.
        acceptance: entry of the summary.
    """
    counts, failed = Counts(), list(failures)
    index = partial(write_index, path=folder / INDEX)
    with ParquetFile(folder / "manifest.parquet", SCHEMA, before=index) as manifest:
        for record in records:
            counts.add(record)
            failed += record.failures
            weighted = zip(record.rows, weights_of(record), strict=True)
            # Records of before offsets were written have none: readers then look for the samples.
            manifest.add({"offset": UNKNOWN_OFFSET, **row, "weight": weight} for row, weight in weighted)
        summary = {**counts.summary(len(failed)), "acceptance": acceptance}
        write_failures(folder, failed)
        write_atomically(folder / "summary.json", to_json(summary))
    return summary


class Counts:
    """Counts over records."""

    def __init__(self) -> None:
        self._logs, self._kinds, self._splits = set[str](), Counter[str](), Counter[str]()
        self._rejections, self._sizes = Counter[tuple[str, str]](), list[int]()
        self._relaxed, self._largest = Counter[str](), dict[str, float]()

    def add(self, record: ShardRecord) -> None:
        """Add a record to the counts."""
        self._logs.add(record.log)
        self._kinds.update(row["kind"] for row in record.rows)
        self._splits.update(row["split"] for row in record.rows)
        self._rejections.update((kind, reason) for _, kind, _, reason in record.rejections)
        self._sizes += [record.size] if record.shard else []
        for row in record.rows:
            if _RELAXED in row["parameters"]:  # most have none, and need not be parsed
                self._add_relaxed(json.loads(row["parameters"]))

    def _add_relaxed(self, parameters: dict[str, float]) -> None:
        """Count the bounds that a sample exceeds."""
        for name, share in relaxed_of(parameters).items():
            self._relaxed[name] += 1
            self._largest[name] = max(self._largest.get(name, 0.0), share)

    def summary(self, failures: int) -> dict[str, Any]:
        """Return the counts in the form of summary.json."""
        rejections: dict[str, dict[str, int]] = {}
        for (kind, reason), count in sorted(self._rejections.items()):
            rejections.setdefault(kind, {})[reason] = count
        return {
            "samples": self._kinds.total(),
            "samples_by_kind": dict(self._kinds),
            "samples_by_split": dict(self._splits),
            "rejections": rejections,
            "relaxed": {
                name: {"samples": count, "largest": self._largest[name]}
                for name, count in sorted(self._relaxed.items())
            },
            "failures": failures,
            "logs": len(self._logs),
            "shards": len(self._sizes),
            "bytes": sum(self._sizes),
        }


def relaxed_of(parameters: dict[str, float]) -> dict[str, float]:
    """Return the bounds that a viewpoint exceeds, and its share of each, from its parameters."""
    return {name.removeprefix(_RELAXED): share for name, share in parameters.items() if name.startswith(_RELAXED)}
