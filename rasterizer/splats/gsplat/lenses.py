"""Differentiable lens distortion: OpenCV's formulas as in `scenes.lens_kernels`, within the lens's limit."""

from typing import NamedTuple

import torch
from jaxtyping import Float64

from swerve.scenes import Lens, LensModel

# Square of the radius below which the fisheye formula uses this radius: there, angle / radius is not representable.
_SMALLEST = 1e-12


class DistortionJacobian(NamedTuple):
    """Derivative of the distorted coordinates by the ideal ones; d(x)/d(y) and d(y)/d(x) are equal in every model."""

    xx: Float64[torch.Tensor, "n"]
    xy: Float64[torch.Tensor, "n"]
    yy: Float64[torch.Tensor, "n"]


def distorted(
    lens: Lens, x: Float64[torch.Tensor, "n"], y: Float64[torch.Tensor, "n"]
) -> tuple[Float64[torch.Tensor, "n"], Float64[torch.Tensor, "n"]]:
    """Distort ideal coordinates (x / z, y / z)."""
    r2 = x * x + y * y
    scale, _ = _radial(lens, r2)
    p1, p2 = _tangential(lens)
    return (
        x * scale + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * scale + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def slope_at(lens: Lens, x: Float64[torch.Tensor, "n"], y: Float64[torch.Tensor, "n"]) -> DistortionJacobian:
    """Return the derivative of `distorted`."""
    scale, grows = _radial(lens, x * x + y * y)
    p1, p2 = _tangential(lens)
    return DistortionJacobian(
        scale + 2 * x * x * grows + 2 * p1 * y + 6 * p2 * x,
        2 * x * y * grows + 2 * p1 * x + 2 * p2 * y,
        scale + 2 * y * y * grows + 6 * p1 * y + 2 * p2 * x,
    )


def _tangential(lens: Lens) -> tuple[float, float]:
    return (float(lens.padded[2]), float(lens.padded[3])) if lens.model == LensModel.BROWN else (0.0, 0.0)


def _radial(
    lens: Lens, r2: Float64[torch.Tensor, "n"]
) -> tuple[Float64[torch.Tensor, "n"], Float64[torch.Tensor, "n"]]:
    """Compute the ratio of distorted to undistorted radius, and its derivative by the square of the latter."""
    c = lens.padded.tolist()
    if lens.model == LensModel.PINHOLE:
        return torch.ones_like(r2), torch.zeros_like(r2)
    if lens.model == LensModel.BROWN:
        over = 1 + r2 * (c[0] + r2 * (c[1] + r2 * c[4]))
        under = 1 + r2 * (c[5] + r2 * (c[6] + r2 * c[7]))
        over_grows = c[0] + r2 * (2 * c[1] + r2 * 3 * c[4])
        under_grows = c[5] + r2 * (2 * c[6] + r2 * 3 * c[7])
        return over / under, (over_grows - over / under * under_grows) / under
    r2 = r2.clamp_min(_SMALLEST)
    r = r2.sqrt()
    angle = torch.atan(r)
    a2 = angle * angle
    bent = angle * (1 + a2 * (c[0] + a2 * (c[1] + a2 * (c[2] + a2 * c[3]))))
    by_angle = 1 + a2 * (3 * c[0] + a2 * (5 * c[1] + a2 * (7 * c[2] + a2 * 9 * c[3])))
    return bent / r, (by_angle / (1 + r2) - bent / r) / (2 * r2)
