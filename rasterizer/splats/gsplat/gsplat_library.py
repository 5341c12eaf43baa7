"""Lazy loading and building of gsplat."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from swerve.scenes import Camera, SwerveError

_HOW_TO_BUILD = (
    "gsplat compiles its kernels at its first use, which takes some minutes. It needs ninja (pip install ninja), a C++ "
    "compiler, and nvcc of the CUDA version that torch was built with. Set CUDA_HOME to the toolkit's own folder (as "
    "/usr/local/cuda-13.0: a guess from a link may be wrong), TORCH_CUDA_ARCH_LIST to the GPU's capability (as 9.0). "
    "If a header is not found, as cusparse.h, put the folder nvidia/cuXX/include of Python's site-packages in CPATH. "
    "Delete the folder torch_extensions in ~/.cache after an aborted build. VERBOSE=1 shows the compiler output"
)


@dataclass(frozen=True, eq=False)
class GsplatLibrary:
    """Handle of gsplat and its device.

    Attributes:
        api: the module `gsplat`, of which `fully_fused_projection`, `fully_fused_projection_with_ut`,
            `spherical_harmonics`, `isect_tiles`, `isect_offset_encode`, `rasterize_to_pixels`,
            `rasterize_to_pixels_eval3d`, `rasterize_to_indices_in_range`, `RollingShutterType` and `MCMCStrategy` are
            used.
        device: device of the tensors.
    """

    api: Any
    device: torch.device

    def upload(self, array: np.ndarray) -> torch.Tensor:
        """Copy an array to the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def intrinsics(self, camera: Camera) -> Float32[torch.Tensor, "1 3 3"]:
        """Return the pinhole matrix of a camera; gsplat's pixel centres lie at +0.5 as well."""
        return torch.tensor(camera.matrix[None], dtype=torch.float32, device=self.device)

    def check_device(self, tensor: torch.Tensor) -> None:
        """Check that a tensor is on the library's device.

        Raises:
            SwerveError: it is on another device.
        """
        if tensor.device.type != self.device.type:
            raise SwerveError(
                f"gsplat needs tensors on {self.device.type}, got {tensor.device.type}: "
                f'move them with .to("{self.device.type}"), or render with backend="numba"'
            )


@lru_cache(maxsize=1)
def load_library() -> GsplatLibrary:
    """Return the library on the current CUDA device; the same in every call. The first call ever builds its kernels.

    Raises:
        SwerveError: they cannot be built; `backends.resolved_for_splats` reports missing packages earlier.
    """
    import gsplat

    # Without the toolkit gsplat's kernel module imports as None; rendering would then fail with an AttributeError.
    # The exception of a failed build depends on torch's version: compiler exit code, missing file, missing module.
    try:
        from gsplat.cuda._backend import _C as kernels
    except (RuntimeError, OSError, ImportError) as error:
        raise SwerveError(f"gsplat's kernels cannot be built: {_last_line(error)}. {_HOW_TO_BUILD}") from error
    if kernels is None:
        raise SwerveError(f"gsplat's kernels cannot be built: no CUDA toolkit (nvcc) was found. {_HOW_TO_BUILD}")
    return GsplatLibrary(gsplat, torch.device("cuda", torch.cuda.current_device()))


def _last_line(error: Exception) -> str:
    """Return the last line of a compiler's output, which states the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
