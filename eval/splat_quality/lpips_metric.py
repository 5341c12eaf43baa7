"""LPIPS by its authors' library, an optional extra."""

import pickle
import warnings
from typing import Any

import numpy as np
from jaxtyping import UInt8

from swerve.scenes import MissingExtraError, SwerveError


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1, with AlexNet.

    The library downloads AlexNet's weights (233 MB) if they are missing.

    Raises:
        MissingExtraError: the library is not installed.
        SwerveError: torchvision, which the library needs, does not match torch, or the weights cannot be downloaded.
    """

    def __init__(self) -> None:
        try:
            import lpips
            import torch
        except ImportError as error:
            raise MissingExtraError(
                error.name or "lpips", "pip install 'PATH[lpips]', with PATH Swerve's folder"
            ) from error
        except RuntimeError as error:
            raise SwerveError(
                f"LPIPS: torchvision does not fit torch ({error}). Install the torchvision of the same release and "
                "build (CPU or CUDA) as torch"
            ) from error
        self._network: Any = _network(lpips, torch)
        self._torch: Any = torch

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
        """Compute the distance of two images, 0 for equal ones; 0.1 is good, 0.5 poor."""
        with self._torch.no_grad():
            return float(self._network(self._tensor(image), self._tensor(truth)))

    def _tensor(self, image: UInt8[np.ndarray, "h w 3"]) -> Any:  # noqa: ANN401 a tensor; torch is an extra
        """Convert to a tensor (1, 3, h, w) in -1..1."""
        scaled = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - np.float32(1)
        return self._torch.from_numpy(scaled)


def _network(lpips: Any, torch: Any) -> Any:  # noqa: ANN401 modules of extras
    """Create the library's network.

    Raises:
        SwerveError: the weights cannot be downloaded, or are damaged.
    """
    try:
        with warnings.catch_warnings():
            # The library uses a deprecated argument of torchvision.
            warnings.simplefilter("ignore", UserWarning)
            return lpips.LPIPS(net="alex", verbose=False).eval()
    # Without a network, urllib raises an OSError.
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise SwerveError(
            f"LPIPS: the weights of AlexNet cannot be downloaded or read ({error}). Put them into torch's hub "
            f"folder ({torch.hub.get_dir()}/checkpoints), as torchvision names them"
        ) from error
