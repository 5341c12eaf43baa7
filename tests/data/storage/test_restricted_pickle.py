"""Untrusted pickles: plain values and arrays come out the same, and nothing else is ever run."""

import builtins
import os
import pickle
import struct
import subprocess
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from swerve.data.storage.pickle_scan import scan_pickle
from swerve.data.storage.pickled_arrays import reconstruct
from swerve.data.storage.restricted_pickle import PickledRecord, load_pickle, read_pickle
from swerve.scenes import LogError


class Calls:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def test_text_of_numbers_that_are_no_characters_is_refused():
    array = np.frombuffer(np.array([65, 0x110000], "<u4").tobytes(), "<U1")
    with pytest.raises(LogError, match="a character that is none"):
        load_pickle(pickle.dumps(array), "here")


NUMBERS = st.sampled_from(["<f8", "<f4", ">f8", "<i8", "<i4", "|u1", "|b1", "<U5", "|S3"]).map(np.dtype)


@given(PLAIN, st.integers(2, 5))
def test_plain_values_come_out_the_same(value, protocol):
    assert load_pickle(pickle.dumps(value, protocol), "here") == value


@settings(max_examples=60)
@given(st.data(), st.integers(2, 5), st.booleans())
def test_arrays_come_out_the_same(data, protocol, by_columns):
    array = data.draw(arrays.arrays(data.draw(NUMBERS), arrays.array_shapes(min_dims=0, min_side=0, max_side=4)))
    array = np.asfortranarray(array) if by_columns else array
    found = np.asarray(load_pickle(pickle.dumps({"it": array}, protocol), "here")["it"])
    known = pickle.loads(pickle.dumps(array, protocol))  # of other byte orders numpy makes its own
    assert type(found) is np.ndarray
    assert found.dtype.newbyteorder("=") == known.dtype.newbyteorder("=")
    assert found.shape == known.shape
    assert found.astype(known.dtype).tobytes() == known.tobytes()


def test_numbers_and_arrays_of_objects():
    value = [np.float32(1.5), np.int64(7), np.array(["a", None, 3], dtype=object)]
    found = load_pickle(pickle.dumps(value), "here")
    assert found[0] == np.float32(1.5)
    assert found[1] == 7
    assert np.asarray(found[2]).tolist() == ["a", None, 3]


def test_names_of_either_numpy():
    new = pickle.dumps(np.arange(3.0), 2)
    for data in (new, new.replace(b"numpy._core", b"numpy.core")):
        assert np.asarray(load_pickle(data, "here")).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (subprocess.Popen, "Popen"),
        (builtins.eval, "eval"),
        (getattr, "getattr"),
        (partial, "functools.partial"),
        (np.load, "numpy.load"),
        (np.fromfile, "numpy"),
    ],
)
def test_a_program_is_refused_by_name_and_not_run(tmp_path, function, name, protocol):
    marker = tmp_path / "marker"
    data = pickle.dumps([1, Calls(function, f"touch {marker}")], protocol)
    with pytest.raises(LogError, match=name.replace(".", r"\.")) as told:
        load_pickle(data, tmp_path / "log.pkl")
    assert "has not been run" in str(told.value)
    assert str(tmp_path / "log.pkl") in str(told.value)
    assert not marker.exists()


def test_a_stand_in_cannot_be_changed():
    """BUILD on a function would otherwise set its attributes, such as its defaults, for the whole process."""
    name = b"cnumpy.core.multiarray\n_reconstruct\n"
    for state in (b"}U\x05spellI1\ns", b"N}U\x0c__defaults__(I1\nts\x86"):
        with pytest.raises(LogError, match="changes a function"):
            load_pickle(name + state + b"b.", "here")
    assert reconstruct.__defaults__ is None
    with pytest.raises(LogError, match="damaged"):
        load_pickle(b"cnumpy\nndarray\n}b.", "here")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x80\x04]r\xff\xff\xff\x7f.", "memorizes object"),
        (b"\x80\x02]p99999999999\n.", "memorizes object"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.", "ends within an argument"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".", "ends within an argument"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".", "ends within an argument"),
        (b"\x80\x02\x8b" + struct.pack("<I", 0x7FFFFFFF) + b".", "ends within an argument"),
        (b"cnumpy\nndarray\n(I1000000000\nt\x81.", "without contents|damaged"),
        (b"\x80\x04\x82\x01.", "EXT1"),
        (b"Psomewhere\n.", "PERSID"),
        (b"\x80\x04\xfe.", "no valid instruction"),
        (b"", "ends before"),
        (b"hello", "."),
    ],
)
def test_bombs_and_nonsense_are_refused(data, problem):
    with pytest.raises(LogError, match=problem):
        load_pickle(data, "here")


