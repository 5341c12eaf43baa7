"""Records of a build, one per scene group, and the tables and counts computed from them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.jobs import part_stem
from swerve.data.storage.checked_json import anything, fields, integer, list_of, mapping_of, read_json, row_of, text
from swerve.data.storage.files import remove_file, to_json, write_atomically
from swerve.data.storage.parquet_file import ParquetFile
from swerve.eval.benchmark.assemble import GroupRecord
from swerve.eval.benchmark.benchmark_shapes import REJECTIONS_SCHEMA, SCENES_SCHEMA
from swerve.eval.benchmark.benchmark_store import REJECTIONS, SCENES
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.scoring.aggregate import GroupTokens
from swerve.scenes import LogError
from swerve.scenes.transforms import yaw_of

_COUNT, _INDEX = integer(0), integer()
_RECORD: Final = fields(
    {
        **dict.fromkeys(("log", "bank", "drop_reason", "message"), text),
        **{"chunk": _COUNT, "chunks": _COUNT, "time_us": _INDEX},
        "rejected": list_of(row_of(_INDEX, text)),
        "unfit": list_of(row_of(_INDEX, list_of(text))),
        "tracks_without_gaussians": list_of(text),
        "left_out": list_of(row_of(_INDEX, text)),
        "scenes": list_of(mapping_of(anything)),
        "files": mapping_of(_COUNT),
        "sha256": mapping_of(text),
    }
)
# Reasons of steps of a log that no scene group is tried at.
TIME_GAP: Final = "time_gap"
OUTSIDE: Final = "outside_log"
_REMEDY: Final = "Remove it and run the same command again to rebuild this scene group"


@dataclass(frozen=True)
class BuildRecord:
    """Result of building one scene group, as stored in records/.

    Attributes:
        log: name of the log.
        chunk: number of the scene group in its log.
        chunks: number of scene groups of the log.
        time_us: timestamp of the scene group.
        bank: digest of the trajectory bank used.
        drop_reason: reason why the scene group is dropped; empty if it is kept.
        message: error message of a scene that cannot be scored.
        rejected: rejected start points: number in the grid, and reason.
        unfit: follow-ups whose splat views miss thresholds of the gate: number in the grid, and the thresholds.
        tracks_without_gaussians: ids of tracks without Gaussians, which are missing in splat views.
        left_out: timestamps that no scene group is tried at, and reasons, in the record of the log's first.
        scenes: rows of scenes.parquet.
        files: sizes in bytes of the scene group's files, by path in the benchmark.
        sha256: SHA-256 of the same files.
    """

    log: str
    chunk: int
    chunks: int
    time_us: int
    bank: str
    drop_reason: str
    message: str
    rejected: tuple[tuple[int, str], ...]
    unfit: tuple[tuple[int, tuple[str, ...]], ...]
    tracks_without_gaussians: tuple[str, ...]
    left_out: tuple[tuple[int, str], ...]
    scenes: tuple[dict[str, Any], ...]
    files: dict[str, int]
    sha256: dict[str, str]

    @property
    def scene_group(self) -> str:
        """Return the name of the scene group, dropped or not."""
        return part_stem(self.log, self.chunk)


def build_record_path(folder: Path, scene_group: str) -> Path:
    """Return the path of a scene group's record."""
    return folder / "records" / f"{scene_group}.json"


def write_build_record(folder: Path, build_record: BuildRecord) -> None:
    """Write a record atomically."""
    write_atomically(build_record_path(folder, build_record.scene_group), to_json(asdict(build_record)))


def read_build_records(folder: Path) -> Iterator[BuildRecord]:
    """Read the records of a build in the order of their names: by log, then by time.

    Raises:
        SwerveError: one is damaged.
    """
    for path in sorted((folder / "records").glob("*.json")):
        yield _read_build_record(path)


def remove_damaged_records(folder: Path) -> list[Path]:
    """Remove records that are damaged or of another part than their names say, which are made again; return them."""
    damaged = [path for path in sorted((folder / "records").glob("*.json")) if not _is_record(path)]
    for path in damaged:
        remove_file(path)
    return damaged


def _is_record(path: Path) -> bool:
    """Test whether a file is the record of the scene group that its name says."""
    try:
        found = _read_build_record(path)
    except LogError:
        return False
    return path.stem == found.scene_group and found.chunk < found.chunks


def _read_build_record(path: Path) -> BuildRecord:
    record = read_json(path, _RECORD, _REMEDY)
    try:
        return _record_of(record)
    except TypeError as error:
        raise LogError(path, "fields", "are not those of a record", _REMEDY) from error


def _record_of(record: dict[str, Any]) -> BuildRecord:
    return BuildRecord(
        **{
            **record,
            "rejected": tuple((int(index), str(reason)) for index, reason in record["rejected"]),
            "left_out": tuple((int(time_us), str(reason)) for time_us, reason in record["left_out"]),
            "unfit": tuple((int(index), tuple(missed)) for index, missed in record["unfit"]),
            **{name: tuple(record[name]) for name in ("tracks_without_gaussians", "scenes")},
        }
    )


