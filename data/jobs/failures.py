"""Failures of a job and their reasons."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from swerve.data.storage.files import to_json, write_atomically

FAILURES = "failures.json"


@dataclass(frozen=True)
class Failure:
    """Item that could not be produced.

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

    @property
    def where(self) -> str:
        """Failed item as text."""
        return " ".join(part for part in (self.log, self.token, self.item) if part)


def write_failures(folder: str | Path, failures: Iterable[Failure]) -> None:
    """Write failures.json, sorted by item."""
    folder = Path(folder)
    failed = sorted(failures, key=lambda failure: (failure.log, failure.token, failure.item))
    write_atomically(folder / FAILURES, to_json([asdict(failure) for failure in failed]))


def read_failures(folder: str | Path) -> list[Failure]:
    """Read the failures written by `write_failures`."""
    folder = Path(folder)
    return [Failure(**failure) for failure in json.loads((folder / FAILURES).read_bytes())]
