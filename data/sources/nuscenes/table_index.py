"""Index of nuScenes' three large tables: places of the rows that belong to a scene.

`sample_data.json`, `ego_pose.json` and `sample_annotation.json` have together some 2.5 GB in v1.0-trainval, in no order
that could be relied upon. They are looked through once, and the places of their rows are kept, sorted by scene, in the
folder of the tables, or in the user's cache where that cannot be written; 16 bytes a row. The index saves time only:
every row is checked when it is read. Where a table changes (size, time of change), all are indexed again.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from swerve.data.sources.nuscenes.json_rows import HINT, LONGEST, read_row, scan_table
from swerve.data.storage.checked_json import Shape
from swerve.data.storage.files import file_version, replaced
from swerve.scenes import LogError

LOGGER = logging.getLogger("swerve")

DATA, POSES, BOXES = "sample_data", "ego_pose", "sample_annotation"
FOLDER: Final = ".swerve_index"
_TABLES: Final = (DATA, POSES, BOXES)
_VERSION: Final = 1
# Tables smaller than this in total are indexed anew each time, in about a second, and nothing is written.
_SMALL: Final = 2**26
_ROW: Final = np.dtype([("scene", "<i4"), ("length", "<i4"), ("start", "<i8")])


@dataclass(frozen=True)
class TableIndex:
    """Places of rows of a table, sorted by scene.

    Attributes:
        path: the table.
        rows: scene, length and start of each row; possibly mapped from a file.
    """

    path: Path
    rows: np.ndarray

    def read(self, scene: int, shape: Shape) -> list[dict[str, Any]]:
        """Read the rows of a scene, in the order of the file.

        Raises:
            LogError: a row is not of that shape.
        """
        first, last = np.searchsorted(self.rows["scene"], [scene, scene + 1])
        own = self.rows[first:last]
        if (own["start"] < 0).any() or not ((own["length"] > 0) & (own["length"] <= LONGEST)).all():
            raise LogError(self.path, FOLDER, "is a damaged index of this table", f"Remove {FOLDER} beside it")
        try:
            with open(self.path, "rb") as stream:
                return [read_row(stream, int(row["start"]), int(row["length"]), self.path, shape) for row in own]
        except OSError as error:
            raise LogError(self.path, "file", f"cannot be read ({error.strerror})", HINT) from error


def build_indices(folder: Path, scene_of_sample: Mapping[str, int]) -> dict[str, TableIndex]:
    """Return the index of each large table; they are read if there is no index of theirs yet.

    Args:
        folder: of the tables.
        scene_of_sample: number of the scene of each sample's token.

    Raises:
        LogError: a table is missing or damaged, or refers to samples that are not there.
    """
    paths = {name: folder / f"{name}.json" for name in _TABLES}
    for path in paths.values():
        if not path.is_file():
            raise LogError(path, "file", "no such file", HINT)
    size = sum(path.stat().st_size for path in paths.values())
    small = size < _SMALL
    key = _key(folder, paths)
    kept = None if small else _read_kept(folder, key)
    if kept is None:
        if not small:
            LOGGER.warning("%s: indexing %.1f GB of tables, once", folder, size / 1e9)
        kept = _scanned(paths, scene_of_sample)
        if not small:
            _keep(folder, key, kept)
    return {name: TableIndex(path, kept[name]) for name, path in paths.items()}


def _scanned(paths: Mapping[str, Path], scene_of_sample: Mapping[str, int]) -> dict[str, np.ndarray]:
    tokens = np.array(list(scene_of_sample), "S32")
    samples = _Lookup(tokens, np.fromiter(scene_of_sample.values(), np.int32, len(tokens)))
    data, poses = _data_rows(paths[DATA], samples)
    return {
        DATA: data,
        POSES: _sorted(list(_rows(paths[POSES], "token", poses))),
        BOXES: _sorted(list(_rows(paths[BOXES], "sample_token", samples, required=True))),
    }


class _Lookup:
    """Numbers of scenes by token."""

    def __init__(self, tokens: np.ndarray, scenes: Int[np.ndarray, "n"]) -> None:
        order = np.argsort(tokens, kind="stable")
        self._tokens, self._scenes = tokens[order], scenes[order]

    def __call__(self, tokens: np.ndarray) -> Int[np.ndarray, "q"]:
        """Return the scene of each token, -1 for unknown ones."""
        if not len(self._tokens):
            return np.full(len(tokens), -1, np.int32)
        at = np.minimum(np.searchsorted(self._tokens, tokens), len(self._tokens) - 1)
        found: Int[np.ndarray, "q"] = np.where(self._tokens[at] == tokens, self._scenes[at], -1).astype(np.int32)
        return found


def _data_rows(path: Path, samples: _Lookup) -> tuple[np.ndarray, _Lookup]:
    """Return the rows of sample_data, and the scenes of the ego poses that they refer to."""
    rows, tokens, scenes, count = [], [], [], 0
    for found in scan_table(path, ("sample_token", "ego_pose_token")):
        own = _known(samples(found.texts[0]), found.texts[0], path, count)
        rows.append(_packed(own, found.starts, found.lengths))
        tokens.append(found.texts[1])
        scenes.append(own)
        count += len(own)
    if not rows:
        return _sorted([]), _Lookup(np.empty(0, "S32"), np.empty(0, np.int32))
    return _sorted(rows), _Lookup(np.concatenate(tokens), np.concatenate(scenes))


def _rows(path: Path, field: str, scene_of: _Lookup, required: bool = False) -> Iterator[np.ndarray]:
    """Yield the rows whose field has a scene, in pieces; one without is an error if required."""
    count = 0
    for found in scan_table(path, (field,)):
        scenes = scene_of(found.texts[0])
        if required:
            _known(scenes, found.texts[0], path, count)
        count += len(scenes)
        packed = _packed(scenes, found.starts, found.lengths)
        yield packed[scenes >= 0]


def _known(scenes: Int[np.ndarray, "n"], tokens: np.ndarray, path: Path, count: int) -> Int[np.ndarray, "n"]:
    if (scenes < 0).any():
        row = int(np.flatnonzero(scenes < 0)[0])
        raise LogError(path, f"row {count + row}: sample_token", f"no sample {tokens[row].decode('latin-1')!r}", HINT)
    return scenes


def _packed(scenes: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    rows = np.empty(len(scenes), _ROW)
    rows["scene"], rows["start"], rows["length"] = scenes, starts, lengths
    return rows


def _sorted(rows: list[np.ndarray]) -> np.ndarray:
    joined = np.concatenate(rows) if rows else np.empty(0, _ROW)
    return joined[np.argsort(joined["scene"], kind="stable")]


def _key(folder: Path, paths: Mapping[str, Path]) -> str:
    """Return a text that differs where one of the tables that an index depends on has changed."""
    depends = [folder / "scene.json", folder / "sample.json", *paths.values()]
    stamps = [_VERSION, *(file_version(path)[:2] for path in depends)]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()[:16]


def _places(folder: Path) -> list[Path]:
    """Return where an index may be: in the folder of the tables, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~"), ".cache"))
    name = hashlib.sha256(bytes(folder.absolute())).hexdigest()[:32]
    return [folder / FOLDER, cache / "swerve" / "nuscenes" / name]


def _read_kept(folder: Path, key: str) -> dict[str, np.ndarray] | None:
    for place in _places(folder):
        with suppress(OSError, ValueError):
            files = {name: place / f"{name}-{key}.npy" for name in _TABLES}
            kept = {name: np.load(file, mmap_mode="r", allow_pickle=False) for name, file in files.items()}
            if all(rows.dtype == _ROW and rows.ndim == 1 for rows in kept.values()):
                return kept
    return None


def _keep(folder: Path, key: str, kept: Mapping[str, np.ndarray]) -> None:
    """Write the index to the first place that can be written, to none if there is none; remove older ones there."""
    for place in _places(folder):
        try:
            place.mkdir(parents=True, exist_ok=True)
            older = [file for file in place.glob("*.npy") if not file.stem.endswith(key)]
            for name, rows in kept.items():
                _write(place / f"{name}-{key}.npy", rows)
            for file in older:
                file.unlink(missing_ok=True)
            return
        except OSError:
            continue
    LOGGER.warning("%s: the index of the tables cannot be kept: it is built again each time", folder)


def _write(path: Path, rows: np.ndarray) -> None:
    with replaced(path) as part, open(part, "wb") as stream:  # several processes may build it at once
        np.save(stream, rows, allow_pickle=False)
