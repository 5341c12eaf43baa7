"""Results of the runs of an array, in the job's folder, and what is still missing of the job."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from swerve.data.jobs.execution import ArrayPart, Owns
from swerve.data.jobs.failures import FAILURE_SHAPE, FailedPart, Failure
from swerve.data.jobs.schedule import FinishedParts
from swerve.data.storage.checked_json import fields, integer, list_of, mapping_of, number, optional, read_json, text
from swerve.data.storage.files import PART, final_name, make_folder, safe_name, to_json, write_atomically
from swerve.scenes import LogError

RUNS: Final = "runs"
# Subfolder of the records of finished parts.
RECORDS: Final = "records"
_RESULT: Final = fields(
    {
        **{"number": integer(1), "runs": integer(1), "noun": text, "count": integer(0), "seconds": number(0.0)},
        "worker_seconds": mapping_of(number(0.0)),
        "failed": list_of(fields({"log": text, "chunk": optional(integer(0)), "failure": FAILURE_SHAPE})),
    }
)


@dataclass(frozen=True)
class ArrayResult:
    """Result of a run of an array.

    Attributes:
        part: the run.
        noun: plural name of the items.
        count: items.
        seconds: its duration.
        worker_seconds: by stage, summed over workers.
        failed: parts without a record.
    """

    part: ArrayPart
    noun: str
    count: int
    seconds: float
    worker_seconds: Mapping[str, float]
    failed: tuple[FailedPart, ...]


def write_array_result(folder: Path, result: ArrayResult) -> None:
    """Write the result of a run; it replaces that of an earlier run of the same number."""
    own: dict[str, Any] = {"number": result.part.number, "runs": result.part.count, "noun": result.noun}
    own |= {"count": result.count, "seconds": result.seconds, "worker_seconds": dict(result.worker_seconds)}
    make_folder(folder / RUNS)
    content = to_json({**own, "failed": [asdict(one) for one in result.failed]})
    write_atomically(folder / RUNS / f"{result.part.stem}.{result.noun}.json", content)


def array_results(folder: Path, noun: str) -> list[ArrayResult]:
    """Read the results of the runs of the latest array for items of a name; damaged ones count as missing."""
    paths = sorted((folder / RUNS).glob(f"*-of-*.{noun}.json"), key=lambda path: path.stat().st_mtime_ns)
    found = [result for path in paths if (result := _read(path)) is not None]
    return [result for result in found if result.part.count == found[-1].part.count]


def remove_leftovers_of_part(folder: Path, logs: Collection[str], owns: Owns) -> None:
    """Remove incomplete shards and records of the parts that a run of an array makes, which no other run writes.

    Other files, such as a log's map, are left until the job is completed: several runs may be writing them.
    """
    known = {safe_name(log): log for log in logs}
    for path in folder.glob("*/*" + PART):
        log, _, chunk = final_name(path.name).partition(".")[0].rpartition("-")
        is_part = path.parent.name == RECORDS or final_name(path.name).endswith(".tar")
        if is_part and log in known and chunk.isdigit() and owns(known[log], int(chunk)):
            path.unlink(missing_ok=True)


def _read(path: Path) -> ArrayResult | None:
    try:
        own = read_json(path, _RESULT)
    except LogError:
        return None
    failed = tuple(FailedPart(one["log"], one["chunk"], Failure(**one["failure"])) for one in own["failed"])
    part = ArrayPart(own["number"], own["runs"])
    return ArrayResult(part, own["noun"], own["count"], own["seconds"], own["worker_seconds"], failed)


def failed_parts(results: Sequence[ArrayResult], finished: FinishedParts) -> list[FailedPart]:
    """Return the parts that failed and that no later run has made."""
    # Several runs may have failed to read the same log.
    failed = {(one.log, one.chunk): one for result in results for one in result.failed}
    return [one for one in failed.values() if not _is_made(one, finished)]


def _is_made(failed: FailedPart, finished: FinishedParts) -> bool:
    done, chunks = finished.get(failed.log, (set[int](), 0))
    return len(done) == chunks > 0 if failed.chunk is None else failed.chunk in done


def missing_parts(
    logs: Collection[str], finished: FinishedParts, failed: Sequence[FailedPart]
) -> Iterator[tuple[str, int | None]]:
    """Yield the parts that were neither made nor failed; a log of which nothing is known as a whole, with None."""
    tried = {(one.log, one.chunk) for one in failed}
    for log in logs:
        if (log, None) in tried:
            continue
        if log not in finished:
            if not any(name == log for name, _ in tried):
                yield log, None
            continue
        done, chunks = finished[log]
        for chunk in range(chunks):
            if chunk not in done and (log, chunk) not in tried:
                yield log, chunk
