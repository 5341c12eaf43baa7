"""Relaxation of the bounds of a motion where the human exceeded them."""

import numpy as np
from jaxtyping import Float

from swerve.scenes.viewpoints.bounds import BOUND_NAMES, KinematicLimits
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.motion_smoother import Motion

# Beyond a bound, this many times the human's ratio to it is allowed: a fifth more speed on the same path needs that
# much and more.
HUMAN_MARGIN = 1.25
# Standard deviations of noise that are taken off the human's ratio. Noise of the smoothed motion is alike over half a
# second: the largest of the 15 independent values that a scene of 7 s has is expected at 1.7.
_NOISE_SIGMAS = 2.0
_RELAXABLE = np.array([name != "reverse" for name in BOUND_NAMES])
# Ratios within this of 1 are on the bound, not beyond it.
_ON_BOUND = 1e-6


def allowed_ratios(geometry: LogGeometry, steps: slice, bounds: KinematicLimits) -> Float[np.ndarray, "9"]:
    """Compute the ratios to the bounds that are allowed at some steps of a log.

    That is 1, or 1.25 times the human's ratio (`human_ratios`) where that is more.
    """
    return np.maximum(HUMAN_MARGIN * human_ratios(geometry, steps, bounds), 1.0)


def human_ratios(geometry: LogGeometry, steps: slice, bounds: KinematicLimits) -> Float[np.ndarray, "9"]:
    """Compute the human's ratios to the bounds, without what may be noise of the smoothed poses.

    The ratio of the smoothed motion, less two standard deviations of its noise: those of the same ratio, step by step,
    over `LogGeometry.ego_replicas`. Not below 0; and 0 of "reverse", which nothing relaxes.
    """
    motion, replicas = geometry.ego_motion.at(steps), geometry.ego_replicas
    drive, others = _drive(motion), _drive(replicas.over(steps))
    seconds, vehicle = geometry.seconds[steps], geometry.log.vehicle
    of_poses = (bounds.pose_ratios(one.positions, one.headings, seconds, vehicle) for one in (drive, others))
    noise = np.array([_noise(mine, theirs) for mine, theirs in zip(*of_poses, strict=True)])
    ratios = np.where(_RELAXABLE, drive_ratios(bounds, drive, seconds, geometry), 0.0)
    return np.maximum(ratios - _NOISE_SIGMAS * noise, 0.0)


def drive_ratios(
    bounds: KinematicLimits, drive: FrenetTrajectory, seconds: Float[np.ndarray, "t"], geometry: LogGeometry
) -> Float[np.ndarray, "9 *c"]:
    """Compute the ratios of trajectories to the bounds: of their poses or of their states, whichever is larger."""
    vehicle = geometry.log.vehicle
    ratios: Float[np.ndarray, "9 *c"] = np.maximum(
        bounds.max_pose_ratios(drive.positions, drive.headings, seconds, vehicle),
        bounds.max_ratios(drive.speeds, drive.curvatures, seconds, vehicle),
    )
    return ratios


def relaxations(ratios: Float[np.ndarray, "9"]) -> dict[str, float]:
    """Return "relaxed_<bound>" for each bound that is exceeded: the ratio to it, above 1."""
    pairs = zip(BOUND_NAMES, ratios, strict=True)
    return {f"relaxed_{name}": float(ratio) for name, ratio in pairs if ratio > 1.0 + _ON_BOUND}


def _drive(motion: Motion) -> FrenetTrajectory:
    """Return the motion as a drive; who backs up slowly, as noise does at rest, stands."""
    return FrenetTrajectory(motion.positions, motion.headings, np.maximum(motion.speeds, 0.0), motion.curvatures)


def _noise(ratio: Float[np.ndarray, "s"], replicas: Float[np.ndarray, "n s"]) -> float:
    """Return the root mean square of the replicas' difference; 0 of nothing, and of what is not finite."""
    finite = np.isfinite(ratio) & np.isfinite(replicas)
    apart = np.where(finite, replicas, 0.0) - np.where(finite, ratio, 0.0)
    return float(np.sqrt(np.mean(apart**2))) if apart.size else 0.0
