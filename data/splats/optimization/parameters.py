"""Trainable tensors with Adam (Kingma and Ba 2015), one learning rate each."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from swerve.data.splats.optimization.fit_options import LearningRate, LearningRates
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.rasterizer.splats.gaussians import Gaussians

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

# Adam's moments and step count, by torch's names.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Parameters:
    """Trainable tensors.

    Args:
        values: tensors by name.
        rates: learning rates by name.
        moments: moments of Adam by name, to resume from.
    """

    def __init__(
        self,
        values: Mapping[str, torch.Tensor],
        rates: Mapping[str, LearningRate],
        moments: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
    ) -> None:
        self._rates = dict(rates)
        self._values = {name: value.detach().contiguous().requires_grad_() for name, value in values.items()}
        self._adams = {
            name: torch.optim.Adam([value], rates[name].first, eps=1e-15, fused=True)
            for name, value in self._values.items()
        }
        for name, state in (moments or {}).items():
            self._adams[name].state[self._values[name]] = dict(state)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._values[name]

    def values(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name, detached; not copied."""
        return {name: value.detach() for name, value in self._values.items()}

    def tensors_and_optimizers(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.optim.Adam]]:
        """Return the tensors and their optimizers by name, for in-place replacement in both."""
        return self._values, self._adams

    def step(self, progress: float) -> None:
        """Apply one optimizer step at a progress of 0 to 1, and clear the gradients.

        Tensors without a gradient stay unchanged.
        """
        for name, adam in self._adams.items():
            if self._values[name].grad is None or not self._values[name].numel():
                continue
            adam.param_groups[0]["lr"] = self._rates[name].at(progress)
            adam.step()
            adam.zero_grad()

    def replace_rows(self, kept: Int64[np.ndarray, "k"], added: Mapping[str, torch.Tensor]) -> "Parameters":
        """Return the rows `kept` with their optimizer state, then the added ones with a new state."""
        rows = torch.from_numpy(kept).to(next(iter(self._values.values())).device)
        values = {name: torch.cat([value.detach()[rows], added[name]]) for name, value in self._values.items()}
        moments = {}
        for name, value in self._values.items():
            if state := self._adams[name].state.get(value):
                fresh = torch.zeros_like(added[name])
                moments[name] = {
                    key: torch.cat([moment[rows], fresh]) if key != "step" else moment for key, moment in state.items()
                }
        return Parameters(values, self._rates, moments)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all tensors and optimizer states, copied."""
        arrays = {name: value.cpu().numpy().copy() for name, value in self.values().items()}
        for name, value in self._values.items():
            for key, moment in self._adams[name].state.get(value, {}).items():
                arrays[f"{name}.{key}"] = moment.cpu().numpy().copy()
        return arrays

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> "Parameters":
        """Restore the result of `to_arrays`, with these rates."""
        device = next(iter(self._values.values())).device
        tensors = {name: torch.from_numpy(array.copy()).to(device) for name, array in arrays.items()}
        moments = {
            name: {key: tensors[f"{name}.{key}"] for key in _MOMENTS}
            for name in self._values
            if f"{name}.{_MOMENTS[0]}" in tensors
        }
        return Parameters({name: tensors[name] for name in self._values}, self._rates, moments)


def trainable_gaussians(gaussians: Gaussians, extent: float, rates: LearningRates, device: str) -> Parameters:
    """Build trainable Gaussians; the given ones stay unchanged.

    Harmonics are stored in two parts, since those above degree 0 have a lower learning rate.

    Args:
        gaussians: Gaussians in their own frame.
        extent: metres, the unit of the rate of the means.
        rates: learning rates.
        device: torch device.
    """
    arrays = {name: getattr(gaussians, name) for name in ("means", "quaternions", "log_scales", "opacity_logits")}
    arrays |= {"sh0": gaussians.sh_coefficients[:, :1], "shN": gaussians.sh_coefficients[:, 1:]}
    values = {name: torch.from_numpy(array.copy()).to(device) for name, array in arrays.items()}
    own = {name: getattr(rates, name) for name in values}
    own["means"] = replace(rates.means, first=rates.means.first * extent, last=rates.means.last * extent)
    return Parameters(values, own)


def tensors_of(parameters: Parameters) -> Tensors:
    """Return the tensors for `differentiable_splats`."""
    harmonics = torch.cat([parameters["sh0"], parameters["shN"]], 1)
    means, quaternions = parameters["means"], parameters["quaternions"]
    return means, quaternions, parameters["log_scales"], parameters["opacity_logits"], harmonics


def gaussians_of(parameters: Parameters) -> Gaussians:
    """Return the current Gaussians, copied."""
    return Gaussians(*(tensor.detach().cpu().numpy().copy() for tensor in tensors_of(parameters)))
