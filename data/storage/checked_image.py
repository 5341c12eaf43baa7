"""Untrusted image files: JPEG and PNG only, and no more pixels than a stated limit."""

import io
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from swerve.scenes import LogError

# Pixels of an image; cameras have up to 8 million.
MOST_PIXELS: Final = 2**26
_FORMATS: Final = ("JPEG", "PNG")
# What Pillow raises for files that are damaged, besides OSError and ValueError.
_DAMAGE: Final = (
    *(OSError, SyntaxError, TypeError, IndexError, KeyError, EOFError, OverflowError, MemoryError, struct.error),
    *(zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def decode_pixels(encoded: bytes, mode: str | None = None) -> np.ndarray:
    """Decode a JPEG or PNG file with Pillow.

    Args:
        encoded: the file.
        mode: of Pillow's, such as "RGB", to which the image is converted; the file's own if None.

    Raises:
        ValueError: the file is neither, damaged, or has more than 67 million pixels.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            check_pixels(*image.size)
            return np.asarray(image.convert(mode) if mode else image)
    except UnidentifiedImageError as error:  # its message is an address in memory
        raise ValueError("not a complete JPEG or PNG") from error
    except _DAMAGE as error:
        raise ValueError(f"not a complete JPEG or PNG ({str(error)[:200] or type(error).__name__})") from error


def check_pixels(width: int, height: int) -> None:
    """Check the size that an image file states.

    Raises:
        ValueError: it has no pixels, or more than 67 million.
    """
    if not 0 < width * height <= MOST_PIXELS or min(width, height) <= 0:
        raise ValueError(f"an image of {width}x{height} pixels, of which {MOST_PIXELS} are the most")


def size_of(file: Path) -> tuple[int, int]:
    """Return width and height of a JPEG or PNG file, reading its header only.

    Raises:
        LogError: it is neither, damaged, or has more than 67 million pixels.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            check_pixels(*image.size)
            return image.size
    except (ValueError, *_DAMAGE) as error:
        raise LogError(file, "image", f"cannot be read ({str(error)[:200] or type(error).__name__})") from error
