"""Image similarity: PSNR, SSIM, and PSNR after the best affine change of colours."""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, UInt8

from swerve.data.splats.masks import valid_windows
from swerve.scenes import SwerveError

_SIGMA, _REACH = 1.5, 5
# (0.01 L)^2 and (0.03 L)^2 for colours of 0 to L = 1.
_C1, _C2 = 1e-4, 9e-4
# Upper limit of PSNR: equal images would have an infinite one, which no mean can include.
_MOST = 100.0


@dataclass(frozen=True)
class ImageMetrics:
    """Similarity of an image to the true one.

    Attributes:
        psnr: peak signal-to-noise ratio, dB, see `psnr`.
        psnr_aligned: the same after `align_colors`, which removes differences of exposure and white balance.
        ssim: structural similarity, see `ssim`.
    """

    psnr: float
    psnr_aligned: float
    ssim: float


def compare_images(
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w 3"],
    ignored: Bool[np.ndarray, "h w"] | None = None,
) -> ImageMetrics:
    """Compare two images.

    Args:
        image: the rendered image.
        truth: the true image.
        ignored: masked pixels; windows of SSIM that reach into them do not count either.

    Raises:
        SwerveError: they are smaller than a window of SSIM.
    """
    if min(truth.shape[:2]) <= 2 * _REACH:
        size = f"{truth.shape[1]}x{truth.shape[0]}"
        raise SwerveError(f"images of {size} are too small to compare: {2 * _REACH + 1} pixels each way are needed")
    a, b = image / 255.0, truth / 255.0
    if ignored is None:
        return ImageMetrics(psnr(a, b), psnr(align_colors(a, b), b), ssim(a, b))
    c, d = (x[~ignored][None] for x in (a, b))
    return ImageMetrics(psnr(c, d), psnr(align_colors(c, d), d), float(_ssim_map(a, b)[valid_windows(ignored)].mean()))


def mask_images(
    image: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"], ignored: Bool[np.ndarray, "h w"]
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]:
    """Set masked pixels of two images to black."""
    counts = ~ignored[..., None]
    return image * counts, truth * counts


def psnr(image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> float:
    """Compute -10 log10 of the mean squared difference of colours in 0..1 over pixels and channels, at most 100 dB."""
    return float(-10 * np.log10(max(((image - truth) ** 2).mean(), 10 ** (-_MOST / 10))))


def ssim(image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> float:
    """Compute structural similarity (Wang et al., "Image Quality Assessment", 2004) of colours in 0..1.

    Windows of 11x11 pixels are Gaussian, sigma 1.5, with variances over n; those wholly in the image count. The mean is
    over pixels and channels. Equal to scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    and data_range=1, and to `swerve.data.splats.optimization.ssim`, which needs torch.
    """
    return float(_ssim_map(image, truth).mean())


def _ssim_map(image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h2 w2 3"]:
    """Compute SSIM of each window, at its centre."""
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (
        _smoothed(x) for x in (image, truth, image * image, truth * truth, image * truth)
    )
    variances = mean_aa - mean_a**2 + mean_bb - mean_b**2
    likeness = (2 * mean_a * mean_b + _C1) * (2 * (mean_ab - mean_a * mean_b) + _C2)
    ssim: Float[np.ndarray, "h2 w2 3"] = likeness / ((mean_a**2 + mean_b**2 + _C1) * (variances + _C2))
    return ssim


def align_colors(image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Apply the affine change of colours that brings the image nearest to the truth, clipped to 0..1."""
    colors = np.concatenate([image.reshape(-1, 3), np.ones((image.size // 3, 1))], axis=1)
    change = np.linalg.lstsq(colors, truth.reshape(-1, 3), rcond=None)[0]
    aligned: Float[np.ndarray, "h w 3"] = np.clip(colors @ change, 0, 1).reshape(image.shape)
    return aligned


def _smoothed(image: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h2 w2 3"]:
    # A radius of 3.5 sigma is 5 pixels, rounded.
    smooth = scipy.ndimage.gaussian_filter(image, _SIGMA, truncate=3.5, axes=(0, 1))
    whole: Float[np.ndarray, "h2 w2 3"] = smooth[_REACH:-_REACH, _REACH:-_REACH]
    return whole
