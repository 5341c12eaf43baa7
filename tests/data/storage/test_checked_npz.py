"""Untrusted archives of arrays."""

import io

import numpy as np
import pytest

from swerve.data.storage import checked_npz
from swerve.data.storage.checked_npz import read_npz
from swerve.scenes import LogError


@pytest.mark.parametrize("dtype", [[("x", "<f4")], np.dtype([("x", "<f4", (2,))]), "datetime64[s]", object])
def test_arrays_of_records_and_objects_are_refused(dtype):
    content = io.BytesIO()
    np.savez(content, a=np.zeros(3, dtype))
    with pytest.raises(LogError, match="a: is not an array that can be read"):
        read_npz(content.getvalue(), "a.npz", ("a",))


def test_headers_of_one_type_and_shape_are_parsed_once():
    """Samples have the same arrays: parsing their headers anew took most of the time to read one."""
    content = io.BytesIO()
    np.savez(content, **{f"a{row}": np.full(7 + row, row, np.float32) for row in range(5)})
    read_npz(content.getvalue(), "a.npz")
    before = checked_npz._parsed.cache_info().misses
    found = read_npz(content.getvalue(), "b.npz")
    assert checked_npz._parsed.cache_info().misses == before
    assert all((found[f"a{row}"] == row).all() for row in range(5))
