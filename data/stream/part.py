"""A part of every training batch."""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from swerve.scenes.errors import SwerveError

PartName = Literal["paired", "raster_only", "recovery", "cross_agent", "follow_up", "visited"]
ImageChoice = Literal["raster", "photo", "both"]
# Samples of a batch per process, by default.
BATCH_SIZE: Final = 16
PARTS: Final[tuple[str, ...]] = get_args(PartName)


@dataclass(frozen=True)
class Part:
    """A part of every batch.

    Attributes:
        name: paired: logged viewpoints with photos; raster_only: logged viewpoints without; recovery, cross_agent,
            follow_up and visited: with or without.
        share: Share of each batch, relative to the shares of the other parts.
        images: Images that are read: raster, photo or both.
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

    @classmethod
    def from_text(cls, text: str) -> "Part":
        """Return the part that a text NAME:SHARE or NAME:SHARE:IMAGES states.

        Raises:
            SwerveError: the text has another form.
        """
        found = re.fullmatch(rf"({'|'.join(PARTS)}):(\d*\.?\d+)(?::(raster|photo|both))?", text)
        if not found:
            raise SwerveError(f"parts: {text!r} is not NAME:SHARE or NAME:SHARE:IMAGES with NAME of {', '.join(PARTS)}")
        name, share, images = found.groups("raster")
        return cls(cast(PartName, name), float(share), cast(ImageChoice, images))

    def __str__(self) -> str:
        return f"{self.name}:{self.share:g}" + (f":{self.images}" if self.images != "raster" else "")

    @property
    def wants_raster(self) -> bool:
        """Return whether rasters are read."""
        return self.images != "photo"

    @property
    def wants_photo(self) -> bool:
        """Return whether photos are read."""
        return self.images != "raster"
