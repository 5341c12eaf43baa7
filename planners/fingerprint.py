"""Fingerprints of planners, to detect whether stored results are outdated."""

import hashlib
import inspect
import sys
from pathlib import Path

from swerve.planners.load_planner import TRAINED, LoadedPlanner
from swerve.planners.trained_file import trained_path


def fingerprint(named: LoadedPlanner) -> str:
    """Return a digest that changes with the spec, and with the planner's known files.

    Known files are the one that the spec names (a trained planner), that of its module, that of the planner's class,
    and those that the planner lists as `source_files`. Their imports are not tracked. A planner that is elsewhere says
    what it is as `identity`.
    """
    head = named.spec.split(",")[0].strip()
    module = sys.modules.get(head.partition(":")[0])
    wrapped = getattr(named.planner, "planner", named.planner)
    listed = getattr(wrapped, "source_files", ())
    paths = (
        trained_path(head) if head.endswith(TRAINED) else head,
        getattr(module, "__file__", None),
        _source(type(named.planner)),
        *listed,
    )
    files = sorted({Path(path).resolve() for path in paths if path and Path(path).is_file()})
    digest = hashlib.sha256(named.spec.encode() + str(getattr(wrapped, "identity", "")).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _source(kind: type) -> str | None:
    """Return the source file of a class; None if unknown."""
    try:
        return inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return None
