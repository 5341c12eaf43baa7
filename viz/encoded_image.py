"""JPEG files in memory."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def encode_jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int = 80) -> bytes:
    """Return the bytes of an image as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", quality=quality)
    return buffer.getvalue()
