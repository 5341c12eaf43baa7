"""Failures of a job and their reasons."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from swerve.data.storage.checked_json import fields, list_of, read_json, text
from swerve.data.storage.files import to_json, write_atomically
from swerve.scenes.printable import printable, printable_lines

FAILURES = "failures.json"
_NAMES: Final = ("log", "token", "item", "reason", "traceback")
FAILURE_SHAPE: Final = fields(dict.fromkeys(_NAMES[:4], text), {"traceback": text})
_FAILURES: Final = list_of(FAILURE_SHAPE)


@dataclass(frozen=True)
class Failure:
    """Item that could not be produced. Its texts are stored printable: they come from untrusted files and programs.

    Attributes:
        log: the log's name.
        token: token of the scene, or empty if the whole log failed.
        item: item of the scene: kind and index of a viewpoint, name of a planner; or empty.
        reason: the error's message.
        traceback: traceback of an unexpected exception.
    """

    log: str
    token: str
    item: str
    reason: str
    traceback: str = ""

    def __post_init__(self) -> None:
        for name in ("log", "token", "item", "reason"):
            object.__setattr__(self, name, printable(getattr(self, name)))
        object.__setattr__(self, "traceback", printable_lines(self.traceback))

    @property
    def where(self) -> str:
        """Failed item as text."""
        return " ".join(part for part in (self.log, self.token, self.item) if part)


@dataclass(frozen=True)
class FailedPart:
    """A part without a record.

    Attributes:
        log: the log's name.
        chunk: index of the part; None for all parts of the log.
        failure: the reason.
    """

    log: str
    chunk: int | None
    failure: Failure


def report_damaged(console: Console | None, damaged: Sequence[str | Path]) -> None:
    """Print that records were damaged, whose parts are made again."""
    if damaged and console is not None:
        names = ", ".join(Path(path).name for path in damaged[:3]) + (", ..." if len(damaged) > 3 else "")
        text = f"{len(damaged)} damaged records are removed, and their parts are made again: {names}"
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def write_failures(folder: str | Path, failures: Iterable[Failure]) -> None:
    """Write failures.json, sorted by item."""
    folder = Path(folder)
    failed = sorted(failures, key=lambda failure: (failure.log, failure.token, failure.item))
    write_atomically(folder / FAILURES, to_json([asdict(failure) for failure in failed]))


def read_failures(folder: str | Path) -> list[Failure]:
    """Read the failures written by `write_failures`.

    Raises:
        LogError: the file is missing or damaged.
    """
    entries = read_json(Path(folder) / FAILURES, _FAILURES, "Run the same job again")
    return [Failure(**{name: one[name] for name in _NAMES if name in one}) for one in entries]
