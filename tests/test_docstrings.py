"""Wording of docstrings."""

import ast

import pytest

from tests.support.rooms import ROOT

QUESTIONS = {"what", "who", "whose", "where", "which", "how", "whether"}
# Packages whose docstrings follow the rule.
ROOMS = (
    "swerve",
    "planners",
    "eval",
    "data",
    "viz",
    "rasterizer",
    "scenes",
    "benchmarks",
    "experiments",
    "tests/support",
)


def docstrings(path):
    """Yield name and text of all docstrings of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield getattr(node, "name", "module"), ast.get_docstring(node) or ""


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_do_not_open_with_a_question_word(room):
    """They say what is computed: "Return the ...", and for classes "Pinhole camera with ..."."""
    opened = [
        f"{path.relative_to(ROOT)}: {name}: {text.splitlines()[0]}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for name, text in docstrings(path)
        if text and text.split()[0].strip(".,:;").lower() in QUESTIONS
    ]
    assert not opened, "\n".join(opened)
