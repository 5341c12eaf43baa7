"""Kernels without a function for Python are called by kernels alone: Python's call would crash."""

import ast

from tests.support.rooms import ROOT

FOLDERS = ("scenes", "rasterizer", "viz", "data", "eval", "planners", "swerve", "tests", "benchmarks", "experiments")


def is_kernel(node):
    return isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(one) for one in node.decorator_list)


def names_in(nodes):
    return {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}


def last_name(node):
    """The last name of `a.b.c`; of anything else, none."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_python_does_not_call_internal_kernels():
    trees = {path: ast.parse(path.read_text()) for name in FOLDERS for path in (ROOT / name).rglob("*.py")}
    found = 0
    everywhere = set()  # names that other files import, or take, from modules of kernels
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("kernels"):
                everywhere |= {one.name for one in node.names}
            elif isinstance(node, ast.Attribute) and last_name(node.value).endswith("kernels"):
                everywhere.add(node.attr)
    for path, tree in trees.items():
        kernels = [node for node in tree.body if is_kernel(node)]
        internal = {node.name for node in kernels if any("INTERNAL" in ast.unparse(one) for one in node.decorator_list)}
        in_python = names_in([node for node in tree.body if not is_kernel(node)])
        assert not internal & (in_python | everywhere), path
        found += len(internal)
    assert found > 100
