"""MessagePack: messages written out by hand from the specification, round trips, and damage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.storage.msgpack import pack, unpack

# Value and message, by the specification's table of formats.
MESSAGES = [
    (None, "c0"),
    (False, "c2"),
    (True, "c3"),
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (256, "cd0100"),
    (65536, "ce00010000"),
    (2**32, "cf0000000100000000"),
    (-1, "ff"),
    (-32, "e0"),
    (-33, "d0df"),
    (-129, "d1ff7f"),
    (-32769, "d2ffff7fff"),
    (-(2**31) - 1, "d3ffffffff7fffffff"),
    (1.5, "cb3ff8000000000000"),
    ("", "a0"),
    ("é", "a2c3a9"),
    ("x" * 32, "d920" + "78" * 32),
    (b"ab", "c4026162"),
    ([], "90"),
    ([1, "a"], "9201a161"),
    ({}, "80"),
    ({"a": [None]}, "81a16191c0"),
    ({1: 2}, "810102"),
]


@pytest.mark.parametrize(("value", "message"), MESSAGES, ids=lambda value: str(value)[:12])
def test_messages_are_those_of_the_specification(value, message):
    assert pack(value).hex() == message
    assert unpack(bytes.fromhex(message)) == value


def test_forms_that_others_write_are_read():
    assert unpack(bytes.fromhex("ca3fc00000")) == 1.5
    assert unpack(bytes.fromhex("dc0001" + "05")) == [5]
    assert unpack(bytes.fromhex("dd00000001" + "05")) == [5]
    assert unpack(bytes.fromhex("df00000001" + "a161" + "05")) == {"a": 5}
    assert unpack(bytes.fromhex("da0001" + "61")) == "a"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary(),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20),
        max_leaves=30,
    )
)
def test_what_is_packed_is_unpacked(value):
    assert unpack(pack(value)) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(message):
    try:
        unpack(message)
    except ValueError:
        return


def test_arrays_are_msgpack_numpys_maps():
    array = np.array([[1.5, 2.0, -3.0]])
    message = pack({"line": array})
    # As py123d's encoder writes it: keys are bytes, the data are the array's.
    head = b"\x81\xa4line\x84\xc4\x0b__ndarray__\xc3\xc4\x05dtype\xa3<f8\xc4\x05shape\x92\x01\x03\xc4\x04data\xc4\x18"
    assert message == head + array.tobytes()
    np.testing.assert_array_equal(unpack(message)["line"], array)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "no complete"),
        ("cd01", "no complete"),
        ("a261", "no complete"),
        ("93", "no complete"),
        ("ddffffffff", "no complete"),
        ("a1ff", "no complete"),
        ("0000", "1 bytes follow"),
        ("c1", "0xc1: extensions are not read"),
        ("d40100", "extensions are not read"),
        ("8190" + "c0", "no complete"),  # a list is no key
        ("91" * 40 + "c0", "nested more than 32"),
    ],
)
def test_what_is_no_message_is_refused(message, problem):
    with pytest.raises(ValueError, match=problem):
        unpack(bytes.fromhex(message))


@pytest.mark.parametrize(
    "change", [{b"dtype": "|O"}, {b"dtype": "(3,"}, {b"shape": [-1]}, {b"shape": [4]}, {b"data": "text"}, {b"dtype": 1}]
)
def test_arrays_that_lie_about_their_size_are_refused(change):
    own = {b"__ndarray__": True, b"dtype": "<f8", b"shape": [1], b"data": bytes(8)}
    with pytest.raises(ValueError, match="array"):
        unpack(pack({**own, **change}))


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64, [complex(1)]])
def test_what_has_no_form_is_not_packed(value):
    with pytest.raises(TypeError):
        pack(value)
