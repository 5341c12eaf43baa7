"""How well a scene draws photographs that it was not fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swerve.data.fitting.pictures import Picture
from swerve.rasterizer.splats import SplatScene, render_splats
from swerve.rasterizer.splats.similarity import psnr, ssim


@dataclass(frozen=True)
class Quality:
    """Means over photographs.

    Attributes:
        images: how many.
        psnr: peak signal-to-noise ratio, dB.
        ssim: structural similarity.
    """

    images: int
    psnr: float
    ssim: float


def quality_of(scene: SplatScene, pictures: Sequence[Picture], threads: int = 1) -> Quality | None:
    """What the scene's drawings from the photographs' places are worth; None without photographs."""
    import torch

    values = []
    for picture in pictures:
        drawn = torch.from_numpy(drawing(scene, picture, threads).astype(np.float32) / 255)
        truth = torch.from_numpy(picture.rgb.astype(np.float32) / 255)
        values.append((psnr(drawn, truth), float(ssim(drawn, truth))))
    if not values:
        return None
    means = np.mean(values, axis=0)
    return Quality(len(values), float(means[0]), float(means[1]))


def drawing(scene: SplatScene, picture: Picture, threads: int = 1) -> np.ndarray:
    """What the scene shows in the photograph's place, uint8 (h, w, 3)."""
    frame = scene.at(picture.time_us)
    ((view,),) = render_splats(frame, [picture.camera], picture.world_from_ego[None], ("rgb",), threads=threads)
    assert view.rgb is not None
    return view.rgb
