"""Trajectory bank of all logs in one file that worker processes map: the machine holds it once, and only what is used.

A trajectory is a row of single floats, six for each step. The file is made by the first worker of a machine that needs
it, from one log's part at a time, and removed when the benchmark is complete.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.jobs.array_runs import RUNS
from swerve.data.storage.archive import load_archive, save_archive
from swerve.data.storage.files import PART, make_folder, replaced, safe_name
from swerve.scenes.viewpoints.follow_up import TrajectoryBank

_BANK: Final = "trajectory bank"
_BANK_VERSION: Final = 1
# Columns of a step: x and y of the position, then these.
_SCALARS: Final = ("headings", "speeds", "accelerations", "curvatures")


def bank_path(folder: Path, log: str) -> Path:
    """Return the path of a log's part of the bank, given its safe name."""
    return folder / "bank" / f"{log}-00000.npz"


def save_bank(path: Path, bank: TrajectoryBank) -> None:
    """Write a log's part of the bank."""
    save_archive(path, bank, _BANK, _BANK_VERSION)


def load_bank(path: Path) -> TrajectoryBank:
    """Read a log's part of the bank.

    Raises:
        SwerveError: see `load_archive`.
    """
    return load_archive(path, TrajectoryBank, _BANK, _BANK_VERSION)


def mapped_bank(folder: Path, logs: Sequence[str], digest: str) -> TrajectoryBank:
    """Return the bank of all logs, whose arrays are those of a mapped file: what `concatenate` of its parts returns.

    Args:
        folder: the benchmark.
        logs: names of its logs.
        digest: of the bank.

    Raises:
        SwerveError: a part is damaged.
        OSError: the file cannot be written.
    """
    make_folder(folder / RUNS)
    rows, owners = (folder / RUNS / f"bank.{digest[:16]}.{kind}{PART}" for kind in ("rows", "logs"))
    with open(folder / RUNS / f"bank.{digest[:16]}.lock{PART}", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (rows.is_file() and owners.is_file()):
            _write(folder, logs, rows, owners)
    steps = load_bank(bank_path(folder, safe_name(logs[0]))).headings.shape[1]
    table = _mapped(rows, np.float32).reshape(-1, steps, 2 + len(_SCALARS))
    scalars = {name: table[..., 2 + column] for column, name in enumerate(_SCALARS)}
    names = tuple(logs)
    return TrajectoryBank(positions=table[..., :2], **scalars, logs=_mapped(owners, np.int32), names=names)


def _write(folder: Path, logs: Sequence[str], rows: Path, owners: Path) -> None:
    """Write the rows of all parts, one part at a time, and the number of each row's log; the rows appear last."""
    with replaced(rows) as first, replaced(owners) as second, open(first, "wb") as table, open(second, "wb") as numbers:
        for number, log in enumerate(logs):
            part = load_bank(bank_path(folder, safe_name(log)))
            scalars = [getattr(part, name)[..., None] for name in _SCALARS]
            table.write(np.concatenate([part.positions, *scalars], axis=-1).tobytes())
            numbers.write((part.logs + np.int32(number)).tobytes())
        for file in (table, numbers):  # other runs take a file that is there for a whole one
            file.flush()
            os.fsync(file.fileno())


def _mapped(path: Path, kind: type) -> np.ndarray:
    """Return the numbers of a file without reading them."""
    if not path.stat().st_size:
        return np.zeros(0, kind)
    return np.asarray(np.memmap(path, kind, "r"))


def remove_mapped_bank(folder: Path) -> None:
    """Remove the mapped files of a benchmark that is complete."""
    for path in (folder / RUNS).glob(f"bank.*{PART}"):
        path.unlink(missing_ok=True)
