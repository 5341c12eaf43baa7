"""Where logs come from: one light handle per archive, whatever its format."""

import re
from collections.abc import Callable
from os.path import abspath
from pathlib import Path
from typing import Protocol, runtime_checkable

from swerve.scenes import Log, Split, SwerveError

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
    """A handle on an archive of logs: holds paths and numbers only, so it can be sent to another process."""

    @property
    def kind(self) -> str:
        """The format's name, as in `Log.source`."""

    def names(self) -> tuple[str, ...]:
        """Unique names of the logs, without reading them.

        Raises:
            LogError: there are none.
        """

    def load(self, name: str) -> Log:
        """Read one log; its `name` is the one given.

        Raises:
            LogError: the log is missing or malformed.
        """


def open_source(text: str) -> Source:
    """The source that a text names: `KIND:PATH`, `town:COUNT`, or a path whose kind is recognised.

    Raises:
        SwerveError: nothing of the kind is there, or a path's kind is not recognised.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in _OPENERS:
        return _OPENERS[kind](rest)
    path = Path(text).expanduser()
    if not path.exists():
        raise SwerveError(f"{text}: no such file or folder, and not one of {', '.join(_FORMS)}")
    for name, recognised in _RECOGNISERS.items():
        if recognised(path):
            return _OPENERS[name](str(path))
    raise SwerveError(
        f"{text}: kind of source not recognised. Looked for an Argoverse 2 log folder (annotations, poses or map), a "
        f"folder of them or of train, val, test folders of them; for a KITTI odometry sequence (calib.txt, image_0) or "
        f"a folder of them; for .tfrecord files; and a neutral .json log. "
        f"Or say which: {', '.join(_FORMS)}"
    )


def split_of(path: Path, given: Path) -> Split | None:
    """The split that a log's folders name (train, training, val, validation, test, testing); the deepest counts.

    Only what belongs to the source is looked at: the folders and files from `given` down to the log, `given` itself
    included. So `/data/val` gives "val" to the logs in it, while nothing follows from the folders above, as in
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


def _open_av2(text: str) -> Source:
    from swerve.data.av2.source import av2_source

    return av2_source(_existing(text))


def _open_kitti(text: str) -> Source:
    from swerve.data.kitti.source import kitti_source

    return kitti_source(_existing(text))


def _open_waymo(text: str) -> Source:
    from swerve.data.waymo.source import WaymoSource

    return WaymoSource(_existing(text))


def _open_town(text: str) -> Source:
    from swerve.data.town.source import TownSource

    if found := re.fullmatch(r"(\d{1,6})-(\d{1,6})", text):
        first, last = int(found[1]), int(found[2])
        return TownSource(last - first + 1, first=first)
    if not text.isdecimal() or int(text) < 1:
        raise SwerveError(
            f"town:{text}: give the number of logs to make, one or more, as in town:4, or the first and the last "
            "number, as in town:50-61"
        )
    return TownSource(int(text))


def _open_neutral(text: str) -> Source:
    from swerve.data.neutral import NeutralSource

    return NeutralSource(_existing(text))


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not text or not path.exists():
        raise SwerveError(f"{text or '(no path)'}: no such file or folder")
    return path


def _is_av2(path: Path) -> bool:
    from swerve.data.av2.source import log_folders

    return path.is_dir() and bool(log_folders(path))


def _is_kitti(path: Path) -> bool:
    from swerve.data.kitti.source import sequence_folders

    return path.is_dir() and bool(sequence_folders(path))


def _is_waymo(path: Path) -> bool:
    from swerve.data.waymo.source import record_files

    return bool(record_files(path))


def _is_neutral(path: Path) -> bool:
    return path.is_file() and path.name.endswith((".json", ".json.gz"))


# The readers are imported only when used, so that `import swerve` stays quick.
_OPENERS: dict[str, Callable[[str], Source]] = {
    "av2": _open_av2,
    "kitti": _open_kitti,
    "neutral": _open_neutral,
    "waymo": _open_waymo,
    "town": _open_town,
}
_RECOGNISERS: dict[str, Callable[[Path], bool]] = {
    "av2": _is_av2,
    "kitti": _is_kitti,
    "waymo": _is_waymo,
    "neutral": _is_neutral,
}
_FORMS = ("av2:PATH", "kitti:PATH", "neutral:PATH", "waymo:PATH", "town:COUNT")
