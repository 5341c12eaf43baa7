"""A part of every training batch."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from swerve.scenes.errors import SwerveError

PartName = Literal["paired", "raster_only", "recovery", "cross_agent"]
ImageChoice = Literal["raster", "photo", "both"]
# Samples of a batch per process, unless asked otherwise.
BATCH: Final = 16
PARTS: Final[tuple[str, ...]] = get_args(PartName)


@dataclass(frozen=True)
class Part:
    """A part of every batch.

    Attributes:
        name: "paired" for logged viewpoints with photographs, "raster_only" for logged ones without, "recovery" or
            "cross_agent" (with or without).
        share: of each batch, relative to the shares of the other parts.
        images: what is read of its samples: rasters, photographs or both.
        limit: use so many of its samples at most. Which ones depends on the seed alone; a smaller limit takes some of
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
        """Whether rasters are read."""
        return self.images != "photo"

    @property
    def wants_photo(self) -> bool:
        """Whether photographs are read."""
        return self.images != "raster"
