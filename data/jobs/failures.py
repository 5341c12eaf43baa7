"""What could not be made, and why."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from swerve.data.storage.files import to_json, write_atomically

FAILURES = "failures.json"


@dataclass(frozen=True)
class Failure:
    """Something that should have been made and was not.

    Attributes:
        log: the log's name.
        token: the scene's, or empty if the whole log failed.
        what: of the scene: kind and index of a viewpoint, name of a planner; or empty.
        reason: the error's message.
        traceback: where it happened, if it is a fault of the program.
    """

    log: str
    token: str
    what: str
    reason: str
    traceback: str = ""

    @property
    def where(self) -> str:
        """What failed, in words."""
        return " ".join(part for part in (self.log, self.token, self.what) if part)


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Writes failures.json, sorted by what failed."""
    failed = sorted(failures, key=lambda failure: (failure.log, failure.token, failure.what))
    write_atomically(folder / FAILURES, to_json([asdict(failure) for failure in failed]))


def read_failures(folder: Path) -> list[Failure]:
    """The failures of `write_failures`."""
    return [Failure(**failure) for failure in json.loads((folder / FAILURES).read_bytes())]
