"""Contexts of the samples of a training set, looked up by a sample's provenance."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from swerve.data.storage.checked_json import fields, integer, plain_name, read_json
from swerve.data.storage.files import file_digest
from swerve.data.storage.stored_folder import local_folder
from swerve.data.stream.batch import Provenance
from swerve.data.stream.shard_reader import ShardReader, StoredSample
from swerve.eval.context.context_file import VERSION, context_from_bytes
from swerve.eval.context.scene_context import Context
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

CONTEXTS: Final = "contexts.json"
MANIFEST: Final = "manifest.parquet"
# A sample has one of these members.
_INFO: Final = fields({"version": integer(), "manifest": plain_name})
CONTEXT, REASON = "context.npz", "reason.txt"


class ContextStore:
    """Reader of the contexts of `write_contexts`. It has file positions only, and may be used from many threads.

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
        self._readers = [_opened(local_folder(one), local_folder(other)) for one, other in pairs]

    def context(self, provenance: Provenance) -> Context | None:
        """Return the context of a sample; None if it cannot be scored.

        Raises:
            SwerveError: the store is damaged.
        """
        stored = self._stored(provenance)
        if CONTEXT not in stored.members:
            return None
        return context_from_bytes(stored.read(CONTEXT), f"{stored.path}: {stored.key}")

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


def _opened(folder: Path, dataset: Path) -> ShardReader:
    """Return the reader of a store, after checking that it belongs to a set."""
    if _info(folder / CONTEXTS)["manifest"] != file_digest(dataset / MANIFEST):
        raise SwerveError(f"{folder}: these contexts are of another set than {dataset}. Make them for this one")
    return ShardReader(folder)


def _info(path: Path) -> dict[str, Any]:
    """Read contexts.json."""
    if not path.is_file():
        raise SwerveError(f"{path.parent}: no {CONTEXTS}: not finished contexts. Run `swerve contexts` to its end")
    info: dict[str, Any] = read_json(path, _INFO, "Make the contexts again")
    if info["version"] != VERSION:
        raise SwerveError(f"{path.parent}: contexts of version {info['version']}, this is {VERSION}. Make them again")
    return info
