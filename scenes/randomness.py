"""Keyed random number generators, independent of process and order."""

import hashlib
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence


class _DigestWords(ISeedSequence):
    """Seed whose words are those of a digest.

    A generator that is given `key=` draws entropy from the system, which it does not use and which takes most of the
    time of its creation.

    Args:
        digest: of 16 bytes.
    """

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:  # noqa: ANN401
        """Return the words; a generator asks for two of 64 bits."""
        return np.frombuffer(self._digest, np.dtype(dtype).newbyteorder("<"), n_words)


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """Return the counter-based (Philox) generator of a key, the same on any machine, in any order, after any restart.

    Args:
        seed: the seed of the whole job.
        key: key of the random draw, for example (log name, token, viewpoint index).
    """
    text = "\x1f".join(str(part) for part in (seed, *key))
    words: Any = _DigestWords(hashlib.blake2b(text.encode(), digest_size=16).digest())  # numpy's types lack such seeds
    return np.random.Generator(np.random.Philox(words))
