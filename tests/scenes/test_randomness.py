"""Keyed generators are those of Philox by the digest of their key."""

import hashlib
import pickle

import numpy as np
import pytest

from swerve.scenes.randomness import keyed_generator


@pytest.mark.parametrize("key", [(0,), (1, "log", "token", 3), (-7, "\u00e4", 2**70)])
def test_the_generator_is_philox_keyed_by_the_digest(key):
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
    expected = np.random.Generator(np.random.Philox(key=np.frombuffer(digest, "<u8")))
    found = keyed_generator(*key)
    assert str(found.bit_generator.state) == str(expected.bit_generator.state)
    assert np.array_equal(found.random(9), expected.random(9))
    copied = pickle.loads(pickle.dumps(found))
    assert copied.integers(2**62) == found.integers(2**62) == expected.integers(2**62)
