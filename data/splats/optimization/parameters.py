"""What a fit changes: tensors that learn by Adam (Kingma and Ba 2015), each at its own rate."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from swerve.data.splats.optimization.fit_options import Rate, Rates
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.rasterizer.splats.gaussians import Gaussians

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

# The moments of Adam and its count of steps, by torch's names for them.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Parameters:
    """Tensors that learn.

    Args:
        values: by name.
        rates: by name.
        moments: of Adam, by name, to go on with.
    """

    def __init__(
        self,
        values: Mapping[str, torch.Tensor],
        rates: Mapping[str, Rate],
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
        """The tensors by name, without gradients; not copied."""
        return {name: value.detach() for name, value in self._values.items()}

    def lent(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.optim.Adam]]:
        """The tensors and their optimizers by name, themselves, for what puts others in their place in both."""
        return self._values, self._adams

    def step(self, progress: float) -> None:
        """Follows the gradients once, when so much of the fit is done (0 to 1), and forgets them.

        What has no gradient stays as it is.
        """
        for name, adam in self._adams.items():
            if self._values[name].grad is None or not self._values[name].numel():
                continue
            adam.param_groups[0]["lr"] = self._rates[name].at(progress)
            adam.step()
            adam.zero_grad()

    def replaced(self, kept: Int64[np.ndarray, "k"], added: Mapping[str, torch.Tensor]) -> "Parameters":
        """The rows `kept`, which go on learning as they did, then the added ones, which start anew."""
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
        """Everything that decides how they go on, copied."""
        arrays = {name: value.cpu().numpy().copy() for name, value in self.values().items()}
        for name, value in self._values.items():
            for key, moment in self._adams[name].state.get(value, {}).items():
                arrays[f"{name}.{key}"] = moment.cpu().numpy().copy()
        return arrays

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> "Parameters":
        """What `to_arrays` gave, at these rates."""
        device = next(iter(self._values.values())).device
        tensors = {name: torch.from_numpy(array.copy()).to(device) for name, array in arrays.items()}
        moments = {
            name: {key: tensors[f"{name}.{key}"] for key in _MOMENTS}
            for name in self._values
            if f"{name}.{_MOMENTS[0]}" in tensors
        }
        return Parameters({name: tensors[name] for name in self._values}, self._rates, moments)


def learning_gaussians(gaussians: Gaussians, extent: float, rates: Rates, device: str) -> Parameters:
    """Gaussians that start to learn; they stay as they are.

    Harmonics are kept in two parts, since those above degree 0 learn more slowly.

    Args:
        gaussians: in their own frame.
        extent: metres, the unit of the rate of the means.
        rates: of learning.
        device: torch's.
    """
    arrays = {name: getattr(gaussians, name) for name in ("means", "quaternions", "log_scales", "logit_opacities")}
    arrays |= {"constants": gaussians.harmonics[:, :1], "others": gaussians.harmonics[:, 1:]}
    values = {name: torch.from_numpy(array.copy()).to(device) for name, array in arrays.items()}
    own = {name: getattr(rates, name) for name in values}
    own["means"] = replace(rates.means, first=rates.means.first * extent, last=rates.means.last * extent)
    return Parameters(values, own)


def tensors_of(parameters: Parameters) -> Tensors:
    """What `differentiable_splats` takes of Gaussians that learn."""
    harmonics = torch.cat([parameters["constants"], parameters["others"]], 1)
    means, quaternions = parameters["means"], parameters["quaternions"]
    return means, quaternions, parameters["log_scales"], parameters["logit_opacities"], harmonics


def gaussians_of(parameters: Parameters) -> Gaussians:
    """Gaussians as they are now, copied."""
    return Gaussians(*(tensor.detach().cpu().numpy().copy() for tensor in tensors_of(parameters)))
