"""Descriptions of what the logs of a source hold, for `swerve info`."""

from collections.abc import Iterator, Sized
from typing import Protocol, runtime_checkable

from swerve.data import open_source
from swerve.job_report import counted
from swerve.scenes import Log


@runtime_checkable
class _Summarized(Protocol):
    """A source that describes all of its logs."""

    def summary(self) -> str:
        """Describe the logs in a line."""


def source_summary(source: str, logs: int) -> Iterator[str]:
    """Yield a line about a source, then one for each of its first `logs` logs, which are read.

    Raises:
        SwerveError: the source or one of the logs cannot be read.
    """
    opened = open_source(source)
    names = opened.names()
    yield f"{source}: {counted(len(names), 'log')}" + (f", the first {logs}" if logs < len(names) else "")
    if isinstance(opened, _Summarized):
        yield f"  {opened.summary()}"
    for name in names[:logs]:
        yield f"  {_line(opened.load(name))}"


def _line(log: Log) -> str:
    seconds = (log.times_us[-1] - log.times_us[0]) * 1e-6
    lanes = "no map" if log.road_map is None else counted(len(log.road_map.lanes), "lane")
    parts: dict[str, Sized] = {"track": log.tracks, "light": log.lights, "lane group": log.route}
    parts |= {"camera": log.cameras, "photo": log.photos, "sweep": log.sweeps}
    counts = ", ".join(
        counted(len(own), what) + (" on the route" if what == "lane group" else "") for what, own in parts.items()
    )
    split = f" ({log.split})" if log.split else ""
    boxes = (
        ""
        if log.annotated_us is None
        else f", boxes interpolated between {counted(len(log.annotated_us), 'annotated time')}"
    )
    return f"{log.name}{split}: {seconds:.1f} s, {counted(len(log.times_us), 'step')}, {lanes}, {counts}{boxes}"
