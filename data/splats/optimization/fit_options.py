"""Options of the optimization: loss weights, learning rates, densification. Does not require torch.

Sources: 3DGS is Kerbl et al. 2023 (arXiv 2308.04079) and its code; MTGS is Li et al. 2025 (arXiv 2503.12552) and
its code.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from swerve.rasterizer.backends import SplatBackend
from swerve.scenes.option_types import RARE

Strategy = Literal["split-and-clone", "mcmc"]


@dataclass(frozen=True)
class DensificationOptions:
    """Schedule and thresholds of densification and pruning (Kerbl et al. 2023, 5.2); opacities are never reset.

    Attributes:
        start_step: First step of densification. `swerve fit` begins after a tenth of the steps at the latest.
        stop_step: Last step of densification. `swerve fit` ends after half of the steps at the latest.
        interval: Steps between densifications.
        grad2d_threshold: Mean gradient of the loss by the projected centre, in units of half an image, above which a
            Gaussian is cloned, or split if it is large.
        split_scale: Standard deviation above which it is split, as a share of the scene's extent.
        prune_opacity: Opacity below which a Gaussian is removed.
        max_gaussians: Largest number of Gaussians, those of nodes included; those with the largest gradients come
            first.
        strategy: split-and-clone is 3DGS's. mcmc is gsplat's, on an NVIDIA GPU: it relocates Gaussians of low opacity,
            adds a twentieth each time, and regularises opacities and scales.
    """

    start_step: int = 500
    stop_step: int = 15_000
    interval: int = 100
    grad2d_threshold: float = 2e-4
    split_scale: float = 0.01
    prune_opacity: float = 0.005
    max_gaussians: int = 200_000
    strategy: Strategy = "split-and-clone"

    def within(self, steps: int) -> "DensificationOptions":
        """Return the same, but beginning within a tenth and ending within half of so many steps."""
        return replace(self, start_step=min(self.start_step, steps // 10), stop_step=min(self.stop_step, steps // 2))

    def is_due(self, step: int) -> bool:
        """Test whether to densify after this step."""
        return self.start_step < step <= self.stop_step and step % self.interval == 0


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
        opacity_logits: 3DGS.
        sh0: of harmonics of degree 0 (3DGS).
        shN: of harmonics of higher degree, a twentieth of that.
        sky: of the sky's harmonics; Swerve's own, as all pixels contribute to one set.
        exposures: of the affine colour maps, as in 3DGS's code.
        ego_rotations: rotations of ego poses, radians (MTGS, like the next three).
        ego_translations: translations of ego poses, metres.
        box_rotations: rotations of box poses, radians.
        box_translations: translations of box poses, metres.
    """

    means: LearningRate = LearningRate(1.6e-4, 1.6e-6)
    quaternions: LearningRate = LearningRate(1e-3, 1e-3)
    log_scales: LearningRate = LearningRate(5e-3, 5e-3)
    opacity_logits: LearningRate = LearningRate(5e-2, 5e-2)
    sh0: LearningRate = LearningRate(2.5e-3, 2.5e-3)
    shN: LearningRate = LearningRate(1.25e-4, 1.25e-4)
    sky: LearningRate = LearningRate(1e-2, 1e-3)
    exposures: LearningRate = LearningRate(1e-2, 1e-3)
    ego_rotations: LearningRate = LearningRate(1e-4, 5e-7, 0.05)
    ego_translations: LearningRate = LearningRate(1e-4, 5e-7, 0.05)
    box_rotations: LearningRate = LearningRate(1e-5, 5e-6)
    box_translations: LearningRate = LearningRate(5e-4, 1e-4)


@dataclass(frozen=True)
class FitOptions:
    """Options of the optimization of a splat scene.

    Attributes:
        steps: Training images that are rendered; 30,000 is usual on a GPU.
        ssim_weight: Weight of 1 - SSIM in the photometric loss; the rest is L1 (3DGS).
        lidar_weight: Weight of the L1 loss of inverse depths (1/m) of LiDAR or stereo (MTGS).
        raster_weight: Weight of the L1 loss of inverse depths (1/m) of the raster; less, since its agents are boxes.
        flatness_weight: Weight of the mean smallest standard deviation (m) of Gaussians (MTGS).
        ground_weight: Weight of the mean distance (m) of ground Gaussians from the ground.
        ground_above: Gaussians are ground Gaussians up to this height above it, in metres.
        ground_below: Gaussians are ground Gaussians down to this depth below it, in metres.
        outside_box_weight: Weight of the mean opacity of agents' Gaussians outside of their boxes (MTGS).
        outside_box_margin: Distance from the box at which outside begins, in metres: mirrors and shadows stick out.
        exposures: Give each image an affine map of colours (MTGS).
        exposure_weight: Weight of the mean squared difference of that map from the identity.
        refine_egos: Refine the poses of the ego.
        refine_boxes: Refine the poses of annotated agents.
        pose_weight: Weight of the mean squared change of refined poses (m^2 + rad^2).
        rates: Learning rates.
        densification: Densification.
        seed: Seed of all random choices.
        threads: Threads of the CPU.
        backend: Renderer of Gaussians: numba on the CPU, gsplat on an NVIDIA GPU; see swerve info.
    """

    steps: int = 3000
    ssim_weight: float = 0.2
    lidar_weight: float = 0.5
    raster_weight: float = 0.1
    flatness_weight: float = 1.0
    ground_weight: float = 1.0
    ground_above: float = 0.2
    ground_below: float = 2.0
    outside_box_weight: float = 1.0
    outside_box_margin: float = 0.5
    exposures: bool = True
    exposure_weight: float = 0.1
    refine_egos: bool = False
    refine_boxes: bool = False
    pose_weight: float = 0.01
    rates: Annotated[LearningRates, RARE] = field(default_factory=LearningRates)
    densification: DensificationOptions = field(default_factory=DensificationOptions)
    seed: int = 0
    threads: int = 1
    backend: SplatBackend = "auto"
