"""Growth by gsplat's strategy after Kheradmand et al. 2024, 3DGS as Markov Chain Monte Carlo (arXiv 2404.09591).

What has faded is put where something is seen, some more is added there until there is no more room, and every step
shakes what is faint. The other strategy of gsplat, after Kerbl et al. 2023, is what `densification` does itself.
"""

import numpy as np
import torch
from jaxtyping import Int64

from swerve.data.splats.optimization.fit_options import DensificationOptions
from swerve.data.splats.optimization.parameters import Parameters
from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary

# gsplat's names of our tensors; the last two it moves along without looking at them.
_NAMES = {
    "means": "means",
    "quaternions": "quats",
    "log_scales": "scales",
    "logit_opacities": "opacities",
    "constants": "sh0",
    "others": "shN",
}
# A tensor of numbers that does not learn goes along, so that it tells what became of which row.
_ROWS = "rows"


class McmcStrategy:
    """gsplat's MCMCStrategy. It remembers nothing from step to step, so a fit that goes on needs nothing of it.

    Args:
        growth: when, how many, and what has faded.
        seed: of all random numbers, with the step and the group's number.
        using: gsplat.
    """

    def __init__(self, growth: DensificationOptions, seed: int, using: GsplatLibrary) -> None:
        self._growth, self._seed = growth, seed
        self._strategy = using.api.MCMCStrategy(
            refine_start_iter=growth.first,
            refine_stop_iter=growth.last + 1,
            refine_every=growth.every,
            min_opacity=growth.faint,
        )
        self._state = self._strategy.initialize_state()

    def step(
        self, parameters: Parameters, group: int, extent: float, most: int, step: int
    ) -> Int64[np.ndarray, "n2"] | None:
        """Shakes one group of Gaussians in place, and changes which there are when it is due.

        gsplat shakes by covariance x rate of the means x 5e5, which has no units only where a scene is about 1 large.
        In metres the rate, which is one of `extent` itself, is divided by the square of it, and the result is the same.

        Args:
            parameters: the Gaussians, after a step of theirs.
            group: its number.
            extent: of the group, metres.
            most: how many it may have.
            step: of the fit.

        Returns:
            of which row each Gaussian is, if it is due.
        """
        values, adams = parameters.lent()
        due = self._growth.is_due(step)
        # From nothing, or from what has all faded, nothing can be drawn.
        if not self._any_seen(values["logit_opacities"], due):
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

    def _any_seen(self, logit_opacities: torch.Tensor, due: bool) -> bool:
        if not due:
            return len(logit_opacities) > 0
        return bool((torch.sigmoid(logit_opacities.detach()) > self._growth.faint).any())


def _key(seed: int, group: int, step: int) -> int:
    return int(np.random.default_rng(np.random.Philox([seed, 2 + group, step])).integers(2**63 - 1))
