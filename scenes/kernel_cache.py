"""Keep compiled kernels in a folder of the user's cache that changes with their sources.

Numba's cache depends on the file of a kernel alone: it would keep outdated inlined kernels and constants of other
files, or fail to read an index that names a removed class. So every version of the sources has its own folder, which
all environments with these sources, and the same numba and numpy, share (`swerve.scenes.kernel_locator`).
"""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from swerve.scenes.source_digest import contents_digest, source_files

VARIABLE = "NUMBA_CACHE_DIR"
LOCATORS = "NUMBA_CACHE_LOCATOR_CLASSES"
_LOCATORS = ",".join(
    (
        "swerve.scenes.kernel_locator.KernelLocator",
        *(f"{kind}CacheLocator" for kind in ("UserProvided", "InTree", "UserWide", "IPython", "Zip")),
    )
)
# Files that say one of these have a part in compiled kernels: the kernels, the tuples that they are given, and modules
# of constants that they import, which mention numba in a comment.
COMPILED = (b"numba", b"NamedTuple")
_DAY = 86400.0
_UNUSED = 30 * _DAY


def use_kernel_cache() -> None:
    """Make numba keep the kernels that it compiles in the folder of the present sources.

    It has to run before the first kernel is defined, so `import swerve` calls it. A folder that the user gives in
    NUMBA_CACHE_DIR is used as it is. Where the cache folder of the user cannot be written, a temporary folder serves
    this process and its children.
    """
    given = os.environ.get(VARIABLE)
    if given and Path(given).parent != cache_root():
        return
    folder = _folder()
    os.environ[VARIABLE], os.environ[LOCATORS] = str(folder), _LOCATORS
    if "numba" in sys.modules:  # it read the variables when it was imported
        config = sys.modules["numba"].config
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = str(folder), _LOCATORS


def cache_root() -> Path:
    """Return the folder with a folder of kernels for every version of the sources."""
    home = os.path.expanduser("~")
    if home == "~":  # an account without a home: nothing can be made there, and a temporary folder is used
        home = os.devnull
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache")) / "swerve" / "kernels"


def _folder() -> Path:
    """Return the folder of the present sources, made if it is not there."""
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = root / _kernel_digest(root)
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            _remove_unused(root)
        if not os.access(folder, os.W_OK):
            raise PermissionError(folder)
        _touch(folder)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="swerve-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _kernel_digest(root: Path) -> str:
    """Return the digest of all files that have a part in kernels.

    Files are read again only when the path, size or time of change of one differs; else the digest is noted in `root`.
    """
    files = source_files()
    stats = [(str(path), stat.st_size, stat.st_mtime_ns) for path in files for stat in [path.stat()]]
    versions = f"-numba{version('numba')}-numpy{version('numpy')}"
    note = root / f"{hashlib.blake2b(repr(stats).encode(), digest_size=8).hexdigest()}.digest"
    if note.is_file() and (noted := note.read_text()):
        _touch(note)
        return noted + versions
    digest = contents_digest([path for path in files if any(word in path.read_bytes() for word in COMPILED)])
    part = note.with_suffix(f".{os.getpid()}")
    part.write_text(digest)
    part.replace(note)
    return digest + versions


def _touch(path: Path) -> None:
    """Note that a path is in use, once a day."""
    if time.time() - path.stat().st_mtime > _DAY:
        os.utime(path)


def _remove_unused(root: Path) -> None:
    """Remove what no process has used for 30 days."""
    for path in root.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < _UNUSED:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
