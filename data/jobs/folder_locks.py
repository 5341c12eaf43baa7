"""Locks of job folders and other outputs: one process writes to a folder, or the runs of an array together."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from swerve.data.jobs.array_runs import RUNS
from swerve.data.jobs.execution import ArrayPart
from swerve.data.jobs.lease import leased
from swerve.data.jobs.main_guard import refuse_import
from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors, remove_leftovers
from swerve.data.storage.mirror import refresh
from swerve.scenes import SwerveError

LOCK: Final = "job.lock"


@contextmanager
def lock_job(folder: Path) -> Iterator[None]:
    """Lock a job's folder against all runs.

    Raises:
        SwerveError: a run is going on, or the folder cannot be written.
    """
    with os_errors_as_swerve_errors(folder), leased(folder, None), locked(folder / LOCK):
        yield


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder, which is made if it does not exist, so that no other process writes to it.

    What killed processes left of files that they were writing is removed.

    Raises:
        SwerveError: another process holds it, the folder cannot be made, or its store does not answer.
        SystemExit: this process is a worker that is just importing the user's script.
    """
    refuse_import()
    make_folder(folder)
    with ExitStack() as locks:
        with os_errors_as_swerve_errors(folder):
            locks.enter_context(leased(folder, None))
            refresh(folder)
            locks.enter_context(locked(folder / LOCK))
            remove_leftovers(folder)
        yield


def lock_part(folder: Path, part: ArrayPart) -> BinaryIO:
    """Lock a run of an array against itself, and refuse one of another array, which would divide the parts otherwise.

    Raises:
        SwerveError: the same run, or one of an array of another size, is going on.
    """
    make_folder(folder / RUNS)
    for path in (folder / RUNS).glob("*-of-*.lock"):
        if not path.stem.endswith(f"-of-{part.count}"):
            locked(path).close()
    return locked(folder / RUNS / f"{part.stem}.lock")


def locked(path: Path, shared: bool = False, waits: bool = False) -> BinaryIO:
    """Lock the file until it is closed; the operating system releases the lock when the process ends.

    Raises:
        SwerveError: another process has locked it, and `waits` is not set.
    """
    file = open(path, "ab")  # noqa: SIM115 the caller closes it
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        folder, who = path.parent, "another job is"
        if folder.name == RUNS:
            folder, who = folder.parent, f"--part {path.stem.replace('-of-', '/')} of this job is"
        raise SwerveError(f"{folder}: {who} writing to this folder; wait for it or end it") from None
    return file
