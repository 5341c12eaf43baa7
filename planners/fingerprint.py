"""Whether a planner is still the one that made earlier plans."""

import hashlib
import inspect
import sys
from pathlib import Path

from swerve.planners.load_planner import LoadedPlanner


def fingerprint(named: LoadedPlanner) -> str:
    """Changes with the spec, and with the files that a planner is made of, as far as these are known.

    Known are the file that the spec names (a trained planner), that of its module, and that of the planner's class. Of
    what these import, nothing is known.
    """
    head = named.spec.split(",")[0].strip()
    module = sys.modules.get(head.partition(":")[0])
    paths = (head, getattr(module, "__file__", None), _source(type(named.planner)))
    files = sorted({Path(path).resolve() for path in paths if path and Path(path).is_file()})
    digest = hashlib.sha256(named.spec.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _source(kind: type) -> str | None:
    """The file in which a class is written; None where nobody knows."""
    try:
        return inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return None
