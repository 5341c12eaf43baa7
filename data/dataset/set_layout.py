"""What a set's folder holds, and which of its parts are finished."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord, read_record
from swerve.data.jobs import FolderLayout, part_stem
from swerve.data.jobs.failures import FAILURES
from swerve.data.storage.archive import load_archive, save_archive
from swerve.data.storage.files import safe_name
from swerve.scenes import Split, SwerveError
from swerve.scenes.primitives import Primitives

_SPLITS = ("train", "val", "test")
LAYOUT = FolderLayout(
    finish="manifest.parquet",
    files=("summary.json", FAILURES, "timing.json"),
    parts={"records": ".json", **dict.fromkeys(_SPLITS, ".tar")},
    notes=("records",),
)


# What stands still in a log, for sets whose rasters are drawn when they are asked for.
STILL: Final = "still"
_STILL_KIND, _STILL_VERSION = "primitives", 1


def layout_of(options: AugmentOptions) -> FolderLayout:
    """What a set of these options keeps in its folder."""
    more = {STILL: ".npz"} if options.rasters == "drawn" else {}
    return replace(LAYOUT, parts={**LAYOUT.parts, **more})


def save_still(folder: Path, log: str, still: Primitives) -> None:
    """Writes what stands still in a log."""
    save_archive(still_path(folder, log), still, _STILL_KIND, _STILL_VERSION)


def load_still(folder: Path, log: str) -> Primitives:
    """What stands still in a log.

    Raises:
        SwerveError: the file is missing or damaged.
    """
    try:
        return load_archive(still_path(folder, log), Primitives, _STILL_KIND, _STILL_VERSION)
    except SwerveError as error:
        raise SwerveError(f"{error}. Run the job that made the set again") from error


def still_path(folder: Path, log: str) -> Path:
    """Where it lies; it is written with the first part of the log."""
    return folder / STILL / f"{part_stem(log, 0)}.npz"


def remove_unnamed_shards(folder: Path) -> None:
    """Shards that no record names: their parts are made again, perhaps in another split."""
    named = {record.shard for record in read_records(folder)}
    for split in _SPLITS:
        for shard in (folder / split).glob("*.tar"):
            if shard.relative_to(folder).as_posix() not in named:
                shard.unlink()


def record_path(folder: Path, log: str, chunk: int) -> Path:
    """Where the record of a part lies."""
    return folder / "records" / f"{part_stem(log, chunk)}.json"


def finished_chunks(folder: Path, options: AugmentOptions) -> dict[str, tuple[set[int], int]]:
    """By log: the parts that are done without failure and whose files lie there in full length, of how many."""
    finished = dict[str, tuple[set[int], int]]()
    for record in read_records(folder):
        done, _ = finished.setdefault(record.log, (set(), record.chunks))
        still = options.rasters == "stored" or record.chunk > 0 or still_path(folder, record.log).is_file()
        if not record.failures and still and _shard_is_whole(folder, record):
            done.add(record.chunk)
    return finished


def refuse_other_split(folder: Path, log: str, split: Split) -> None:
    """A log whose earlier parts went to one split does not go on in another: it would be in both.

    Raises:
        SwerveError: it would.
    """
    for path in sorted((folder / "records").glob(f"{safe_name(log)}-*.json")):
        record = read_record(path)
        if record.log == log and record.split != split:
            raise SwerveError(
                f"log {log} is of split {split!r} now, its earlier parts are of {record.split!r}: put it back, or "
                "choose another folder"
            )


def read_records(folder: Path) -> Iterator[ShardRecord]:
    """The records of a job, in the order of their names."""
    for path in sorted((folder / "records").glob("*.json")):
        yield read_record(path)


def _shard_is_whole(folder: Path, record: ShardRecord) -> bool:
    """Whether the shard has the length that the record says."""
    path = folder / record.shard
    return not record.shard or (path.is_file() and path.stat().st_size == record.size)
