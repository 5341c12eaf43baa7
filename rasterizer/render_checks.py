"""Checks of what is to be rendered, for rasters and splats."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float

from swerve.scenes import SwerveError


def check_outputs(outputs: tuple[str, ...], known: Collection[str]) -> None:
    """Check that there are outputs, and that all are known.

    Raises:
        SwerveError: there are none, or one is not known.
    """
    if not outputs or set(outputs) - set(known):
        raise SwerveError(f"outputs {tuple(outputs)}: choose one or more of {', '.join(known)}")


def check_poses(world_from_ego: Float[np.ndarray, "p 4 4"]) -> None:
    """Check that all poses are finite.

    Raises:
        SwerveError: one is not.
    """
    wrong = np.flatnonzero(~np.isfinite(world_from_ego).all(axis=(1, 2)))
    if len(wrong):
        raise SwerveError(f"world_from_ego: pose {wrong[0]} is not finite")
