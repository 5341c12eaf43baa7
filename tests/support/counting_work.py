"""Job work that writes numbers: importable by worker processes."""

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from swerve.data.jobs import Failure, FolderLayout, PartResult, existing_parts, part_stem
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import to_json, write_atomically
from swerve.scenes import SwerveError
from swerve.scenes.errors import WriteError

LAYOUT = FolderLayout(
    completion_file="done.json",
    files=("failures.json",),
    parts={"squares": ".json", "notes": ".txt"},
    disposable_folders=("notes",),
)


@dataclass(frozen=True)
class CountingWork:
    """Work that writes the square of every chunk's index.

    `chunks` are the parts by log. `wrong` states failures at (log, chunk), by kind: "refused" (chunk None: the whole
    log), "prints", "bug", "killed", "disk", "unwritable", "failures" (two items of three fail).
    """

    folder: Path
    chunks: dict[str, int]
    wrong: dict[tuple[str, int | None], str] = field(default_factory=dict)

    def open(self, log: str, watch: Stopwatch) -> "CountingLog":
        with watch.measure("opening"):
            _go_wrong(self.wrong.get((log, None)))
            return CountingLog(self, log, watch)


@dataclass(frozen=True)
class CountingLog:
    work: CountingWork
    log: str
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        return self.work.chunks[self.log]

    def make(self, chunk, report) -> PartResult:
        report(f"token-{chunk}", 0, 0.0)
        wrong = self.work.wrong.get((self.log, chunk))
        _go_wrong(wrong)
        with self.watch.measure("squaring"):
            write_atomically(self.work.folder / "squares" / f"{part_stem(self.log, chunk)}.json", to_json(chunk**2))
        failures = [Failure(self.log, f"token-{chunk}", f"thing {number}", "too round") for number in (2, 1)]
        return PartResult(1, tuple(failures)) if wrong == "failures" else PartResult(3)


def _go_wrong(kind: str | None) -> None:
    if kind == "refused":
        raise SwerveError("this cannot be squared")
    if kind == "bug":
        raise ZeroDivisionError("a fault of the program")
    if kind == "prints":
        print("a planner says\nhello")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "disk":
        raise OSError(28, "No space left on device")
    if kind == "unwritable":
        raise WriteError("squares: cannot be written (No space left on device). Run the same command again")


def squares_of(folder: Path) -> dict[str, int]:
    """Read what the work has written, by part."""
    return {path.stem: json.loads(path.read_bytes()) for path in (folder / "squares").glob("*.json")}


def finished_of(folder: Path, chunks: dict[str, int]) -> dict[str, tuple[set[int], int]]:
    """Return the existing parts."""
    return {log: (done, chunks[log]) for log, done in existing_parts(folder / "squares", ".json").items()}
