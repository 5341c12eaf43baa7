"""Pose corrections of a log from the refined ego poses of a fit."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.rasterizer.splats import PoseCorrections, SplatScene
from swerve.scenes.transforms import inverse


def corrected(
    scene: SplatScene, shots: Sequence[TrainingImage], world_from_ego: Float[np.ndarray, "s 4 4"]
) -> SplatScene:
    """Return the scene with the corrections of refined ego poses; unchanged if none was refined.

    Args:
        scene: fitted scene.
        shots: training images.
        world_from_ego: refined ego poses of the images.
    """
    logged = np.array([shot.world_from_ego for shot in shots])
    if np.array_equal(logged, world_from_ego):
        return scene
    # Images of one time share one correction.
    times, rows = np.unique([shot.time_us for shot in shots], return_index=True)
    return replace(scene, corrections=PoseCorrections(times, world_from_ego[rows] @ inverse(logged[rows])))
