"""Options of a stream of training batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from swerve.data.stream.image_fit import ImageFit
from swerve.scenes import Split, SwerveError

PartName = Literal["paired", "raster_only", "recovery", "cross_agent"]
ImageChoice = Literal["raster", "photo", "both"]
PARTS: Final[tuple[str, ...]] = get_args(PartName)


@dataclass(frozen=True)
class Part:
    """Part of every batch.

    Attributes:
        name: "paired" for logged viewpoints with photos, "raster_only" for logged ones without, "recovery" or
            "cross_agent" (with or without).
        share: share of each batch, relative to the other parts.
        images: images to read: rasters, photos or both.
        limit: maximum number of samples used. The subset depends only on the seed; a smaller limit takes some of
            those that a larger one takes.

    Raises:
        SwerveError: there is no such part, or a number is not positive.
    """

    name: PartName
    share: float = 1.0
    images: ImageChoice = "raster"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.name not in PARTS:
            raise SwerveError(f"part {self.name!r} is not known, choose among {', '.join(PARTS)}")
        if self.images not in get_args(ImageChoice):
            raise SwerveError(f"part {self.name}: images {self.images!r} must be raster, photo or both")
        if not 0 < self.share < float("inf") or (self.limit is not None and self.limit < 1):
            raise SwerveError(f"part {self.name}: share {self.share} and limit {self.limit} must be above 0")

    @property
    def wants_raster(self) -> bool:
        """True if rasters are requested."""
        return self.images != "photo"

    @property
    def wants_photo(self) -> bool:
        """True if photos are requested."""
        return self.images != "raster"


@dataclass(frozen=True)
class StreamOptions:
    """Everything except the set and the rank that determines a stream's batches.

    Attributes:
        parts: parts of every batch, in this order within the batch.
        fit: crop and size of the images.
        cameras: camera names, in the order of the batch; those of the set's first sample if empty.
        batch: samples per batch and rank.
        seed: seed of the order.
        split: "train", "val" or "test".

    Raises:
        SwerveError: a part or a camera is named twice or there is no part, or the batch is too small for a part.
    """

    parts: tuple[Part, ...]
    fit: ImageFit
    cameras: tuple[str, ...] = ()
    batch: int = 16
    seed: int = 0
    split: Split = "train"

    def __post_init__(self) -> None:
        for what, names in (("part", [part.name for part in self.parts]), ("camera", self.cameras)):
            if len(set(names)) < len(names):
                raise SwerveError(f"a {what} is named twice in {', '.join(names)}")
        if not self.parts:
            raise SwerveError(f"a stream needs at least one part: {', '.join(PARTS)}")
        for part, count in zip(self.parts, self.counts, strict=True):
            if count < 1:
                raise SwerveError(f"a batch of {self.batch} has no room for the share of {part.name}: enlarge either")

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples of each part in each batch."""
        return shared_out(self.batch, [part.share for part in self.parts])


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
