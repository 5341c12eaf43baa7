"""Check of a job's folder: every file against its record, or against its own checksums.

Shards, scene groups, splats and the tables of a complete job have a SHA-256 in records; of other files, npz have
checksums of their members and Parquet of their pages, and JSON must parse. What is damaged is removed with all files of
its part, so that the job, started again, makes that part anew, and the rest stays.
"""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swerve.data.jobs.array_runs import RECORDS, RUNS
from swerve.data.jobs.folder import JOB, TABLES
from swerve.data.jobs.folder_locks import lock_job
from swerve.data.jobs.source_records import SOURCES
from swerve.data.storage.checked_json import fields, file_name, read_json
from swerve.data.storage.files import PART, file_digest, remove_file
from swerve.data.storage.mirror import shown, whole_file
from swerve.scenes import LogError, SwerveError
from swerve.scenes.printable import first_line

_JOB: Final = fields({}, {"completion": file_name})
# Files that are looked at together; more would only take memory.
_TOGETHER: Final = 1000
# Folders whose files say nothing about the output, and files that are not the output.
_ASIDE: Final = (RUNS, SOURCES)
_NOT_CHECKED: Final = (".lock", ".yaml", PART)
# Files that are overwritten while a log is fitted.
_WORKING: Final = ("progress.json", "preview.jpg", "state.safetensors")


@dataclass(frozen=True)
class Damage:
    """A damaged or missing file.

    Attributes:
        path: relative to the folder.
        problem: what is wrong, the end of a sentence that begins with the path.
    """

    path: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """Result of a check.

    Attributes:
        files: number of files checked.
        size: their bytes.
        damages: what is wrong, by path.
    """

    files: int
    size: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True)
class _Promise:
    """A file that a record names; `size` is None where the record does not say."""

    path: str
    size: int | None
    digest: str


def verify_folder(folder: Path, tell: Callable[[int, int], None] | None = None) -> Verification:
    """Check every file of a job's folder.

    Args:
        folder: of a job.
        tell: called with the numbers of files and bytes checked so far.
    """
    found = _Findings()
    # Records first: they say which other files there are.
    for names in (_record_names(folder), _other_names(folder)):
        for checked in _checked(folder, (name for name in names if name not in found.promised)):
            found.add(checked)
            if tell:
                tell(found.files, found.size)
    damages = {*found.damages, *found.lacking()}
    ordered = sorted(damages, key=lambda one: (one.path, one.problem))
    return Verification(found.files, found.size, tuple(ordered))


@dataclass(frozen=True)
class _Checked:
    """A checked file: its bytes and those of the files that it names, what is wrong, these files, and its part."""

    name: str
    size: int
    damages: tuple[Damage, ...]
    promises: tuple[_Promise, ...] = ()
    part: tuple[str, int, int] | None = None


class _Findings:
    """Findings after some files.

    Attributes:
        files: number of files checked.
        size: their bytes.
        damages: what is wrong.
        promised: files that records name.
    """

    def __init__(self) -> None:
        self.files, self.size, self.damages, self.promised = 0, 0, list[Damage](), set[str]()
        self._parts = dict[str, tuple[set[int], int]]()

    def add(self, checked: _Checked) -> None:
        """Add a checked file."""
        self.files += 1 + len(checked.promises)
        self.size += checked.size
        self.damages += checked.damages
        self.promised.update(promise.path for promise in checked.promises)
        if checked.name.endswith(".tar"):
            self.damages.append(Damage(checked.name, "is in no record"))
        if checked.part is not None:
            log, chunk, chunks = checked.part
            self._parts.setdefault(log, (set(), chunks))[0].add(chunk)

    def lacking(self) -> Iterator[Damage]:
        """Yield the parts without a record of logs of which there are others."""
        for log, (done, chunks) in self._parts.items():
            for chunk in sorted(set(range(chunks)) - done):
                yield Damage(RECORDS, f"lacks part {chunk} of log {log}")