def doubled(levels):
    """A pickle of a tuple that holds the one before it twice, level by level, and is then a key of a dict."""
    steps = b"".join(b"h" + bytes([level, 104, level]) + b"\x86\x94" for level in range(levels))
    return b"\x80\x04)\x94" + steps + b"}h" + bytes([levels]) + b"Ns."


def test_objects_named_many_times_are_bounded():
    """Loading the first would hash 2^60 tuples; whoever writes out or copies the others pays for each of them."""
    assert load_pickle(doubled(10), "here")
    for data in (doubled(60), pickle.dumps([[[[[[0.5] * 300] * 100] * 100] * 100] * 100])):
        with pytest.raises(LogError, match=r"so often that they take (memory and )?time out of proportion"):
            load_pickle(data, "here")
    rows = [np.arange(1000.0)] * 20_000
    with pytest.raises(LogError, match="names its objects so often"):
        load_pickle(pickle.dumps(rows), "here")
    endless = []
    endless.append(endless)
    with pytest.raises(LogError, match="names its objects so often"):
        load_pickle(pickle.dumps(endless), "here")


def test_an_array_has_the_contents_that_its_shape_says():
    for change in ({"shape": (10**6, 10**6)}, {"shape": (-1,)}, {"shape": (4,)}, {"shape": 3.5}):
        kind, arguments, state = np.arange(3.0).__reduce__()
        state = (state[0], change["shape"], *state[2:])
        data = pickle.dumps(_Reduced((kind, arguments, state)))
        with pytest.raises(LogError, match="holds an array"):
            load_pickle(data, "here")


def test_records_of_numpy_are_refused():
    data = pickle.dumps(np.zeros(2, [("a", "f8"), ("b", "i4")]))
    with pytest.raises(LogError, match="not of plain numbers"):
        load_pickle(data, "here")


class _Reduced:
    def __init__(self, reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def test_every_truncation_is_one_error():
    data = pickle.dumps([{"a": np.arange(4.0), "b": ["text", 1.5, (None, True)]}, b"bytes" * 60])
    for end in range(len(data)):
        with pytest.raises(LogError):
            load_pickle(data[:end], "here")
    scan_pickle(data)


@settings(max_examples=300)
@given(st.data())
def test_every_change_of_a_byte_is_an_error_or_plain(data):
    whole = bytearray(pickle.dumps([{"a": np.arange(4.0), "b": ["text", 1.5]}]))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        load_pickle(bytes(whole), "here")
    except LogError:
        return


def test_objects_become_records():
    class_name = ("their.module", "Thing")
    data = b"\x80\x04\x8c\x0ctheir.module\x8c\x05Thing\x93)\x81}\x8c\x01xK\x05sb."
    thing = type("Thing", (PickledRecord,), {"__slots__": ()})
    found = load_pickle(data, "here", {class_name: thing})
    assert type(found) is thing
    assert found.values == {"x": 5}
    with pytest.raises(LogError, match=r"their\.module\.Thing"):
        load_pickle(data, "here")


def test_a_class_of_the_allow_list_guards_its_state():
    with pytest.raises(TypeError, match="__setstate__"):
        load_pickle(b"N.", "here", {("a", "b"): type("Open", (), {})})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LogError, match=r"none\.pkl"):
        read_pickle(tmp_path / "none.pkl")
