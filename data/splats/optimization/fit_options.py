"""Options of the optimization: loss weights, learning rates, densification. Does not require torch.

Sources: 3DGS is Kerbl et al. 2023 (arXiv 2308.04079) and its code; MTGS is Li et al. 2025 (arXiv 2503.12552) and
its code.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from swerve.rasterizer.backends import SplatBackend
from swerve.scenes.option_types import RARE

GrowthWay = Literal["split-and-clone", "mcmc"]


@dataclass(frozen=True)
class DensificationOptions:
    """Schedule and thresholds of densification and pruning (Kerbl et al. 2023, 5.2); opacities are never reset.

    Attributes:
        first: First step of densification. `swerve fit` begins after a tenth of the steps at the latest.
        last: Last step of densification. `swerve fit` ends after half of the steps at the latest.
        every: Steps between densifications.
        slope: Mean gradient of the loss by the projected centre, in units of half an image, above which a Gaussian is
            cloned, or split if it is large.
        large: Standard deviation above which it is split, as a share of the scene's extent.
        faint: Opacity below which a Gaussian is removed.
        most: Largest number of Gaussians, those of nodes included; those with the largest gradients come first.
        way: split-and-clone is 3DGS's. mcmc is gsplat's, on an NVIDIA GPU: it relocates Gaussians of low opacity, adds
            a twentieth each time, and regularises opacities and scales.
    """

    first: int = 500
    last: int = 15_000
    every: int = 100
    slope: float = 2e-4
    large: float = 0.01
    faint: float = 0.005
    most: int = 200_000
    way: GrowthWay = "split-and-clone"

    def within(self, steps: int) -> "DensificationOptions":
        """Return the same, but beginning within a tenth and ending within half of so many steps."""
        return replace(self, first=min(self.first, steps // 10), last=min(self.last, steps // 2))

    def is_due(self, step: int) -> bool:
        """Test whether to densify after this step."""
        return self.first < step <= self.last and step % self.every == 0


@dataclass(frozen=True)
class LearningRate:
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
        rate: float = share * self.first * (self.last / self.first) ** progress
        return rate


@dataclass(frozen=True)
class LearningRates:
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

    means: LearningRate = LearningRate(1.6e-4, 1.6e-6)
    quaternions: LearningRate = LearningRate(1e-3, 1e-3)
    log_scales: LearningRate = LearningRate(5e-3, 5e-3)
    logit_opacities: LearningRate = LearningRate(5e-2, 5e-2)
    constants: LearningRate = LearningRate(2.5e-3, 2.5e-3)
    others: LearningRate = LearningRate(1.25e-4, 1.25e-4)
    sky: LearningRate = LearningRate(1e-2, 1e-3)
    exposures: LearningRate = LearningRate(1e-2, 1e-3)
    ego_turns: LearningRate = LearningRate(1e-4, 5e-7, 0.05)
    ego_shifts: LearningRate = LearningRate(1e-4, 5e-7, 0.05)
    box_turns: LearningRate = LearningRate(1e-5, 5e-6)
    box_shifts: LearningRate = LearningRate(5e-4, 1e-4)


@dataclass(frozen=True)
class FitOptions:
    """Options of the optimization of a splat scene.

    Attributes:
        steps: Training images that are rendered; 30,000 is usual on a GPU.
        similarity: Weight of 1 - SSIM in the photometric loss; the rest is L1 (3DGS).
        lidar: Weight of the L1 loss of inverse depths (1/m) of LiDAR or stereo (MTGS).
        raster: Weight of the L1 loss of inverse depths (1/m) of the raster; less, since its agents are boxes.
        flatness: Weight of the mean smallest standard deviation (m) of Gaussians (MTGS).
        ground: Weight of the mean distance (m) of ground Gaussians from the ground.
        ground_above: Gaussians are ground Gaussians up to this height above it, in metres.
        ground_below: Gaussians are ground Gaussians down to this depth below it, in metres.
        outside: Weight of the mean opacity of agents' Gaussians outside of their boxes (MTGS).
        outside_from: Distance from the box at which outside begins, in metres: mirrors and shadows stick out.
        exposures: Give each image an affine map of colours (MTGS).
        exposure: Weight of the mean squared difference of that map from the identity.
        refine_egos: Refine the poses of the ego.
        refine_boxes: Refine the poses of annotated agents.
        poses: Weight of the mean squared change of refined poses (m^2 + rad^2).
        rates: Learning rates.
        growth: Densification.
        seed: Seed of all random choices.
        threads: Threads of the CPU.
        backend: Renderer of Gaussians: numba on the CPU, gsplat on an NVIDIA GPU; see swerve info.
    """

    steps: int = 3000
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
    rates: Annotated[LearningRates, RARE] = field(default_factory=LearningRates)
    growth: DensificationOptions = field(default_factory=DensificationOptions)
    seed: int = 0
    threads: int = 1
    backend: SplatBackend = "auto"
