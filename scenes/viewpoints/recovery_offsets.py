"""Random offsets of recovery viewpoints, and the strata of their distribution."""

import numpy as np
import scipy
from jaxtyping import Float

from swerve.scenes.randomness import keyed_generator
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
from swerve.scenes.viewpoints.viewpoint import ViewpointKind

_NORMAL_CUT = 2.0
_LATERAL_BINS, _HEADING_BINS = 6, 4


def sample_offsets(options: RecoveryOptions, seed: int, log: str, token: str, index: int) -> Float[np.ndarray, "4"]:
    """Sample an offset (lateral m, longitudinal m, heading rad, speed share), reproducible from the arguments."""
    return offsets_at(options, _shares(seed, log, token, index))


def resample_offsets(
    options: RecoveryOptions, seed: int, log: str, token: str, index: int, attempt: int
) -> Float[np.ndarray, "4"]:
    """Sample another offset of the same stratum; `attempt` counts from 1."""
    shares, first = (_shares(seed, log, token, *key) for key in ((index, attempt), (index,)))
    for axis, bins in zip((0, 2), offset_bins(options), strict=True):
        shares[axis] = (np.floor(first[axis] * bins) + shares[axis]) / bins
    return offsets_at(options, shares)


def offset_bins(options: RecoveryOptions) -> tuple[int, int]:
    """Return the numbers of bins of lateral offset and of heading, equally probable as requested."""
    return _LATERAL_BINS if options.lateral else 1, _HEADING_BINS if options.heading else 1


def stratum_of(options: RecoveryOptions, seed: int, log: str, token: str, index: int) -> tuple[int, int]:
    """Return the bins of lateral offset and heading in which the draws of a viewpoint lie."""
    shares, bins = _shares(seed, log, token, index), offset_bins(options)
    return int(shares[0] * bins[0]), int(shares[2] * bins[1])


def offsets_at(options: RecoveryOptions, shares: Float[np.ndarray, "*q 4"]) -> Float[np.ndarray, "*q 4"]:
    """Compute the quantiles of the offsets at shares from 0 to 1."""
    if options.distribution == "normal":
        low, high = scipy.special.ndtr(-_NORMAL_CUT), scipy.special.ndtr(_NORMAL_CUT)
        unit = scipy.special.ndtri(low + (high - low) * shares) / _NORMAL_CUT
    else:
        unit = 2 * shares - 1
    offsets: Float[np.ndarray, "*q 4"] = unit * np.array(
        [options.lateral, options.longitudinal, options.heading, options.speed]
    )
    return offsets


def _shares(seed: int, log: str, token: str, *key: int) -> Float[np.ndarray, "4"]:
    """Return numbers that are uniform in [0, 1), the same for the same arguments."""
    return keyed_generator(seed, log, token, ViewpointKind.RECOVERY.value, *key).random(4)
