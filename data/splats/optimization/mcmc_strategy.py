"""Densification by gsplat's MCMCStrategy (Kheradmand et al. 2024, 3DGS as MCMC, arXiv 2404.09591).

Faded Gaussians are relocated to visible ones, some are added until the maximum is reached, and every step adds noise to
Gaussians of low opacity. gsplat's DefaultStrategy, after Kerbl et al. 2023, is implemented in `densification`.
"""

import numpy as np
import torch
from jaxtyping import Int64

from swerve.data.splats.optimization.fit_options import DensificationOptions
from swerve.data.splats.optimization.parameters import Parameters
from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary

# gsplat's names of the tensors; the last two are relocated without being inspected.
_NAMES = {
    "means": "means",
    "quaternions": "quats",
    "log_scales": "scales",
    "opacity_logits": "opacities",
    "sh0": "sh0",
    "shN": "shN",
}
# An additional tensor of row numbers is relocated as well, and gives the source row of each Gaussian.
_ROWS = "rows"


class McmcStrategy:
    """Wrapper of gsplat's MCMCStrategy. Stateless between steps, so checkpoints need nothing of it.

    Args:
        options: schedule, maximum number, and opacity threshold.
        seed: random seed, combined with the step and the group's index.
        using: library handle.
    """

    def __init__(self, options: DensificationOptions, seed: int, using: GsplatLibrary) -> None:
        self._options, self._seed = options, seed
        self._strategy = using.api.MCMCStrategy(
            refine_start_iter=options.start_step,
            refine_stop_iter=options.stop_step + 1,
            refine_every=options.interval,
            min_opacity=options.prune_opacity,
        )
        self._state = self._strategy.initialize_state()

    def step(
        self, parameters: Parameters, group: int, extent: float, most: int, step: int
    ) -> Int64[np.ndarray, "n2"] | None:
        """Add noise to one group of Gaussians in place, and relocate and add Gaussians when due.

        gsplat scales noise by covariance x learning rate of the means x 5e5, which is dimensionless only for scenes of
        extent about 1. In metres the rate, which is proportional to `extent` itself, is divided by its square, with the
        same result.

        Args:
            parameters: Gaussians after an optimizer step.
            group: index of the group.
            extent: extent of the group, metres.
            most: maximum number of Gaussians in the group.
            step: step of the fit.

        Returns:
            source row of each Gaussian, if relocation is due.
        """
        values, adams = parameters.tensors_and_optimizers()
        due = self._options.is_due(step)
        # Nothing can be sampled from an empty group, or from one without visible Gaussians.
        if not self._any_seen(values["opacity_logits"], due):
            return np.arange(len(values["means"])) if due else None
        count, device = len(values["means"]), values["means"].device
        rows = torch.nn.Parameter(torch.arange(count, device=device), requires_grad=False)
        tensors = {theirs: values[ours] for ours, theirs in _NAMES.items()} | {_ROWS: rows}
        optimizers = {theirs: adams[ours] for ours, theirs in _NAMES.items()}
        self._strategy.cap_max = most
        rate = optimizers["means"].param_groups[0]["lr"] / extent**2
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(_key(self._seed, group, step))
            self._strategy.step_post_backward(tensors, optimizers, self._state, step, {}, lr=rate)
        values.update({ours: tensors[theirs] for ours, theirs in _NAMES.items()})
        return tensors[_ROWS].cpu().numpy() if due else None

    def _any_seen(self, opacity_logits: torch.Tensor, due: bool) -> bool:
        if not due:
            return len(opacity_logits) > 0
        return bool((torch.sigmoid(opacity_logits.detach()) > self._options.prune_opacity).any())


def _key(seed: int, group: int, step: int) -> int:
    return int(np.random.default_rng(np.random.Philox([seed, 2 + group, step])).integers(2**63 - 1))
