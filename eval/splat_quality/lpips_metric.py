"""LPIPS, by its authors' own library, which is an extra."""

import pickle
import warnings
from typing import Any

import numpy as np
from jaxtyping import UInt8

from swerve.scenes import MissingExtraError, SwerveError


class Perceptual:
    """Learned perceptual image patch similarity (Zhang et al. 2018), version 0.1, of AlexNet, as is customary.

    The library downloads AlexNet's weights (233 MB) when they are not there yet.

    Raises:
        MissingExtraError: the library is not installed.
        SwerveError: torchvision, which the library needs, does not fit torch, or the weights cannot be had.
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
        """The distance of two images, 0 for equal ones; 0.1 is good, 0.5 poor."""
        with self._torch.no_grad():
            return float(self._network(self._tensor(image), self._tensor(truth)))

    def _tensor(self, image: UInt8[np.ndarray, "h w 3"]) -> Any:  # noqa: ANN401 a tensor; torch is an extra
        """(1, 3, h, w), -1 to 1."""
        scaled = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - np.float32(1)
        return self._torch.from_numpy(scaled)


def _network(lpips: Any, torch: Any) -> Any:  # noqa: ANN401 modules of extras
    """The library's network.

    Raises:
        SwerveError: the weights cannot be downloaded, or are damaged.
    """
    try:
        with warnings.catch_warnings():
            # The library asks torchvision for weights in a way that torchvision no longer likes.
            warnings.simplefilter("ignore", UserWarning)
            return lpips.LPIPS(net="alex", verbose=False).eval()
    # What urllib raises without a network is an OSError, too.
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise SwerveError(
            f"LPIPS: the weights of AlexNet cannot be downloaded or read ({error}). Put them into torch's hub "
            f"folder ({torch.hub.get_dir()}/checkpoints), as torchvision names them"
        ) from error
