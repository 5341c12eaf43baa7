"""Quality of a scene's renderings on held-out photos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.masks import valid_windows
from swerve.data.splats.optimization.ssim import psnr, ssim, ssim_map
from swerve.rasterizer.splats import SplatScene, render_splats
from swerve.rasterizer.splats.differentiable_splats import torch


@dataclass(frozen=True)
class Quality:
    """Mean metrics over photos.

    Attributes:
        images: number of photos.
        psnr: peak signal-to-noise ratio, dB.
        ssim: structural similarity.
    """

    images: int
    psnr: float
    ssim: float


def evaluate_quality(
    scene: SplatScene,
    photos: Sequence[PosedImage],
    exposures: Float[np.ndarray, "p 3 4"] | None = None,
    threads: int = 1,
) -> Quality | None:
    """Evaluate the scene's renderings at the photos' poses; None without photos.

    Ignored pixels do not count, nor do SSIM windows that overlap them.

    Args:
        scene: scene to render.
        photos: ground-truth photos.
        exposures: affine maps from the scene's colours (r, g, b, 1) to each photo's; the identity if None.
        threads: number of CPU threads.
    """
    values = []
    for row, photo in enumerate(photos):
        exposure = None if exposures is None else exposures[row]
        drawn = torch.from_numpy(render_at(scene, photo, exposure, threads).astype(np.float32) / 255)
        truth = torch.from_numpy(photo.rgb.astype(np.float32) / 255)
        values.append(_likeness(drawn, truth, photo.ignored))
    if not values:
        return None
    means = np.mean(values, axis=0)
    return Quality(len(values), float(means[0]), float(means[1]))


def _likeness(
    drawn: Float[torch.Tensor, "h w 3"], truth: Float[torch.Tensor, "h w 3"], ignored: Bool[np.ndarray, "h w"] | None
) -> tuple[float, float]:
    """Compute PSNR and SSIM."""
    if ignored is None:
        return psnr(drawn, truth), float(ssim(drawn, truth))
    counts, whole = torch.from_numpy(~ignored), torch.from_numpy(valid_windows(ignored))
    return psnr(drawn[counts][None], truth[counts][None]), float(ssim_map(drawn, truth)[whole].mean())


def render_at(
    scene: SplatScene, photo: PosedImage, exposure: Float[np.ndarray, "3 4"] | None = None, threads: int = 1
) -> UInt8[np.ndarray, "h w 3"]:
    """Render the scene at the photo's pose, with the fit's pose correction."""
    frame = scene.at(photo.time_us)
    pose = scene.scene_from_log(photo.time_us) @ photo.world_from_ego
    ((view,),) = render_splats(frame, [photo.camera], pose[None], ("color",), threads=threads)
    assert view.color is not None
    color = view.color if exposure is None else view.color @ exposure[:, :3].T + exposure[:, 3]
    return (255 * color.clip(0, 1) + 0.5).astype(np.uint8)


def exposures_between(
    photos: Sequence[PosedImage], fitted: Sequence[PosedImage], exposures: Float[np.ndarray, "s 3 4"]
) -> Float[np.ndarray, "p 3 4"]:
    """Interpolate exposures of photos from those of their cameras' training photos, linearly in time.

    Cameras adapt their exposure from frame to frame: this estimates a held-out photo's exposure from its neighbours.
    """
    maps = []
    for photo in photos:
        rows = [row for row, own in enumerate(fitted) if own.camera.name == photo.camera.name]
        times, values = [fitted[row].time_us for row in rows], exposures[rows].reshape(len(rows), 12)
        maps.append([np.interp(photo.time_us, times, column) for column in values.T])
    return np.array(maps).reshape(-1, 3, 4)
