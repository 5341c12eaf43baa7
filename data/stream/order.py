"""Which samples make which batch: a function of seed, step and rank alone."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from swerve.data.stream.part import Part
from swerve.scenes.randomness import keyed_generator


class PartOrder:
    """The endless order of one part's samples: pass after pass over all of them, each shuffled anew.

    In any pass every sample comes once. Where one pass ends and the next begins, a batch may hold a sample twice.

    Args:
        part: which part, and how many of its samples are used.
        rows: the samples.
        seed: of the stream.
    """

    def __init__(self, part: Part, rows: Int[np.ndarray, "n"], seed: int) -> None:
        self._part, self._seed = part, seed
        kept = keyed_generator(seed, "stream", part.name, "limit").permutation(len(rows))[: part.limit]
        self._rows = rows[np.sort(kept)]

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, first: int, count: int) -> Int[np.ndarray, "count"]:
        """The samples at the places first, first + 1, ... of the order."""
        passes, places = np.divmod(np.arange(first, first + count), len(self._rows))
        chosen = [
            _shuffled(self._seed, self._part.name, int(turn), len(self._rows))[at]
            for turn, at in zip(passes, places, strict=True)
        ]
        return self._rows[np.array(chosen, int)]


@lru_cache(maxsize=16)
def _shuffled(seed: int, part: str, turn: int, count: int) -> Int[np.ndarray, "count"]:
    """The permutation of one pass; kept, because one pass serves many batches."""
    return keyed_generator(seed, "stream", part, turn).permutation(count)


def places_of(step: int, rank: int, world: int, count: int) -> int:
    """First place of a part's order that a batch takes its `count` samples from.

    In each step the ranks take pieces of the order one after the other, so that no two ever take the same place.
    """
    return (step * world + rank) * count
