"""Training logs: tables of steps and validations, and the same for TensorBoard."""

import csv
import io
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from swerve.data.storage.files import os_errors_as_swerve_errors, upload, write_atomically
from swerve.planners.learning.wandb_run import WandbRun
from swerve.scenes import MissingExtraError

METRICS: Final = "metrics.csv"
VALIDATION: Final = "validation.csv"
TENSORBOARD: Final = "tensorboard"
INSTALL_TENSORBOARD: Final = "pip install 'PATH[tensorboard]'"
Row = Mapping[str, int | float]


class TrainingLog:
    """Tables of a run from a step on: rows of a stopped run beyond it are dropped.

    Args:
        folder: folder of the run; it gets metrics.csv, and validation.csv with the first validation.
        step: step from which the run resumes.
        tensorboard: whether all rows are also written to the folder `tensorboard`.
        wandb: run of Weights & Biases that gets all rows, too; None for none.

    Raises:
        MissingExtraError: tensorboard is requested and not installed.
        WriteError: a table cannot be written; the methods raise it too.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool = False, wandb: WandbRun | None = None) -> None:
        self._folder, self._wandb = folder, wandb
        with os_errors_as_swerve_errors(folder):
            self._writer = _summary_writer(folder / TENSORBOARD, step) if tensorboard else None
            keep_rows(folder / METRICS, step)
            if (folder / VALIDATION).is_file():
                keep_rows(folder / VALIDATION, step)

    def step(self, row: Row) -> None:
        """Append the row of a step; its first column is the step."""
        with os_errors_as_swerve_errors(self._folder):
            add_row(self._folder / METRICS, row)
            self._curves("train", row)

    def validation(self, row: Row) -> bool:
        """Append the row of a validation; return whether its `score` is the best so far (ties: the first is best)."""
        best = max(column(self._folder / VALIDATION, "score"), default=-math.inf)
        with os_errors_as_swerve_errors(self._folder):
            add_row(self._folder / VALIDATION, row)
            self._curves("validation", row)
        return float(_cell(row["score"])) > best

    def flush(self) -> None:
        """Flush to disk, and to the store of the folder if it has one; to be called before a checkpoint."""
        with os_errors_as_swerve_errors(self._folder):
            if self._writer:
                self._writer.flush()
            tables = (self._folder / name for name in (METRICS, VALIDATION))
            for path in (*tables, *(self._folder / TENSORBOARD).glob("*")):
                if path.is_file():
                    upload(path)

    def close(self) -> None:
        """Close the files."""
        with os_errors_as_swerve_errors(self._folder):
            if self._writer:
                self._writer.close()
        if self._wandb:
            self._wandb.close()

    def _curves(self, group: str, row: Row) -> None:
        if self._writer:
            step, *rest = row.items()
            for name, value in rest:
                self._writer.add_scalar(f"{group}/{name}", value, step[1])
        if self._wandb:
            self._wandb.add(group, row)


def require_tensorboard() -> Any:  # noqa: ANN401 a class that mypy does not see
    """Import `torch.utils.tensorboard.SummaryWriter`.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", INSTALL_TENSORBOARD) from error
    return SummaryWriter


def _summary_writer(folder: Path, step: int) -> Any:  # noqa: ANN401 see require_tensorboard
    """Create a writer that hides curves beyond the step from which the run resumes."""
    make_writer, before = require_tensorboard(), threading.excepthook

    def told_once(arguments: threading.ExceptHookArgs) -> None:
        # What stops the writer's thread, such as a full disk, it raises again where rows are added.
        if type(arguments.thread).__name__ != "_AsyncWriterThread":
            before(arguments)

    threading.excepthook = told_once
    return make_writer(str(folder), purge_step=step + 1)


def keep_rows(path: Path, step: int) -> None:
    """Drop the rows beyond a step, left by a run that stopped before its next checkpoint."""
    rows = _rows(path)
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]
    kept = [*rows[:1], *(row for row in whole if row[0].isdigit() and int(row[0]) <= step)]
    write_atomically(path, _csv(kept).encode())


def add_row(path: Path, row: Row) -> None:
    """Append a row; the first one writes the header. Its first column is the step."""
    fresh = not path.is_file() or not path.stat().st_size
    lines = [list(row)] if fresh else []
    with open(path, "a") as file:
        file.write(_csv([*lines, [_cell(value) for value in row.values()]]))


def column(path: Path, name: str) -> list[float]:
    """Return the values of a column; none if the file is missing."""
    rows = _rows(path)
    return [float(row[rows[0].index(name)]) for row in rows[1:]]


def _cell(value: int | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines())) if path.is_file() else []


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
