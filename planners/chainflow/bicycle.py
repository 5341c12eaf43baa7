"""Kinematic bicycle: trajectories from accelerations and yaw rates."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

# Largest curvature of a car's path, 1/m: a turning circle of 10 m in diameter.
TIGHTEST: Final = 0.2


def step(
    state: Float[Tensor, "*b 4"], acceleration: Float[Tensor, "*b"], yaw_rate: Float[Tensor, "*b"], interval: float
) -> Float[Tensor, "*b 4"]:
    """Advance states (x, y, heading, speed) along an arc of constant curvature.

    The speed is never negative; the yaw rate is limited to what the tightest turn allows at the mean speed.

    Args:
        state: rear-axle pose, m and rad, and speed, m/s.
        acceleration: m/s^2.
        yaw_rate: rad/s.
        interval: seconds.
    """
    x, y, heading, speed = state.unbind(dim=-1)
    after = (speed + acceleration * interval).clamp(min=0.0)
    length = (speed + after) / 2 * interval
    most = TIGHTEST * length
    turned = torch.minimum(torch.maximum(yaw_rate * interval, -most), most)
    chord, course = length * torch.sinc(turned / (2 * torch.pi)), heading + turned / 2
    return torch.stack([x + chord * course.cos(), y + chord * course.sin(), heading + turned, after], dim=-1)
