"""Options of the optimization: loss weights, learning rates, densification. Does not require torch.

Sources: 3DGS is Kerbl et al. 2023 (arXiv 2308.04079) and its code; MTGS is Li et al. 2025 (arXiv 2503.12552) and
its code.
"""

from dataclasses import dataclass, field
from typing import Literal

from swerve.rasterizer.backends import SplatBackend

GrowthWay = Literal["split-and-clone", "mcmc"]


@dataclass(frozen=True)
class DensificationOptions:
    """Schedule and thresholds of densification and pruning (Kerbl et al. 2023, 5.2); opacities are never reset.

    Attributes:
        first: step after which densification begins.
        last: step at which densification ends.
        every: interval in steps.
        slope: mean norm of the gradient by the projected centre, in units of half an image, above which a Gaussian is
            cloned, or split in two if it is large.
        large: standard deviation, over the scene's extent, above which a Gaussian is split instead of cloned.
        faint: opacity below which a Gaussian is pruned.
        most: maximum number of Gaussians, including nodes; those with the largest gradients come first.
        way: "mcmc" is gsplat's MCMCStrategy (`mcmc_strategy`), which uses no gradients: faded Gaussians are relocated,
            5 % are added each time, and opacity and scale are regularized.
    """

    first: int = 500
    last: int = 15_000
    every: int = 100
    slope: float = 2e-4
    large: float = 0.01
    faint: float = 0.005
    most: int = 500_000
    way: GrowthWay = "split-and-clone"

    def is_due(self, step: int) -> bool:
        """Test whether to densify after this step."""
        return self.first < step <= self.last and step % self.every == 0


@dataclass(frozen=True)
class Rate:
    """Learning rate with exponential decay over the fit.

    Attributes:
        first: initial rate.
        last: final rate.
        warm_up: share of the fit with a linear warm-up from zero.
    """

    first: float
    last: float
    warm_up: float = 0.0

    def at(self, progress: float) -> float:
        """Return the rate at a progress of 0 to 1."""
        share = min(progress / self.warm_up, 1.0) if self.warm_up else 1.0
        return share * self.first * (self.last / self.first) ** progress


@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam, per step.

    Attributes:
        means: of the centres, in units of the extent of the scene, or of the node (3DGS).
        quaternions: 3DGS, like the next three.
        log_scales: 3DGS.
        logit_opacities: 3DGS.
        constants: of harmonics of degree 0 (3DGS).
        others: of harmonics of higher degree, a twentieth of that.
        sky: of the sky's harmonics; Swerve's own, as all pixels contribute to one set.
        exposures: of the affine colour maps, as in 3DGS's code.
        ego_turns: rotations of ego poses, radians (MTGS, like the next three).
        ego_shifts: translations of ego poses, metres.
        box_turns: rotations of box poses, radians.
        box_shifts: translations of box poses, metres.
    """

    means: Rate = Rate(1.6e-4, 1.6e-6)
    quaternions: Rate = Rate(1e-3, 1e-3)
    log_scales: Rate = Rate(5e-3, 5e-3)
    logit_opacities: Rate = Rate(5e-2, 5e-2)
    constants: Rate = Rate(2.5e-3, 2.5e-3)
    others: Rate = Rate(1.25e-4, 1.25e-4)
    sky: Rate = Rate(1e-2, 1e-3)
    exposures: Rate = Rate(1e-2, 1e-3)
    ego_turns: Rate = Rate(1e-4, 5e-7, 0.05)
    ego_shifts: Rate = Rate(1e-4, 5e-7, 0.05)
    box_turns: Rate = Rate(1e-5, 5e-6)
    box_shifts: Rate = Rate(5e-4, 1e-4)


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit.

    Attributes:
        steps: number of training steps, one image each; 30,000 are common on a GPU.
        similarity: weight of 1 - SSIM in the image loss, the rest being L1 (3DGS).
        lidar: weight of the mean absolute difference of inverse depths (1/m), of measured depths (MTGS).
        raster: weight of the same for depths of rasterized primitives; lower, since they are boxes.
        flatness: weight of the mean of the smallest standard deviations (metres) of Gaussians (MTGS).
        ground: weight of the mean distance (metres) of ground Gaussians from the ground; Swerve's own, see
            `regularization`. Gaussians of the background belong to it as long as their centres are near the ground.
        ground_above: upper limit of the ground layer, metres above the ground.
        ground_below: lower limit of the ground layer, metres below the ground.
        outside: weight of the mean opacity of nodes' Gaussians outside of their boxes (MTGS).
        outside_from: margin around the boxes, metres, for mirrors and shadows (MTGS: 1.5).
        exposures: whether each image has its own affine colour map (MTGS).
        exposure: weight of the mean squared difference of that map from the identity.
        refine_egos: whether ego poses are refined.
        refine_boxes: whether box poses of nodes are refined.
        poses: weight of the mean squared change of refined poses (metres^2 + radians^2).
        rates: learning rates.
        growth: densification and pruning.
        seed: random seed of the order of images, and of positions of split Gaussians.
        threads: number of CPU threads.
        backend: rendering back end; see `differentiable_splats`.
    """

    steps: int = 2000
    similarity: float = 0.2
    lidar: float = 0.5
    raster: float = 0.1
    flatness: float = 1.0
    ground: float = 1.0
    ground_above: float = 0.2
    ground_below: float = 2.0
    outside: float = 1.0
    outside_from: float = 0.5
    exposures: bool = True
    exposure: float = 0.1
    refine_egos: bool = False
    refine_boxes: bool = False
    poses: float = 0.01
    rates: Rates = field(default_factory=Rates)
    growth: DensificationOptions = field(default_factory=DensificationOptions)
    seed: int = 0
    threads: int = 1
    backend: SplatBackend = "auto"