def _checked(folder: Path, names: Iterator[str]) -> Iterator[_Checked]:
    """Check files on all cores."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while some := list(islice(names, _TOGETHER)):
            yield from pool.map(lambda name: _check(folder, name), some)


def remove_damaged(folder: Path, damages: Iterable[Damage]) -> list[Path]:
    """Remove what is damaged with all files of its part, and the file that says that the job is complete.

    Returns:
        the removed files.

    Raises:
        SwerveError: the folder is in use.
    """
    removed, completion = list[Path](), read_json(folder / JOB, _JOB).get("completion", "")
    with lock_job(folder):
        for damage in damages:
            path = folder / damage.path
            doomed = [path] if path.parent == folder else [path, *_of_same_part(folder, path)]
            doomed += [folder / PurePosixPath(damage.path).parts[0] / "fit.json", folder / completion]
            removed += [one for one in dict.fromkeys(doomed) if _is_removed(one)]
    return removed


def _is_removed(path: Path) -> bool:
    """Remove a file; return whether it was there."""
    if not path.is_file():
        return False
    remove_file(path)
    return True


def _of_same_part(folder: Path, path: Path) -> Iterator[Path]:
    """Yield the files of the part that a file belongs to: those of its name but for the ending, in all subfolders."""
    stem = path.name.split(".")[0]
    for other in folder.iterdir():
        if other.is_dir() and other.name not in _ASIDE:
            yield from other.glob(f"{stem}.*")


def _record_names(folder: Path) -> Iterator[str]:
    """Yield the names of records: those of the tables, of parts, and of fitted logs."""
    tables = (folder / RUNS).glob(TABLES)
    for path in chain(tables, sorted((folder / RECORDS).glob("*")), sorted(folder.glob("*/fit.json"))):
        if path.suffix not in _NOT_CHECKED:
            yield path.relative_to(folder).as_posix()


def _other_names(folder: Path) -> Iterator[str]:
    """Yield the names of the other files, which are evaluated when the records are known."""
    for where, inner, files in os.walk(folder):
        here = Path(where).relative_to(folder)
        inner[:] = sorted(name for name in inner if not (here == Path() and name in (*_ASIDE, RECORDS)))
        for file in sorted(files):
            if Path(file).suffix not in _NOT_CHECKED and file not in (*_WORKING, "fit.json"):
                yield (here / file).as_posix()


def _check(folder: Path, name: str) -> _Checked:
    """Check a file, and those that it names if it is a record."""
    path, is_fit = folder / name, name.endswith("/fit.json")
    try:
        with whole_file(path) as whole:
            size, content = whole.stat().st_size, _content(whole)
    except (OSError, ValueError, LogError, zipfile.BadZipFile, zlib.error, pa.ArrowException, RuntimeError) as error:
        reason = first_line(error)
        return _Checked(name, 0, (Damage(name, f"is damaged ({reason})"),))
    if path.suffix != ".json" or not (is_fit or name.startswith((f"{RECORDS}/", f"{RUNS}/"))):
        return _Checked(name, size, ())
    try:
        promises, part = _promises(content, PurePosixPath(name).parent if is_fit else PurePosixPath()), _part(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return _Checked(name, size, (Damage(name, "is not a record"),))
    kept = [_kept(folder, promise) for promise in promises]
    damages = tuple(damage for _, some in kept for damage in some)
    return _Checked(name, size + sum(own for own, _ in kept), damages, promises, part)


def _content(path: Path) -> Any:  # noqa: ANN401
    """Read a file by its ending; return the content of JSON, None of others.

    Raises:
        OSError, ValueError, LogError, BadZipFile, zlib.error, ArrowException: it is damaged.
    """
    if path.suffix == ".json":
        return read_json(path)
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as file:
            if (bad := file.testzip()) is not None:
                raise ValueError(f"member {bad} has another checksum")
    elif path.suffix == ".parquet":
        with pq.ParquetFile(path, memory_map=False, page_checksum_verification=True) as table:
            for group in range(table.num_row_groups):
                table.read_row_group(group)
    return None


def _promises(record: Mapping[str, Any], base: PurePosixPath) -> tuple[_Promise, ...]:
    """Return the files that a record names, relative to a folder.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no record.
    """
    digests = record.get("sha256", {})
    if isinstance(digests, str):
        named = [(record["shard"], int(record["size"]), digests)] if record["shard"] else []
    else:
        named = [(path, record.get("files", {}).get(path), digest) for path, digest in digests.items()]
    for path, _, digest in named:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or parts[0] == "/" or not isinstance(digest, str):
            raise ValueError(path)
    return tuple(_Promise((base / path).as_posix(), size, digest) for path, size, digest in named)


def _part(record: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Return log, number of the part and number of parts that a record states; None if it states none."""
    if "num_parts" in record:
        return str(record["log"]), int(record["part"]), int(record["num_parts"])
    return (str(record["log"]), int(record["chunk"]), int(record["chunks"])) if "chunks" in record else None


def _kept(folder: Path, promise: _Promise) -> tuple[int, list[Damage]]:
    """Check a file that a record names; return its bytes and what is wrong."""
    path = folder / promise.path
    try:
        size = path.stat().st_size
        if promise.size is not None and size != promise.size:
            return size, [Damage(promise.path, f"has {size} bytes, its record says {promise.size}")]
        with whole_file(path) as whole:
            found = file_digest(whole)
        if found != promise.digest:
            return size, [Damage(promise.path, "has another SHA-256 than its record says")]
    except FileNotFoundError:
        return 0, [Damage(promise.path, "is missing")]
    except OSError as error:
        return 0, [Damage(promise.path, f"cannot be read ({error.strerror})")]
    return size, []


def no_job(folder: Path) -> SwerveError:
    """Return the error that a folder holds no job."""
    if not folder.is_dir():
        return SwerveError(f"{shown(folder)}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    return SwerveError(f"{shown(folder)}: no {JOB}: not the output of a job, or of one that has not begun")


def job_folder(folder: Path) -> Path | None:
    """Return the folder of a job's records, given its output: the same, or `job` in that of an evaluation."""
    return next((one for one in (folder, folder / "job") if (one / JOB).is_file()), None)
