"""Contexts of the samples of a training set, looked up by a sample's provenance."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from swerve.data.storage.checked_json import fields, integer, plain_name, read_json
from swerve.data.storage.files import file_digest
from swerve.data.storage.stored_folder import local_folder
from swerve.data.stream.batch import Provenance
from swerve.data.stream.shard_reader import ShardReader, StoredSample
from swerve.eval.context.log_map import STORE_VERSION, LogMap, load_log_map
from swerve.eval.context.sample_context_file import complete_context, log_of
from swerve.eval.context.scene_context import Context
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

CONTEXTS: Final = "contexts.json"
MANIFEST: Final = "manifest.parquet"
# A sample has one of these members.
_INFO: Final = fields({"version": integer(), "manifest": plain_name})
# Number of maps that are kept.
_KEPT: Final = 128
CONTEXT, REASON = "context.npz", "reason.txt"


class ContextStore:
    """Reader of the contexts of `write_contexts`, for any number of threads.

    It keeps file positions, and the maps of the most recently used logs.

    Args:
        folder: of the store, or of those of several sets.
        dataset: the set that it belongs to, or the sets of a stream, in its order.

    Raises:
        SwerveError: a store is not finished, of another version, or of another set.
    """

    def __init__(self, folder: Path | str | Sequence[Path | str], dataset: Path | str | Sequence[Path | str]) -> None:
        folders, datasets = ([one] if isinstance(one, (str, Path)) else list(one) for one in (folder, dataset))
        if len(folders) != len(datasets):
            raise SwerveError(f"contexts of {len(folders)} sets are given for {len(datasets)} sets")
        pairs = zip(folders, datasets, strict=True)
        opened = [_opened(local_folder(one), local_folder(other)) for one, other in pairs]
        self._readers, self._maps = [ShardReader(one) for one in opened], [_LogMaps(one) for one in opened]

    def context(self, provenance: Provenance) -> Context | None:
        """Return the context of a sample; None if it cannot be scored.

        Raises:
            SwerveError: the store is damaged.
        """
        stored = self._stored(provenance)
        if CONTEXT not in stored.members:
            return None
        where = f"{stored.path}: {stored.key}"
        sample, log = log_of(stored.read(CONTEXT), where)
        return complete_context(sample, self._maps[provenance.dataset].of(log), where)

    def contexts(self, provenances: Sequence[Provenance], threads: int = 1) -> list[Context | None]:
        """Return the contexts of a batch's samples, read concurrently.

        Raises:
            SwerveError: the store is damaged.
        """
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.context, provenances))

    def reason(self, provenance: Provenance) -> str | None:
        """Return the reason why a sample cannot be scored; None if it can.

        Raises:
            SwerveError: the store is damaged.
        """
        stored = self._stored(provenance)
        return printable(stored.read(REASON).decode(errors="replace")) if REASON in stored.members else None

    def _stored(self, provenance: Provenance) -> StoredSample:
        return self._readers[provenance.dataset].sample(provenance.shard, provenance.index_in_shard, provenance.key)


class _LogMaps:
    """Maps of a store's logs, each read once for all threads while it is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock, self._kept = folder, threading.Lock(), OrderedDict[str, LogMap]()

    def of(self, log: str) -> LogMap:
        """Return the map of a log.

        Raises:
            SwerveError: it is missing or damaged.
        """
        with self._lock:
            if log not in self._kept:
                self._kept[log] = load_log_map(self._folder, log)
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(log)
            return self._kept[log]

    def __getstate__(self) -> Path:
        return self._folder

    def __setstate__(self, folder: Path) -> None:
        self.__init__(folder)  # type: ignore[misc]  # a lock cannot be sent to another process


def _opened(folder: Path, dataset: Path) -> Path:
    """Return the folder of a store, after checking that it belongs to a set."""
    if _info(folder / CONTEXTS)["manifest"] != file_digest(dataset / MANIFEST):
        raise SwerveError(f"{folder}: these contexts are of another set than {dataset}. Make them for this one")
    return folder


def _info(path: Path) -> dict[str, Any]:
    """Read contexts.json."""
    if not path.is_file():
        raise SwerveError(f"{path.parent}: no {CONTEXTS}: not finished contexts. Run `swerve contexts` to its end")
    info: dict[str, Any] = read_json(path, _INFO, "Make the contexts again")
    if info["version"] != STORE_VERSION:
        version = info["version"]
        raise SwerveError(f"{path.parent}: contexts of version {version}, this is {STORE_VERSION}. Make them again")
    return info
