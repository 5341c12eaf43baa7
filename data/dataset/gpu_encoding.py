"""JPEG encoding on the GPU with NVIDIA's nvImageCodec and nvJPEG, where installed.

Its API is that of release 0.9 (the extra `nvjpeg`). The files look like those of `encode_image` but differ in bytes: a
job records the packages that encoded them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.rasterizer import View
from swerve.scenes import SwerveError

_PACKAGES = ("nvidia-nvimgcodec-cu12", "nvidia-nvjpeg-cu12")
_REMEDY = f"Use --image-format png, or uninstall {_PACKAGES[0]} to encode on the CPU"


@dataclass(frozen=True)
class EncodedView(View):
    """View whose colours are already encoded.

    Attributes:
        jpeg: JPEG file.
    """

    jpeg: bytes = b""


def jpeg_packages(options: AugmentOptions) -> tuple[str, ...]:
    """Return the packages that encode the JPEGs of a set on the GPU; none if they are encoded on the CPU.

    Args:
        options: options with a resolved back end: not "auto".
    """
    wanted = options.backend == "cuda" and options.image_format == "jpeg"
    return _PACKAGES if wanted and all(any(distributions(name=name)) for name in _PACKAGES) else ()


class GpuJpegs:
    """JPEG encoder on the current GPU. Not thread-safe.

    Args:
        quality: JPEG quality, 1 to 100.

    Raises:
        SwerveError: no usable nvJPEG is found.
    """

    def __init__(self, quality: int) -> None:
        from nvidia import nvimgcodec as codec

        # Neither the CPU nor GPU-specific hardware encoders: failures are reported, and bytes do not depend on them.
        kinds = (codec.BackendKind.GPU_ONLY, codec.BackendKind.HYBRID_CPU_GPU)
        try:
            self._encoder = codec.Encoder(backends=[codec.Backend(kind) for kind in kinds])
        except RuntimeError as error:
            raise SwerveError(f"nvImageCodec cannot encode JPEGs on this GPU: {error}. {_REMEDY}") from error
        self._params = codec.EncodeParams(
            quality_type=codec.QualityType.QUALITY,
            quality_value=quality,
            chroma_subsampling=codec.ChromaSubsampling.CSS_444,
        )

    def encode(self, images: Sequence[object]) -> list[bytes]:
        """Encode finished device images as JPEG files.

        Args:
            images: (h, w, 3) uint8 each, with `__cuda_array_interface__`.

        Raises:
            SwerveError: nvImageCodec failed; it prints the reason.
        """
        files = self._encoder.encode(list(images), "jpeg", params=self._params)
        if any(file is None for file in files):
            raise SwerveError(f"nvImageCodec could not encode a JPEG on this GPU. {_REMEDY}")
        return [bytes(file) for file in files]
