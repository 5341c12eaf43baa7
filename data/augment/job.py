"""The folder of a job: what belongs there, what is finished, and whether it is the same job that goes on."""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from swerve.data.augment.manifest import Record, read_record, to_json
from swerve.data.files import PART, make_folder, safe_name, write_atomically
from swerve.data.options import AugmentOptions
from swerve.data.source import Source
from swerve.scenes import SwerveError

# Packages whose version changes what is drawn and encoded.
_PACKAGES = ("swerve", "numpy", "numba", "scipy", "shapely", "pyarrow", "simplejpeg")
_OWN_FILES = ("job.json", "job.lock", "manifest.parquet", "summary.json", "failures.json", "timing.json")


def log_names(sources: Sequence[Source]) -> dict[str, int]:
    """Every log's name and the number of its source, in order.

    Raises:
        SwerveError: no log at all, or two logs whose samples would bear the same keys: they would be doubled, and a
            log that is both in training and in validation would leak.
    """
    owners, taken = dict[str, int](), dict[str, str]()
    for number, source in enumerate(sources):
        for name in source.names():
            if safe_name(name) in taken:
                raise SwerveError(
                    f"log {name!r} of source {number + 1} ({source.kind}) has the same name as log "
                    f"{taken[safe_name(name)]!r}: name every log once"
                )
            owners[name], taken[safe_name(name)] = number, name
    if not owners:
        raise SwerveError("the sources hold no log")
    return owners


def job_config(sources: Sequence[Source], options: AugmentOptions) -> dict[str, Any]:
    """Everything that the content of a set depends on, but the logs' contents: no paths, no times."""
    return {
        "options": asdict(options),
        "logs": sorted([sources[number].kind, name] for name, number in log_names(sources).items()),
        "versions": {package: version(package) for package in _PACKAGES},
    }


@contextmanager
def open_job(folder: Path, config: dict[str, Any]) -> Iterator[None]:
    """Takes the folder for this job alone: starts it, or goes on with it after removing half-written files.

    Raises:
        SwerveError: the folder is another job's, holds files of somebody else, or is in use.
    """
    make_folder(folder)
    if not (folder / "job.json").is_file() and (strangers := [p for p in folder.iterdir() if not _is_start(p)]):
        raise SwerveError(f"{folder} is not empty (it holds {strangers[0].name}): choose another folder")
    with _lock(folder / "job.lock"):
        _compare(folder, config)
        for path in folder.rglob("*" + PART):
            path.unlink()
        _refuse_strangers(folder, {safe_name(name) for _, name in config["logs"]})
        for name in ("records", "train", "val", "test"):
            (folder / name).mkdir(exist_ok=True)
        write_atomically(folder / "job.json", to_json(config))
        # It says that the set is finished: not before this run has come to its end.
        (folder / "manifest.parquet").unlink(missing_ok=True)
        yield


def _is_start(path: Path) -> bool:
    """Whether a job that was killed in its first moments may have left this."""
    return path.name in ("job.lock", "job.json" + PART)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds the file; the system lets go of it when the process ends, however it ends."""
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SwerveError(f"{path.parent}: another job is writing there; wait for it or end it") from None
        yield


def _compare(folder: Path, config: dict[str, Any]) -> None:
    """The folder's job, if there is one, is this job; one that has made no sample yet gives way."""
    path = folder / "job.json"
    if not path.is_file():
        return
    there = json.loads(path.read_bytes())
    if there != json.loads(to_json(config)):
        if not any(record.rows for record in read_records(folder)):
            for record in (folder / "records").glob("*.json"):
                record.unlink()
            return
        differences = "; ".join(_differences(there, json.loads(to_json(config))))
        raise SwerveError(f"{folder} holds another job: {differences}. Give the same options, or another folder")


def _differences(there: dict[str, Any], here: dict[str, Any]) -> Iterator[str]:
    """What differs, one phrase each."""
    old, new = (dict(_leaves({part: config.get(part) for part in ("options", "versions")})) for config in (there, here))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{name} was {old.get(name)}, is {new.get(name)}"
    old_logs, new_logs = ({tuple(log) for log in config.get("logs", [])} for config in (there, here))
    lost, added = sorted(old_logs - new_logs), sorted(new_logs - old_logs)
    for word, logs in (("missing now", lost), ("new", added)):
        if logs:
            yield f"{len(logs)} logs are {word} ({logs[0][0]} {logs[0][1]}{', ...' if len(logs) > 1 else ''})"


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dicts by their names, such as "viewpoints.recovery.per_scene"."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _refuse_strangers(folder: Path, names: set[str]) -> None:
    """Every file is this job's: readers take every shard they find."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts = path.relative_to(folder).parts
        own = len(parts) == 1 and path.name in _OWN_FILES
        ending = {"records": ".json", "train": ".tar", "val": ".tar", "test": ".tar"}.get(parts[0])
        log, _, chunk = path.stem.rpartition("-")
        if not own and not (len(parts) == 2 and path.suffix == ending and log in names and chunk.isdigit()):
            raise SwerveError(f"{path} is not of this job: move it away")


def unit_stem(log: str, chunk: int) -> str:
    """Name of a part of a log, for its shard and its record."""
    return f"{safe_name(log)}-{chunk:05d}"


def record_path(folder: Path, log: str, chunk: int) -> Path:
    """Where the record of a part lies."""
    return folder / "records" / f"{unit_stem(log, chunk)}.json"


def finished_chunks(folder: Path) -> dict[str, tuple[set[int], int]]:
    """By log: the parts that are done without failure and whose shards lie there in full length, of how many."""
    finished = dict[str, tuple[set[int], int]]()
    for record in read_records(folder):
        done, _ = finished.setdefault(record.log, (set(), record.chunks))
        if not record.failures and _shard_is_whole(folder, record):
            done.add(record.chunk)
    return finished


def read_records(folder: Path) -> Iterator[Record]:
    """The records of a job, in the order of their names."""
    for path in sorted((folder / "records").glob("*.json")):
        yield read_record(path)


def _shard_is_whole(folder: Path, record: Record) -> bool:
    """Whether the shard has the length that the record says."""
    path = folder / record.shard
    return not record.shard or (path.is_file() and path.stat().st_size == record.size)
