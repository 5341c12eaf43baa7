"""Archives of arrays from strangers."""

import io

import numpy as np
import pytest

from swerve.data.storage.checked_npz import read_npz
from swerve.scenes import LogError


@pytest.mark.parametrize("dtype", [[("x", "<f4")], np.dtype([("x", "<f4", (2,))]), "datetime64[s]", object])
def test_arrays_of_records_and_objects_are_refused(dtype):
    content = io.BytesIO()
    np.savez(content, a=np.zeros(3, dtype))
    with pytest.raises(LogError, match="a: is not an array that can be read"):
        read_npz(content.getvalue(), "a.npz", ("a",))
