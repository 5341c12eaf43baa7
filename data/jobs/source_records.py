"""Records of the sources of logs, so that a resumed job does not mix two versions of a source.

A job folder's `sources/` has a record for each log that was read: a digest of its contents (`log_digest`) and one of
the sizes of its photos and sweeps, both the same wherever the data lie, and the state of its files (names, sizes and
times of modification). Where the state is the recorded one, the log is taken to be the same without reading it; where
it is not, as after copying the data, the log is read and its contents are compared.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from swerve.data.jobs.log_digest import log_digest, sensor_digest, whole_log_digest
from swerve.data.jobs.schedule import FinishedParts
from swerve.data.sources.source import FileSource, Source
from swerve.data.storage.checked_json import fields, plain_name, read_json, text
from swerve.data.storage.files import (
    make_folder,
    os_errors_as_swerve_errors,
    remove_file,
    safe_name,
    to_json,
    write_atomically,
)
from swerve.scenes import Log, LogError, SwerveError

SOURCES: Final = "sources"
_RECORD: Final = fields({"log": plain_name, "digest": text, "sensors": text, "files": text}, {"whole": text})
_SHOWN: Final = 3


@dataclass(frozen=True)
class SourceRecord:
    """Source of a log when it was read.

    Attributes:
        log: its name.
        digest: of its contents, see `log_digest`.
        sensors: of the sizes of its photos and sweeps, see `sensor_digest`.
        files: `file_state` before it was read; empty if its source does not say which files it reads.
        whole: digest of its contents whatever scenes of it are asked for, as by a split; empty in older records.
    """

    log: str
    digest: str
    sensors: str
    files: str
    whole: str = ""

    @property
    def contents(self) -> tuple[str, str]:
        """Both digests: what a log of the same job must have."""
        return self.digest, self.sensors


def load_log(folder: str | Path, source: Source, name: str) -> Log:
    """Read a log, and record its digest in a job folder, or compare it with the recorded one.

    Raises:
        SwerveError: it cannot be read, or its contents have changed since parts of it were made.
    """
    folder = Path(folder)
    files = file_state(source, name)  # before it is read: what changes meanwhile is noticed by the next run
    log = source.load(name)
    found, known = _record_of(log, name, files), read_source_record(folder, name)
    if known is not None and known.contents != found.contents:
        raise SwerveError(_changed(folder, [name]))
    if found != known:
        _write(folder, found)
    return log


def check_sources(
    folder: str | Path,
    sources: Sequence[Source],
    owners: Mapping[str, int],
    finished: FinishedParts,
    alone: bool = True,
) -> None:
    """Check before a run that the logs whose parts exist are those that the parts were made from.

    Args:
        folder: job folder.
        sources: of the logs.
        owners: number of the source of each log.
        finished: parts that exist. Without any, a log may have changed: its record is forgotten.
        alone: whether no other run writes to the folder; records are kept otherwise.

    Raises:
        SwerveError: a log has changed.
    """
    folder, changed = Path(folder), list[str]()
    for name, number in owners.items():
        if name in finished and finished[name][0]:
            if _has_changed(folder, sources[number], name):
                changed.append(name)
        elif alone:
            remove_file(source_record_path(folder, name))
    if changed:
        raise SwerveError(_changed(folder, changed))


def check_same_source(folder: str | Path, other: str | Path, name: str) -> None:
    """Check that a log has the contents that it had when another job read it; its photos and sweeps may be missing.

    Args:
        folder: job folder with the log's record.
        other: folder of the other job; without a record of the log, nothing is checked.
        name: of the log.

    Raises:
        SwerveError: it has changed.
    """
    here, there = (read_source_record(Path(one), name) for one in (folder, other))
    if here and there and here.digest != there.digest:
        raise SwerveError(_changed(Path(other), [name]))


def _has_changed(folder: Path, source: Source, name: str) -> bool:
    known = read_source_record(folder, name)
    if known is None or known.files == (files := file_state(source, name)):
        return False
    found = _record_of(source.load(name), name, files)
    if found.contents == known.contents:
        _write(folder, found)
    return found.contents != known.contents


def _record_of(log: Log, name: str, files: str) -> SourceRecord:
    digest = log_digest(log)
    whole = digest if log.scene_times_us is None else whole_log_digest(log)
    return SourceRecord(name, digest, sensor_digest(log), files, whole)


def _changed(folder: Path, names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return (
        f"{folder}: {len(names)} logs have changed in their source since parts of them were made ({shown}). "
        "Put them back, or choose another folder"
    )


def source_record_path(folder: Path, log: str) -> Path:
    """Return the path of a log's record."""
    return folder / SOURCES / f"{safe_name(log)}-00000.json"


def read_source_record(folder: Path, log: str) -> SourceRecord | None:
    """Return the record of a log; None if there is none that can be read."""
    path = source_record_path(folder, log)
    if not path.is_file():
        return None
    try:
        found = read_json(path, _RECORD)
    except LogError:
        return None  # it is made again when the log is read
    return SourceRecord(**found) if found["log"] == log else None


def _write(folder: Path, record: SourceRecord) -> None:
    with os_errors_as_swerve_errors(folder):
        make_folder(folder / SOURCES)
        write_atomically(source_record_path(folder, record.log), to_json(asdict(record)))


def file_state(source: Source, name: str) -> str:
    """Return a digest of the names, sizes and times of modification of a log's files; empty if they are not known.

    Names are relative to the log's own files, so that moving or copying them with their times keeps the state.
    """
    if not isinstance(source, FileSource):
        return ""
    total = hashlib.blake2b(digest_size=16)
    for path in source.files_of(name):
        for own, state in _entries(path):
            total.update(f"{own}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files at a path, by their names below its parent folder, in order."""
    if not path.is_dir():
        yield path.name, path.stat()
        return
    for folder, inner, names in os.walk(path):
        inner.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.exists():  # a dangling link is the reader's error
                yield file.relative_to(path.parent).as_posix(), file.stat()
