"""Keyed random number generators, independent of process and order."""

import hashlib

import numpy as np


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """Return the counter-based (Philox) generator of a key, the same on any machine, in any order, after any restart.

    Args:
        seed: the seed of the whole job.
        key: key of the random draw, for example (log name, token, viewpoint index).
    """
    text = "\x1f".join(str(part) for part in (seed, *key))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype="<u8")))
