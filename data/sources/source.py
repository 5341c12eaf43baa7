"""Interface of log sources: one light handle per archive, independent of its format."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from os.path import abspath
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar, runtime_checkable

from swerve.scenes import Camera, Log, Split, SwerveError

# What jobs need of logs, and some sources lack.
Holding = Literal["map", "photographs"]
HOLDINGS: Final[frozenset[Holding]] = frozenset({"map", "photographs"})
_Place = TypeVar("_Place")
_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@runtime_checkable
class Source(Protocol):
    """Handle of an archive of logs: holds paths and numbers only, so it can be pickled."""

    @property
    def kind(self) -> str:
        """Name of the format, as in `Log.source`."""

    def names(self) -> tuple[str, ...]:
        """Return the unique names of the logs, without reading them.

        Raises:
            LogError: there are none.
        """

    def load(self, name: str) -> Log:
        """Read one log; its `name` is the one given.

        Raises:
            LogError: the log is missing or malformed.
        """


@runtime_checkable
class RigSource(Protocol):
    """Source that reads the cameras of logs without the rest of them."""

    def rigs(self, names: Collection[str]) -> Mapping[str, tuple[Camera, ...]]:
        """Return the cameras of the logs of these names; logs that cannot be read are left out.

        Mountings may be in the source's own ego frame.
        """


@runtime_checkable
class FileSource(Protocol):
    """Source that says which files a log is read from, so that a resumed job notices changes without reading them."""

    def files_of(self, name: str) -> Sequence[Path]:
        """Return files and folders that a log is read from, in a fixed order.

        Raises:
            LogError: there is no such log.
        """


@runtime_checkable
class PartialSource(Protocol):
    """Source that says what its logs lack without reading them: from their format, and from the folders there are."""

    def absent(self, names: Collection[str]) -> frozenset[Holding]:
        """Return what none of the logs of these names has; what cannot be known is left out.

        Raises:
            LogError: there are no logs.
        """


def absent_in_all(places: Iterable[_Place], absent: Callable[[_Place], frozenset[Holding]]) -> frozenset[Holding]:
    """Return what is absent at every place, such as the folders of logs; nothing if there is none.

    Places after the first that has everything are not looked at.
    """
    found: frozenset[Holding] | None = None
    for place in places:
        found = absent(place) if found is None else found & absent(place)
        if not found:
            break
    return found or frozenset()


def require_holding(sources: Sequence[Source], owners: Mapping[str, int], holding: Holding, purpose: str) -> None:
    """Check that no source says that all of its logs lack what a job needs.

    Args:
        sources: of the logs.
        owners: index of the source of each log.
        holding: what is needed.
        purpose: what it is needed for: "Gaussians are fitted to photographs".

    Raises:
        SwerveError: one does.
    """
    for number, source in enumerate(sources):
        names = [name for name, owner in owners.items() if owner == number]
        if names and isinstance(source, PartialSource) and holding in source.absent(names):
            place = f"{source.kind}:{getattr(source, 'path', '')}"
            whose = "its log" if len(names) == 1 else f"all of its {len(names)} logs"
            raise SwerveError(
                f"{place}: there is no {holding} of {whose}: {purpose}. docs/sources.md says which sources have it, "
                "and their pages where it must lie"
            )


def require_scenes(source: Source) -> None:
    """Check that a source's logs have what rendering and scoring need.

    A source whose logs never have it says so in an attribute `lacking`.

    Raises:
        SwerveError: they have not.
    """
    if lacking := getattr(source, "lacking", ""):
        raise SwerveError(f"{source.kind}:{getattr(source, 'path', '')}: {lacking}")


def split_of(path: Path, given: Path) -> Split | None:
    """Return the split named by a log's folders (train, training, val, validation, test, testing); the deepest counts.

    Only the source's own path components are considered: the folders and files from `given` down to the log, `given`
    itself included. So `/data/val` gives "val" to the logs in it, while parent folders do not count, as in
    `/home/test/logs`. File names count too where they begin with such a word, as `training.tfrecord-00000-of-01000`.

    Args:
        path: a log's folder or file, at or below `given`.
        given: the source's path, as the user gave it.
    """
    for part in reversed(Path(abspath(path)).relative_to(Path(abspath(given)).parent).parts):
        word = re.split(r"[._-]", part.lower())[0] if ".tfrecord" in part else part.lower()
        if word in _SPLITS:
            return _SPLITS[word]
    return None
