"""Source of 123D's logs: folders of Arrow files, one per modality, that py123d or `swerve export 123d` has written."""

from pathlib import Path

from swerve.data.sources.folder_source import FolderSource
from swerve.data.sources.py123d.py123d_log import read_123d_log, read_123d_rig
from swerve.data.sources.source import Holding

_SYNC = "sync.arrow"


def py123d_source(path: str | Path) -> FolderSource:
    """Open a log's folder, a folder of them or of splits, or a root with `logs` in it (PY123D_DATA_ROOT)."""
    path = Path(path)
    hint = f"A log is a folder with {_SYNC}, which py123d writes in PY123D_DATA_ROOT/logs/SPLIT/LOG"
    return FolderSource(
        path, "123d", "123D log", hint, log_folders_123d, read_123d_log, read_123d_rig, find_absent=_absent
    )


def log_folders_123d(path: Path) -> list[Path]:
    """List the logs at a path, or up to two folders below it or its `logs`, in order; empty if there are none."""
    if _is_log(path):
        return [path.absolute()]
    parents = [parent.absolute() for parent in (path, path / "logs") if parent.is_dir()]
    below = [child for parent in parents for child in sorted(parent.iterdir()) if child.is_dir()]
    found = [child for child in below if _is_log(child)]
    return found or [log for child in below if child.name != "logs" for log in sorted(child.iterdir()) if _is_log(log)]


def _absent(folder: Path) -> frozenset[Holding]:
    """Return what a log lacks; whether it has a map stands in a file of it."""
    return frozenset() if any(folder.glob("camera.*.arrow")) else frozenset({"photographs"})


def _is_log(path: Path) -> bool:
    return (path / _SYNC).is_file()
