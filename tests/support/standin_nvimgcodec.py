"""Fake of nvidia.nvimgcodec 0.9 for machines without a GPU: its names, arguments and results.

Like the library, it returns None for what it cannot encode, and streams that `bytes` copies; by default its chroma is
subsampled. Images are those of `OnDevice`. The encoder is libjpeg-turbo.
"""

from enum import Enum

import numpy as np
import simplejpeg


class BackendKind(Enum):
    CPU_ONLY = 1
    GPU_ONLY = 2
    HYBRID_CPU_GPU = 3
    HW_GPU_ONLY = 4


class QualityType(Enum):
    DEFAULT = 0
    QUALITY = 2


class ChromaSubsampling(Enum):
    CSS_444 = "444"
    CSS_420 = "420"


class Backend:
    def __init__(self, backend_kind):
        self.backend_kind = backend_kind


class EncodeParams:
    def __init__(self, *, quality_type=QualityType.DEFAULT, quality_value=0.0, chroma_subsampling=None):
        self.quality = int(quality_value) if quality_type is QualityType.QUALITY else 75
        self.chroma = (chroma_subsampling or ChromaSubsampling.CSS_420).value


class CodeStream:
    def __init__(self, content):
        self._content = content

    def __bytes__(self):
        return self._content


class Encoder:
    def __init__(self, *, backends):
        kinds = {backend.backend_kind for backend in backends}
        if BackendKind.HYBRID_CPU_GPU not in kinds:  # nvJPEG's encoder is of this kind
            raise RuntimeError("Could not create encoder")

    def encode(self, image_s, codec, *, params):
        assert codec == "jpeg"
        assert isinstance(image_s, list)
        return [self._stream(image, params) for image in image_s]

    def _stream(self, image, params):
        if not isinstance(image, OnDevice) or image.pixels.shape[2:] != (3,):
            return None
        pixels = np.ascontiguousarray(image.pixels)
        return CodeStream(simplejpeg.encode_jpeg(pixels, params.quality, "RGB", params.chroma, fastdct=False))


class OnDevice:
    """Image readable only by this encoder."""

    def __init__(self, pixels):
        self.pixels = pixels
