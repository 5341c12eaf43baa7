"""Fit Gaussians to an image by gradient descent: `python examples/splat_gradients.py [FOLDER]`.

It runs on the CPU; with tensors on CUDA and gsplat installed, the same call renders there.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.scenes import Camera


def target(camera: Camera) -> torch.Tensor:
    """(h, w, 3): a red disc over a gradient."""
    v, u = torch.meshgrid(torch.linspace(-1, 1, camera.height), torch.linspace(-1, 1, camera.width), indexing="ij")
    image = torch.stack([0.2 + 0 * u, 0.5 + 0.3 * u, 0.5 + 0.3 * v], dim=-1)
    image[u**2 + v**2 < 0.3] = torch.tensor([0.9, 0.2, 0.1])
    return image


def main(folder: Path, steps: int = 60) -> None:
    """Places Gaussians on a plane 4 m ahead of the camera and fits all of their parameters."""
    torch.manual_seed(0)
    camera = Camera("front", 64, 48, 60.0, 60.0, 32.0, 24.0, np.eye(4))
    camera_from_world = torch.eye(4, dtype=torch.float64)  # OpenCV: x right, y down, z forward
    n = 300
    means = torch.cat([(torch.rand(n, 2) - 0.5) * torch.tensor([4.4, 3.4]), torch.full((n, 1), 4.0)], dim=1)
    quaternions = torch.nn.functional.normalize(torch.randn(n, 4), dim=1)
    parameters = [means, quaternions, torch.full((n, 3), -1.8), torch.zeros(n), 0.1 * torch.randn(n, 1, 3)]
    parameters = [parameter.requires_grad_() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, 0.03)
    wanted = target(camera)
    for step in range(steps):
        color, _, _ = differentiable_splats(*parameters, camera, camera_from_world)
        loss = (color - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (0, steps - 1):
            print(f"step {step + 1}: L1 {loss.item():.4f}")
    folder.mkdir(parents=True, exist_ok=True)
    pair = torch.cat([wanted, color.detach()], dim=1).clamp(0, 1)
    Image.fromarray((pair * 255).byte().numpy()).save(folder / "splats.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples"))
