"""Pickles written without the classes: Python and the restricted reader load what was given."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.storage.restricted_pickle import PickledRecord, load_pickle
from swerve.data.storage.write_pickle import PickledEnum, PickledInstance, pickled
from tests.support.navsim_files import classes_of

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)
ARRAYS = (
    np.arange(6.0).reshape(2, 3),
    np.array([1.5, -2.0], np.float32),
    np.array([0, 1, 0, 0]),
    np.array(["vehicle", "p"]),
    np.zeros((0, 7)),
    np.zeros(0, "<U12"),
    np.arange(8.0).reshape(2, 4).T,
    np.array([1.0], ">f8"),
)


@given(PLAIN)
def test_python_loads_what_was_given(value):
    assert pickle.loads(pickled(value)) == value
    assert load_pickle(pickled(value), "here") == value


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_keep_type_shape_and_values(array):
    for read in (pickle.loads(pickled(array)), np.asarray(load_pickle(pickled(array), "here"))):
        np.testing.assert_array_equal(read, array)
        assert (read.dtype, read.shape) == (array.dtype.newbyteorder("<"), array.shape)


def test_arrays_are_named_as_numpy_1_does():
    """numpy 2 writes numpy._core, which servers with numpy 1 do not have."""
    assert b"numpy.core.multiarray" in pickled(ARRAYS[0])
    assert b"_core" not in pickled(ARRAYS[0])


def test_objects_get_their_attributes_without_their_constructor():
    content = [PickledInstance("foreign.shapes", "Round", {"radius": 2.0}), PickledEnum("foreign.shapes", "Kind", 3)]
    with classes_of([("foreign.shapes", "Round"), ("foreign.shapes", "Kind")]) as made:
        made.Kind.__init__ = lambda self, value: setattr(self, "value", value)
        made.Round.__init__ = None
        round_, kind = pickle.loads(pickled(content))
        assert (type(round_), round_.radius) == (made.Round, 2.0)
        assert (type(kind), kind.value) == (made.Kind, 3)


def test_attributes_in_slots_are_set():
    """A class with slots has no dict: pickle sets them one by one, given the pair of both."""
    state = pickled(PickledInstance("tests.support.slotted", "Slotted", {"x": 1.0, "y": 2.0}, slots=True))
    read = pickle.loads(state)
    assert (read.x, read.y) == (1.0, 2.0)
    allowed = {("tests.support.slotted", "Slotted"): PickledRecord}
    assert load_pickle(state, "here", allowed).values == {"x": 1.0, "y": 2.0}


def test_other_values_are_refused():
    for value in (object(), {1, 2}, np.array([object()]), np.array([1 + 2j])):
        with pytest.raises(TypeError, match="cannot be written into a pickle"):
            pickled([value])
