"""What a fit that refined poses of the vehicle says of all places of its log."""

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
    """The scene, which knows where the vehicle's refined poses are; as it was if none was refined.

    Args:
        scene: that was fitted.
        shots: what to.
        world_from_ego: refined poses of the shots.
    """
    logged = np.array([shot.world_from_ego for shot in shots])
    if np.array_equal(logged, world_from_ego):
        return scene
    # Shots of one time have moved as one.
    times, rows = np.unique([shot.time_us for shot in shots], return_index=True)
    return replace(scene, corrections=PoseCorrections(times, world_from_ego[rows] @ inverse(logged[rows])))
