"""Scratch folders of this machine: one per run, removed when the run has ended or was killed."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from swerve.data.storage.files import make_folder
from swerve.scenes import SwerveError


def make_scratch(name: str) -> Path:
    """Make a scratch folder of this name, after removing those of runs that were killed."""
    base = Path(os.environ.get("SWERVE_SCRATCH") or tempfile.gettempdir()).absolute() / f"swerve-store-{os.getuid()}"
    _make_own(base)
    with open(base / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in (one for one in base.iterdir() if one.is_dir()):
            if _is_abandoned(old):
                shutil.rmtree(old, ignore_errors=True)
        own = Path(tempfile.mkdtemp(dir=base, prefix="run-"))
        (own / "lock").touch()
        os.utime(own)
    folder = own / name
    make_folder(folder)
    return folder


def _make_own(base: Path) -> None:
    """Make a folder that only this user can write to, where all may make folders, as in /tmp.

    Raises:
        SwerveError: it is another user's, a link, or others may write to it.
    """
    make_folder(base.parent)
    with suppress(FileExistsError):
        base.mkdir(mode=0o700)
    state = base.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise SwerveError(f"{base}: is not this user's own folder. Remove it, or set SWERVE_SCRATCH to another folder")


def hold_scratch(own: Path) -> BinaryIO:
    """Lock a scratch folder as in use."""
    file = open(own / "lock", "ab")  # noqa: SIM115 the caller closes it
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _is_abandoned(own: Path) -> bool:
    """Test whether no run holds a scratch folder; one that was just made is not held yet."""
    try:
        with open(own / "lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return time.time() - os.stat(own).st_mtime > 60.0
    except OSError:
        return False
