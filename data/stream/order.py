"""Sampling order of batches: a function of seed, step and rank only."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from swerve.data.stream.part import Part
from swerve.scenes.randomness import keyed_generator


class PartOrder:
    """Endless order of one part's samples: epoch after epoch, each with a new permutation.

    In any epoch every sample occurs once. Where one epoch ends and the next begins, a batch may hold a sample twice.

    Args:
        part: part, with the limit of its samples.
        rows: rows of the samples.
        seed: seed of the stream.
    """

    def __init__(self, part: Part, rows: Int[np.ndarray, "n"], seed: int) -> None:
        self._part, self._seed = part, seed
        self._rows = rows
        if part.limit is not None:  # else no permutation of a large set is needed here
            kept = keyed_generator(seed, "stream", part.name, "limit").permutation(len(rows))[: part.limit]
            self._rows = rows[np.sort(kept)]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> Int[np.ndarray, "n"]:
        """Rows of the samples, ascending."""
        return self._rows

    def at(self, first: int, count: int) -> Int[np.ndarray, "count"]:
        """Return the samples at positions first, first + 1, ... of the order."""
        passes, places = np.divmod(np.arange(first, first + count), len(self._rows))
        chosen = [
            _shuffled(self._seed, self._part.name, int(turn), len(self._rows))[at]
            for turn, at in zip(passes, places, strict=True)
        ]
        rows: Int[np.ndarray, "count"] = self._rows[np.array(chosen, int)]
        return rows


@lru_cache(maxsize=16)
def _shuffled(seed: int, part: str, turn: int, count: int) -> Int[np.ndarray, "count"]:
    """Return the permutation of one epoch; cached, because one epoch serves many batches."""
    return keyed_generator(seed, "stream", part, turn).permutation(count)


def batch_start(step: int, rank: int, world: int, count: int) -> int:
    """Return the first position in a part's order of a batch's `count` samples.

    In each step the ranks take consecutive pieces of the order, so that no two ever take the same position.
    """
    return (step * world + rank) * count
