"""Layout of a set's folder, and the state of its parts."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord, read_record
from swerve.data.dataset.set_index import INDEX
from swerve.data.jobs import RECORDS, FolderLayout, part_stem
from swerve.data.jobs.failures import FAILURES
from swerve.data.storage.archive import load_archive, save_archive
from swerve.data.storage.files import remove_file, safe_name
from swerve.data.storage.stored_folder import fetch_folder
from swerve.scenes import LogError, Split, SwerveError
from swerve.scenes.primitives import Primitives
from swerve.scenes.printable import sentence

_SPLITS = ("train", "val", "test")
LAYOUT = FolderLayout(
    completion_file="manifest.parquet",
    files=("summary.json", FAILURES, "timing.json", INDEX),
    parts={RECORDS: ".json", **dict.fromkeys(_SPLITS, ".tar")},
    disposable_folders=(RECORDS,),
    kind="augment",
)


# Static primitives of a log, for sets whose rasters are rendered on demand.
STATIC: Final = "static"
_STILL_KIND, _STILL_VERSION = "primitives", 1


def layout_of(options: AugmentOptions) -> FolderLayout:
    """Return the folder layout of a set with these options."""
    more = {STATIC: ".npz"} if options.rasters == "primitives" else {}
    return replace(LAYOUT, parts={**LAYOUT.parts, **more})


def save_static(folder: Path, log: str, still: Primitives) -> None:
    """Write the static primitives of a log."""
    save_archive(static_path(folder, log), still, _STILL_KIND, _STILL_VERSION)


def load_static(folder: Path, log: str) -> Primitives:
    """Read the static primitives of a log.

    Raises:
        SwerveError: the file is missing or damaged.
    """
    try:
        return load_archive(static_path(folder, log), Primitives, _STILL_KIND, _STILL_VERSION)
    except SwerveError as error:
        raise SwerveError(f"{sentence(str(error))} Run the job that made the set again") from error


def static_path(folder: Path, log: str) -> Path:
    """Return the path of the static primitives; they are written with the first part of the log."""
    return folder / STATIC / f"{part_stem(log, 0)}.npz"


def read_progress(
    folder: Path, options: AugmentOptions, with_failures: bool = False, alone: bool = False
) -> tuple[dict[str, tuple[set[int], int]], list[Path]]:
    """Return, by log, the parts that finished with complete files and the total number of parts; and damaged records.

    Each record is read once. Records that are damaged or of another part than their names say are removed: their parts
    are made again.

    Args:
        folder: of the set.
        options: of the set.
        with_failures: whether parts with failed samples count as finished.
        alone: whether no other run writes to the folder: shards without a record are removed then, since their parts
            are made again, possibly in another split.
    """
    finished, damaged, named = dict[str, tuple[set[int], int]](), list[Path](), set[str]()
    for path in sorted((folder / RECORDS).glob("*.json")):
        record = _record_of_part(path)
        if record is None:
            damaged.append(path)
            remove_file(path)
            continue
        named.add(record.shard)
        done, _ = finished.setdefault(record.log, (set(), record.num_parts))
        if (with_failures or not record.failures) and _is_whole(folder, record, options):
            done.add(record.part)
    if alone:
        _remove_shards_except(folder, named)
    return finished, damaged


def _record_of_part(path: Path) -> ShardRecord | None:
    """Read the record of the part that the name of a file says; None if it is no such record."""
    try:
        record = read_record(path)
    except LogError:
        return None
    stem = part_stem(record.log, record.part)
    shards = ("", f"{record.split}/{stem}.tar")
    return record if path.stem == stem and record.shard in shards and record.part < record.num_parts else None


def _remove_shards_except(folder: Path, named: Set[str]) -> None:
    """Remove shards that have none of these names."""
    for split in _SPLITS:
        for shard in (folder / split).glob("*.tar"):
            if shard.relative_to(folder).as_posix() not in named:
                remove_file(shard)


def _is_whole(folder: Path, record: ShardRecord, options: AugmentOptions) -> bool:
    """Test whether the files of a part are there, and the shard has the size stated in its record."""
    if options.rasters != "images" and record.part == 0 and not static_path(folder, record.log).is_file():
        return False
    path = folder / record.shard
    return not record.shard or (path.is_file() and path.stat().st_size == record.size)


def check_split(folder: Path, log: str, split: Split) -> None:
    """Check that a log's split has not changed since its earlier parts, so that it is not in two splits.

    Raises:
        SwerveError: the split has changed.
    """
    for path in sorted((folder / RECORDS).glob(f"{safe_name(log)}-*.json")):
        record = read_record(path)
        if record.log == log and record.split != split:
            raise SwerveError(
                f"log {log} is of split {split!r} now, its earlier parts are of {record.split!r}: put it back, or "
                "choose another folder"
            )


def read_records(folder: Path) -> Iterator[ShardRecord]:
    """Yield the records of a job, in the order of their names."""
    fetch_folder(folder / RECORDS)
    for path in sorted((folder / RECORDS).glob("*.json")):
        yield read_record(path)


@dataclass(frozen=True)
class SetRecords:
    """Records of a set, read anew each time that they are gone through: those of a large set need not fit in memory.

    Attributes:
        folder: of the set.
    """

    folder: Path

    def __iter__(self) -> Iterator[ShardRecord]:
        return read_records(self.folder)