def finished_parts(folder: Path, bank: str) -> dict[str, tuple[set[int], int]]:
    """Return by log the numbers of the scene groups whose files are complete and made with this bank, and the total."""
    finished = dict[str, tuple[set[int], int]]()
    for build_record in read_build_records(folder):
        done, _ = finished.setdefault(build_record.log, (set(), build_record.chunks))
        if build_record.bank == bank and all(
            _is_whole(folder / name, size) for name, size in build_record.files.items()
        ):
            done.add(build_record.chunk)
    return finished


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def scene_rows(
    scene_group: str,
    record: GroupRecord,
    group: GroupTokens,
    scenes: Mapping[str, BenchmarkScene],
    missed: Mapping[str, Sequence[str]],
) -> Iterator[dict[str, Any]]:
    """Return the rows of scenes.parquet of a scene group, in the order of the group's tokens.

    Args:
        scene_group: name of the scene group.
        record: the scene group.
        group: tokens of its scenes.
        scenes: by token.
        missed: thresholds missed by splat views, by token; empty if they were not checked.
    """
    origins = {start.index: start.origin for start in record.starts}
    pairs = ((group.now, group.before), *group.follow_ups)
    for pair in pairs:
        for chain, token in zip(("now", "before"), pair, strict=True):
            row = _scene_row(scene_group, record.log, chain, scenes[token], origins)
            yield {**row, "unfit": ",".join(missed.get(token, ()))}


def _scene_row(
    scene_group: str, log: str, chain: str, benchmark_scene: BenchmarkScene, origins: Mapping[int, str]
) -> dict[str, Any]:
    viewpoint, later = benchmark_scene.viewpoint, benchmark_scene.follow_up
    pose, velocity = viewpoint.world_from_ego, viewpoint.ego.velocity[-1]
    offsets = viewpoint.parameters
    return {
        "token": benchmark_scene.token,
        "log": log,
        "scene_group": scene_group,
        "stage": 2 if later else 1,
        "frame": chain,
        "index": viewpoint.index if later else -1,
        "time_us": int(viewpoint.scene.log.times_us[viewpoint.scene.now]),
        "x": float(pose[0, 3]),
        "y": float(pose[1, 3]),
        "heading": float(yaw_of(pose)),
        "speed": float(np.hypot(*velocity)),
        "command": viewpoint.command.name.lower(),
        "origin": origins[viewpoint.index] if later else "log",
        "lateral_offset": offsets["lateral"] if later else 0.0,
        "longitudinal_offset": offsets["longitudinal"] if later else 0.0,
        "heading_offset": offsets["heading"] if later else 0.0,
        "speed_offset": offsets["speed"] if later else 0.0,
        "parameters": json.dumps(offsets, sort_keys=True, allow_nan=False),
    }


def write_tables(folder: Path, build_records: Iterable[BuildRecord]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Write scenes.parquet and rejections.parquet; return counts, and the names of the scene groups by log.

    Args:
        folder: the benchmark.
        build_records: of all scene groups; only one is held at a time.
    """
    counts, scene_groups = _Counts(), dict[str, list[str]]()
    files = ParquetFile(folder / SCENES, SCENES_SCHEMA), ParquetFile(folder / REJECTIONS, REJECTIONS_SCHEMA)
    with files[0] as scenes, files[1] as rejected:
        for build_record in build_records:
            counts.add(build_record)
            scenes.add(build_record.scenes)
            rejected.add(_rejection_rows(build_record))
            if not build_record.drop_reason:
                scene_groups.setdefault(build_record.log, []).append(build_record.scene_group)
    return counts.summary(), scene_groups


def _rejection_rows(build_record: BuildRecord) -> list[dict[str, Any]]:
    """Return the rows of start points, then of the dropped scene group itself (index -1), then of times left out."""
    dropped = (build_record.time_us, build_record.drop_reason, build_record.message)
    whole_rows = [dropped] if build_record.drop_reason else []
    whole_rows += [(time_us, reason, "") for time_us, reason in build_record.left_out]
    whole = [
        {"log": build_record.log, "time_us": time_us, "index": -1, "reason": reason, "message": message}
        for time_us, reason, message in whole_rows
    ]
    points = [
        {"log": build_record.log, "time_us": build_record.time_us, "index": index, "reason": reason, "message": ""}
        for index, reason in build_record.rejected
    ]
    return points + whole


class _Counts:
    """Counts over build records."""

    def __init__(self) -> None:
        self._cases, self._bytes, self._logs = 0, 0, set[str]()
        self._origins, self._rejected, self._dropped = Counter[str](), Counter[str](), Counter[str]()
        self._unfit, self._missed, self._unseen = 0, Counter[str](), set[tuple[str, str]]()

    def add(self, build_record: BuildRecord) -> None:
        """Add one more record to the counts."""
        self._rejected.update(reason for _, reason in build_record.rejected)
        self._dropped.update(reason for _, reason in build_record.left_out)
        self._unfit += len(build_record.unfit)
        self._missed.update(name for _, names in build_record.unfit for name in names)
        self._unseen.update((build_record.log, track) for track in build_record.tracks_without_gaussians)
        if build_record.drop_reason:
            self._dropped[build_record.drop_reason] += 1
            return
        self._cases += 1
        self._logs.add(build_record.log)
        self._bytes += sum(build_record.files.values())
        pairs = (row for row in build_record.scenes if row["stage"] == 2 and row["frame"] == "now")
        self._origins.update(row["origin"] for row in pairs)

    def summary(self) -> dict[str, Any]:
        """Return the counts as stored in benchmark.json."""
        follow_ups = sum(self._origins.values())
        return {
            "logs": len(self._logs),
            "scene_groups": self._cases,
            "follow_ups": follow_ups,
            "follow_ups_by_origin": dict(self._origins),
            "scenes": 2 * (self._cases + follow_ups),
            "rejected_starts": dict(self._rejected),
            "dropped_scene_groups": {reason: count for reason, count in self._dropped.items() if count},
            "unfit_follow_ups": self._unfit,
            "unfit_reasons": dict(self._missed),
            "tracks_without_gaussians": len(self._unseen),
            "scene_group_bytes": self._bytes,
        }
