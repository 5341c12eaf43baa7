"""Rooms import downwards only, no files import each other in a circle, and parts of scipy load when they are used."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.rooms import ROOMS, modules

MODULES = modules()


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "swerve"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "swerve":
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in MODULES else node.module


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    return {name: {one for one in imported(path) if one in MODULES and one != name} for name, path in MODULES.items()}


@pytest.mark.parametrize("module", MODULES)
def test_no_room_knows_those_above_it(module: str) -> None:
    own = ROOMS.index(room_of(module))
    assert [one for one in graph()[module] if ROOMS.index(room_of(one)) < own] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_parts_of_scipy_load_when_they_are_used() -> None:
    """`scipy.spatial.KDTree` after `import scipy` loads scipy.spatial in the call: half of the start of a worker."""
    early = [
        (name, node.lineno)
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "scipy")
        or (isinstance(node, ast.Import) and any(one.name.startswith("scipy.") for one in node.names))
    ]
    assert early == []
