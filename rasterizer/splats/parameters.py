"""What a fit changes: Gaussians as torch tensors, each with its own rate of learning."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from swerve.rasterizer.splats.differentiable import torch
from swerve.rasterizer.splats.gaussians import Gaussians

# The rates of 3D Gaussian Splatting; those of the means are in units of the scene's extent, at the first and the last
# step. Harmonics are kept in two parts, since those above degree 0 learn twenty times slower.
_RATES = {"quaternions": 1e-3, "log_scales": 5e-3, "logit_opacities": 5e-2, "constants": 2.5e-3, "others": 1.25e-4}
_FIRST_MEAN_RATE, _LAST_MEAN_RATE = 1.6e-4, 1.6e-6

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Parameters:
    """Gaussians that learn.

    Args:
        values: tensors by name: means and those of `_RATES`.
        extent: of the scene, metres.
        moments: Adam's, by name, to go on with.
    """

    def __init__(
        self, values: Mapping[str, torch.Tensor], extent: float, moments: Mapping[str, dict[str, Any]] | None = None
    ) -> None:
        self._extent = extent
        self._values = {name: value.detach().contiguous().requires_grad_() for name, value in values.items()}
        groups = [{"params": [value], "lr": _RATES.get(name, 0.0)} for name, value in self._values.items()]
        self._adam = torch.optim.Adam(groups, eps=1e-15)
        for name, state in (moments or {}).items():
            self._adam.state[self._values[name]] = state
        self.slow_down(0.0)

    @classmethod
    def of(cls, gaussians: Gaussians, extent: float) -> "Parameters":
        """Gaussians that start to learn; they stay as they are."""
        values = {name: getattr(gaussians, name) for name in ("means", "quaternions", "log_scales", "logit_opacities")}
        values |= {"constants": gaussians.harmonics[:, :1], "others": gaussians.harmonics[:, 1:]}
        return cls({name: torch.from_numpy(array.copy()) for name, array in values.items()}, extent)

    def __len__(self) -> int:
        return len(self._values["means"])

    def values(self) -> dict[str, torch.Tensor]:
        """The tensors by name, without gradients."""
        return {name: value.detach() for name, value in self._values.items()}

    def tensors(self) -> Tensors:
        """What `differentiable_splats` takes."""
        values = self._values
        harmonics = torch.cat([values["constants"], values["others"]], 1)
        return values["means"], values["quaternions"], values["log_scales"], values["logit_opacities"], harmonics

    def gaussians(self) -> Gaussians:
        """As they are now."""
        return Gaussians(*(tensor.detach().numpy().copy() for tensor in self.tensors()))

    def step(self) -> None:
        """Follows the gradients once, and forgets them."""
        self._adam.step()
        self._adam.zero_grad()

    def slow_down(self, progress: float) -> None:
        """Sets the rate of the means for how much of the fit is done, 0 to 1."""
        rate = _FIRST_MEAN_RATE * (_LAST_MEAN_RATE / _FIRST_MEAN_RATE) ** progress
        self._adam.param_groups[list(self._values).index("means")]["lr"] = rate * self._extent

    def replaced(self, kept: Int64[np.ndarray, "k"], added: Mapping[str, torch.Tensor]) -> "Parameters":
        """The rows `kept`, which go on learning as they did, then the added ones, which start anew."""
        rows = torch.from_numpy(kept)
        values = {name: torch.cat([value.detach()[rows], added[name]]) for name, value in self._values.items()}
        moments = {}
        for name, value in self._values.items():
            if state := self._adam.state.get(value):
                fresh = torch.zeros_like(added[name])
                moments[name] = {
                    key: torch.cat([moment[rows], fresh]) if moment.shape == value.shape else moment
                    for key, moment in state.items()
                }
        return Parameters(values, self._extent, moments)
