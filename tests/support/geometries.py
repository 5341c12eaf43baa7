"""Cached log geometry: under the tests' type checks it takes a third of a second."""

from swerve.scenes.viewpoints import build_log_geometry

_KNOWN = {}


def geometry_of(log):
    """Return `build_log_geometry(log)`, cached with its log, so that no other log can have its id."""
    return _KNOWN.setdefault(id(log), build_log_geometry(log))
