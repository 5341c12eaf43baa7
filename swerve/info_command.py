"""Run `swerve info`."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console
from rich.table import Table

from swerve import __version__
from swerve.consoles import print_table, results_console
from swerve.options.info import Info
from swerve.rasterizer.backends import (
    BACKENDS,
    SPLAT_BACKENDS,
    Chosen,
    SplatChosen,
    device_name,
    resolve_backend,
    resolve_splat_backend,
    unavailable_reason,
)
from swerve.source_summary import source_summary

_PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "shapely",
    "pyarrow",
    "zlib-ng",
    "simplejpeg",
    "numba-cuda",
    "torch",
    "nvdiffrast",
    "gsplat",
    "protobuf",
)


def run(args: Info) -> int:
    """Print what logs hold, or without any what this machine has, and return the exit code.

    Raises:
        SwerveError: a source cannot be read.
    """
    console = results_console()
    for source in args.sources:
        for line in source_summary(source, args.logs):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    if not args.sources:
        _describe_machine(console)
    return 0


def _describe_machine(console: Console) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    console.print(f"swerve {__version__}, Python {platform.python_version()}, {cores} cores", highlight=False)
    print_table(console, _table("back end", BACKENDS, resolve_backend("auto")))
    print_table(console, _table("splat back end", SPLAT_BACKENDS, resolve_splat_backend("auto")))
    packages = Table("package", "version", box=None)
    for name in _PACKAGES:
        packages.add_row(name, _version(name))
    print_table(console, packages)


def _table(title: str, backends: Sequence[Chosen | SplatChosen], auto: str) -> Table:
    """Return a table of back ends, and the device of each or why it cannot be used."""
    table = Table(title, "device", box=None)
    for backend in backends:
        reason = unavailable_reason(backend)
        table.add_row(backend, f"not available: {reason}" if reason else device_name(backend))
    table.add_row("auto", f"selects {auto}")
    return table


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
