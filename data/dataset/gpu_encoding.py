"""JPEGs of images that lie on the GPU, made there by NVIDIA's nvImageCodec with nvJPEG, where it is installed.

Its API is that of release 0.9 (the extra `nvjpeg`). The files look as those of `encode_image` do, but their bytes are
others: a job notes the packages that made them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.rasterizer import View
from swerve.scenes import SwerveError

_PACKAGES = ("nvidia-nvimgcodec-cu12", "nvidia-nvjpeg-cu12")
_REMEDY = f"Use --image-format png, or uninstall {_PACKAGES[0]} to encode on the CPU"


@dataclass(frozen=True)
class EncodedView(View):
    """A view whose colours are a file already.

    Attributes:
        jpeg: the file.
    """

    jpeg: bytes = b""


def jpeg_packages(options: AugmentOptions) -> tuple[str, ...]:
    """The packages that make the JPEGs of a set on the GPU; none if they are made on the CPU.

    Args:
        options: whose back end is chosen: not "auto".
    """
    wanted = options.backend == "cuda" and options.image_format == "jpeg"
    return _PACKAGES if wanted and all(any(distributions(name=name)) for name in _PACKAGES) else ()


class GpuJpegs:
    """Encodes images on the current GPU; for one thread.

    Args:
        quality: 1 to 100.

    Raises:
        SwerveError: the library finds no nvJPEG that it can use.
    """

    def __init__(self, quality: int) -> None:
        from nvidia import nvimgcodec as codec

        # Not on the CPU, nor in circuits that only some GPUs have: a failure is told, and bytes do not depend on it.
        kinds = (codec.BackendKind.GPU_ONLY, codec.BackendKind.HYBRID_CPU_GPU)
        try:
            self._encoder = codec.Encoder(backends=[codec.Backend(kind) for kind in kinds])
        except RuntimeError as error:
            raise SwerveError(f"nvImageCodec makes no JPEGs on this GPU: {error}. {_REMEDY}") from error
        self._params = codec.EncodeParams(
            quality_type=codec.QualityType.QUALITY,
            quality_value=quality,
            chroma_subsampling=codec.ChromaSubsampling.CSS_444,
        )

    def encode(self, images: Sequence[Any]) -> list[bytes]:
        """Files of images on the device that are finished.

        Args:
            images: (h, w, 3) uint8 each, with `__cuda_array_interface__`.

        Raises:
            SwerveError: nvImageCodec failed; it has printed why.
        """
        files = self._encoder.encode(list(images), "jpeg", params=self._params)
        if any(file is None for file in files):
            raise SwerveError(f"nvImageCodec could not encode a JPEG on this GPU. {_REMEDY}")
        return [bytes(file) for file in files]
