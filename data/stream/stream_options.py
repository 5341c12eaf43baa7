"""Options of a stream of training batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from swerve.data.stream.image_fit import ImageFit
from swerve.data.stream.part import BATCH_SIZE, PARTS, Part
from swerve.scenes import Split, SwerveError


@dataclass(frozen=True)
class StreamOptions:
    """Options of a stream: all but the set and the rank that determines a stream's batches.

    Attributes:
        parts: parts of every batch, in this order within the batch.
        fit: crop and size of the images.
        cameras: camera names, in the order of the batch; those of the set's first sample if empty.
        batch_size: samples per batch and rank.
        seed: seed of the order.
        split: "train", "val" or "test".

    Raises:
        SwerveError: an option is of another type, a part or a camera is named twice or there is no part, or the batch
            is too small for a part.
    """

    parts: tuple[Part, ...]
    fit: ImageFit
    cameras: tuple[str, ...] = ()
    batch_size: int = BATCH_SIZE
    seed: int = 0
    split: Split = "train"

    def __post_init__(self) -> None:
        self._check_types()
        for what, names in (("part", [part.name for part in self.parts]), ("camera", self.cameras)):
            if len(set(names)) < len(names):
                raise SwerveError(f"a {what} is named twice in {', '.join(names)}")
        if not self.parts:
            raise SwerveError(f"a stream needs at least one part: {', '.join(PARTS)}")
        for part, count in zip(self.parts, self.counts, strict=True):
            if count < 1:
                raise SwerveError(
                    f"a batch of {self.batch_size} has no room for the share of {part.name}: enlarge either"
                )

    def _check_types(self) -> None:
        if isinstance(self.parts, (str, Part)) or not all(isinstance(part, Part) for part in self.parts):
            raise SwerveError(f"parts: {self.parts!r} is not a tuple of Part, as in (Part('recovery'),)")
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, Integral):
            raise SwerveError(f"batch_size: {self.batch_size!r} is not a whole number")
        if not isinstance(self.fit, ImageFit):
            raise SwerveError(f"fit: {self.fit!r} is not an ImageFit, as in ImageFit((192, 112))")
        if isinstance(self.cameras, str):  # its letters would be taken for names
            raise SwerveError(f"cameras: {self.cameras!r} is one text, not a tuple, as in ({self.cameras!r},)")

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples of each part in each batch."""
        return shared_out(self.batch_size, [part.share for part in self.parts])


def shared_out(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Distribute `total` in proportion to the shares as integers: the largest-remainder (Hamilton) method.

    Of equal remainders the first comes first.
    """
    exact = total * np.asarray(shares, dtype=float) / np.sum(shares)
    # A remainder of 1 - 1e-16 is an integer that was rounded.
    counts = np.floor(exact + 1e-9).astype(int)
    for row in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[row] += 1
    return tuple(counts.tolist())
