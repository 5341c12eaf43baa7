"""How a scene is fitted: weights, rates of learning, growth. It needs no torch.

Sources: 3DGS is Kerbl et al. 2023 (arXiv 2308.04079) and its code; MTGS is Li et al. 2025 (arXiv 2503.12552) and
its code.
"""

from dataclasses import dataclass, field
from typing import Literal

from swerve.rasterizer.backends import SplatBackend

GrowthWay = Literal["split-and-clone", "mcmc"]


@dataclass(frozen=True)
class DensificationOptions:
    """When and where Gaussians are added and taken away (Kerbl et al. 2023, 5.2); opacities are never reset.

    Attributes:
        first: step after which it begins.
        last: step at which it ends.
        every: so many steps.
        slope: mean length of the loss's derivative by the centre, in units of half an image, above which a Gaussian
            is cloned, or split in two if it is large.
        large: standard deviation, over the scene's extent, above which it is split.
        faint: opacity below which it is taken away.
        most: how many Gaussians there may be, nodes included; those with the steepest slopes come first.
        way: "mcmc" is gsplat's (`mcmc_strategy`), and looks at no slope: those that have faded are put elsewhere, a
            twentieth is added each time, and what is opaque or large costs a little.
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
        """Whether to grow after this step."""
        return self.first < step <= self.last and step % self.every == 0


@dataclass(frozen=True)
class Rate:
    """A rate of learning that falls geometrically over the fit.

    Attributes:
        first: at the start.
        last: at the end.
        warm_up: share of the fit during which it rises from zero to what it would be.
    """

    first: float
    last: float
    warm_up: float = 0.0

    def at(self, progress: float) -> float:
        """When so much of the fit is done, 0 to 1."""
        share = min(progress / self.warm_up, 1.0) if self.warm_up else 1.0
        return share * self.first * (self.last / self.first) ** progress


@dataclass(frozen=True)
class Rates:
    """Rates of learning of Adam, per step.

    Attributes:
        means: in units of the extent of the scene, or of the node (3DGS).
        quaternions: 3DGS, and so the next three.
        log_scales: likewise.
        logit_opacities: likewise.
        constants: of harmonics of degree 0.
        others: of harmonics above it, a twentieth.
        sky: of the sky's harmonics; ours, as all pixels pull at one set.
        exposures: 3DGS's code.
        ego_turns: radians (MTGS), and so the next three.
        ego_shifts: metres.
        box_turns: radians.
        box_shifts: metres.
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
    """How to fit.

    Attributes:
        steps: images that are looked at; the field takes 30,000 on a GPU.
        similarity: weight of 1 - SSIM in the difference of images, the rest being the mean absolute one (3DGS).
        lidar: weight of the mean absolute difference of inverse depths (1/m), of measured depths (MTGS).
        raster: the same of depths of our primitives; less, since they are boxes.
        flatness: weight of the mean of the smallest standard deviations (metres) of Gaussians (MTGS).
        ground: weight of the mean distance (metres) of the mass of ground Gaussians from the ground; ours, see
            `regularization`. Gaussians of the background belong to it as long as their centres are near the ground.
        ground_above: how far over it, metres.
        ground_below: how far under it, metres.
        outside: weight of the mean opacity of nodes' Gaussians that are outside of their boxes (MTGS).
        outside_from: how far that is, metres: mirrors and shadows stick out (MTGS: 1.5).
        exposures: whether each image gets an affine map of colours of its own (MTGS).
        exposure: weight of the mean squared difference of that map from the identity.
        refine_egos: whether the vehicle's poses are refined.
        refine_boxes: whether the nodes' poses are.
        poses: weight of the mean squared change of refined poses (metres^2 + radians^2).
        rates: of learning.
        growth: when and where Gaussians are added and taken away.
        seed: of the order of images, and of where split Gaussians land.
        threads: of the CPU.
        backend: of the drawing; see `differentiable_splats`.
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
