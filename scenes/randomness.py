"""Random numbers that depend on what is drawn and on nothing else."""

import hashlib

import numpy as np


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """The counter-based generator of one thing, the same on any machine, in any order, after any restart.

    Args:
        seed: the seed of the whole job.
        key: what is drawn, for example (log name, token, viewpoint index).
    """
    text = "\x1f".join(str(part) for part in (seed, *key))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype="<u8")))
