"""Pickles of numbers are read; anything else is refused by name, and nothing of it runs."""

import os
import pickle
import sys
import types

import numpy as np
import pytest

from swerve.data.sources.nuplan.restricted_pickle import read_numbers


class Bomb:
    """Unpickles as a call."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_are_read(protocol):
    matrix = [[1.5, 0.0, 2], [0.0, 1.5, 3.0], [0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(read_numbers(pickle.dumps(matrix, protocol), (3, 3)), matrix)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_lists_of_nuplans_own_class_are_read(monkeypatch, protocol):
    module = types.ModuleType("nuplan.database.common.data_types")
    module.Translation = type("Translation", (list,), {"__module__": module.__name__})
    for name in ("nuplan", "nuplan.database", "nuplan.database.common"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blob = pickle.dumps(module.Translation([1.0, 2.0, 3.0]), protocol)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_numbers(blob, (3,)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "named"),
    [(os.mkdir, "posix.mkdir"), (eval, "builtins.eval"), (os.system, "posix.system"), (getattr, "builtins.getattr")],
)
def test_calls_are_refused_by_name_and_do_not_run(tmp_path, call, named):
    made = tmp_path / "made"
    argument = str(made) if call is os.mkdir else f"__import__('os').mkdir({str(made)!r})"
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        read_numbers(pickle.dumps(Bomb(call, argument)), (3,))
    assert not made.exists()


def test_other_names_of_nuplan_are_refused():
    blob = b"\x80\x02cnuplan.database.common.data_types\nQuaternion\n."
    with pytest.raises(ValueError, match=r"data_types\.Quaternion"):
        read_numbers(blob, (4,))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x80",
        pickle.dumps([1.0, 2.0, 3.0])[:-3],
        b"\x80\x02K\x01Q.",
        b"I1\n" * 100 + b".",
        pickle.dumps([1.0, "2", 3.0]),
        pickle.dumps({"x": 1.0}),
        pickle.dumps([1.0, float("nan"), 3.0]),
        pickle.dumps([1.0, 2.0]),
        pickle.dumps([[1.0, 2.0], [3.0]]),
        pickle.dumps([[[1.0]], [[2.0]], [[3.0]]]),
        pickle.dumps([1.0] * 5000),
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 20 + b".",
    ],
)
def test_what_is_no_list_of_numbers_is_refused(blob):
    with pytest.raises(ValueError, match=r"pickle|numbers|inhomogeneous"):
        read_numbers(blob, (3,))
