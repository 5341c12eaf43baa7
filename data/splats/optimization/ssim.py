"""Image similarity metrics. Imported on demand: requires torch."""

from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.data.splats.optimization.ssim_kernels import C1, C2, likeness_and_slopes
from swerve.rasterizer.splats.differentiable_splats import torch

_SIGMA, _REACH = 1.5, 5


def psnr(image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]) -> float:
    """Compute the peak signal-to-noise ratio of colours of 0 to 1, dB."""
    return float(-10 * torch.log10((image.detach() - truth).square().mean()))


def ssim(image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]) -> Float[torch.Tensor, ""]:
    """Compute the structural similarity (Wang et al. 2004), the mean over channels and pixels.

    Windows are Gaussian, sigma 1.5, of 11x11 pixels, and lie wholly in the image, which must be no smaller. Gradients
    are by `image` only. The CPU uses a numba kernel, some fifteen times faster than torch's convolutions, which are
    used on a GPU.
    """
    if image.device.type == "cpu":
        likeness: Float[torch.Tensor, ""] = _Ssim.apply(image, truth)  # type: ignore[no-untyped-call]  # no types
        return likeness
    return ssim_by_convolution(image, truth)


def ssim_by_convolution(
    image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]
) -> Float[torch.Tensor, ""]:
    """Compute `ssim` with torch convolutions."""
    return ssim_map(image, truth).mean()


def ssim_map(
    image: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"]
) -> Float[torch.Tensor, "h2 w2 3"]:
    """Compute the SSIM map, by window centre; the first is 5 pixels from the edges."""
    a, b = image.permute(2, 0, 1)[:, None], truth.permute(2, 0, 1)[:, None]
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (_smoothed(x) for x in (a, b, a * a, b * b, a * b))
    variance_a, variance_b = mean_aa - mean_a * mean_a, mean_bb - mean_b * mean_b
    covariance = mean_ab - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    values = likeness / ((mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2))
    return values[:, 0].permute(1, 2, 0)


class _Ssim(torch.autograd.Function):
    """Kernel as a torch autograd function."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        """Compute the mean; its gradient is computed at once, since it shares all the work."""
        height, width, channels = image.shape
        a, b = (np.ascontiguousarray(x.detach().numpy()).reshape(height, -1) for x in (image, truth))
        out = np.empty((height - 2 * _REACH, (width - 2 * _REACH) * channels), a.dtype)
        slopes = np.zeros_like(a)
        likeness_and_slopes(a, b.astype(a.dtype), _window(image.dtype).numpy(), channels, out, slopes)
        ctx.save_for_backward(torch.from_numpy(slopes.reshape(image.shape) / out.dtype.type(out.size)))
        return torch.tensor(out.mean(dtype=np.float64), dtype=image.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        """Return the gradient by the image."""
        return ctx.saved_tensors[0] * slopes[0], None


def _smoothed(images: Float[torch.Tensor, "c 1 h w"]) -> Float[torch.Tensor, "c 1 h2 w2"]:
    window = _window(images.dtype).to(images.device).view(1, 1, 1, -1)
    return torch.nn.functional.conv2d(torch.nn.functional.conv2d(images, window), window.mT)


def _window(dtype: torch.dtype) -> Float[torch.Tensor, "n"]:
    offsets = torch.arange(-_REACH, _REACH + 1, dtype=dtype)
    window = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return window / window.sum()
