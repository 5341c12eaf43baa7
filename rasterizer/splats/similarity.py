"""How alike two images are. Imported only where it is asked for: it needs torch."""

from jaxtyping import Float

from swerve.rasterizer.splats.differentiable import torch

_SIGMA, _REACH = 1.5, 5
# (0.01 L)^2 and (0.03 L)^2 for colours of 0 to L = 1.
_C1, _C2 = 1e-4, 9e-4


def psnr(image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]) -> float:
    """Peak signal-to-noise ratio of colours of 0 to 1, dB."""
    return float(-10 * torch.log10((image.detach() - truth).square().mean()))


def ssim(image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]) -> Float[torch.Tensor, ""]:
    """Structural similarity (Wang et al. 2004), the mean over channels and pixels.

    Windows are Gaussian, sigma 1.5, of 11x11 pixels, and lie wholly in the image, which must be no smaller.
    """
    a, b = image.permute(2, 0, 1)[:, None], truth.permute(2, 0, 1)[:, None]
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (_smoothed(x) for x in (a, b, a * a, b * b, a * b))
    variance_a, variance_b = mean_aa - mean_a * mean_a, mean_bb - mean_b * mean_b
    covariance = mean_ab - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return (likeness / ((mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2))).mean()


def _smoothed(images: Float[torch.Tensor, "c 1 h w"]) -> Float[torch.Tensor, "c 1 h2 w2"]:
    offsets = torch.arange(-_REACH, _REACH + 1, dtype=images.dtype)
    window = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    window = (window / window.sum()).view(1, 1, 1, -1)
    return torch.nn.functional.conv2d(torch.nn.functional.conv2d(images, window), window.mT)
