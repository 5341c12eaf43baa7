"""Adding Gaussians where the image asks for more, taking away those that show nothing (Kerbl et al. 2023, 5.2)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from swerve.rasterizer.splats.differentiable import torch
from swerve.rasterizer.splats.fit_options import Growth
from swerve.rasterizer.splats.parameters import Parameters
from swerve.scenes import Camera
from swerve.scenes.transforms import rotation_from_quaternion

_SHRINK = 1.6


@dataclass(eq=False)
class Watch:
    """How hard the images pulled at each Gaussian since the last growth.

    Attributes:
        slopes: summed lengths of the derivatives.
        times: how often it was seen.
    """

    slopes: Float32[np.ndarray, "n"]
    times: Float32[np.ndarray, "n"]

    @classmethod
    def over(cls, count: int) -> "Watch":
        """Nothing seen yet."""
        return cls(np.zeros(count, np.float32), np.zeros(count, np.float32))

    def note(self, centers: torch.Tensor, camera: Camera) -> None:
        """Adds one image's derivatives by the pixels of the centres, which are the gradient of `centers`."""
        assert centers.grad is not None
        lengths = np.linalg.norm(centers.grad.numpy() * [camera.width / 2, camera.height / 2], axis=1)
        self.slopes += lengths
        self.times += lengths > 0


def grown(
    parameters: Parameters, watch: Watch, growth: Growth, extent: float, generator: np.random.Generator
) -> Parameters:
    """Parameters with Gaussians cloned, split and taken away."""
    values = {name: value.numpy() for name, value in parameters.values().items()}
    sizes = np.exp(values["log_scales"]).max(axis=1)
    useless = values["logit_opacities"] < np.log(growth.faint / (1 - growth.faint))
    wanted = _wanted(watch, growth, useless)
    split = wanted & (sizes > growth.large * extent)
    clones = {name: value[wanted & ~split] for name, value in values.items()}
    halves = _halves({name: value[split] for name, value in values.items()}, generator)
    added = {name: torch.from_numpy(np.concatenate([clones[name], halves[name]])) for name in values}
    return parameters.replaced(np.flatnonzero(~(useless | split)), added)


def _wanted(watch: Watch, growth: Growth, useless: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Where one more Gaussian is wanted, as far as there is room."""
    slopes = np.where(useless, 0.0, watch.slopes / np.maximum(watch.times, 1))
    room = max(growth.most - int((~useless).sum()), 0)
    steepest = np.argsort(-slopes, kind="stable")[:room]
    wanted = np.zeros(len(slopes), bool)
    wanted[steepest] = slopes[steepest] > growth.slope
    return wanted


def _halves(values: dict[str, np.ndarray], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Two smaller Gaussians for each, drawn from its own density."""
    halves = {name: np.concatenate([value, value]) for name, value in values.items()}
    if not len(values["means"]):
        return halves
    offsets = generator.normal(size=halves["means"].shape) * np.exp(halves["log_scales"])
    turned = (rotation_from_quaternion(halves["quaternions"]) @ offsets[..., None])[..., 0]
    halves["means"] = (halves["means"] + turned).astype(np.float32)
    halves["log_scales"] = halves["log_scales"] - np.float32(np.log(_SHRINK))
    return halves
