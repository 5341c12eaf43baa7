"""Fréchet distance of image features, as in FID, for features that the user brings."""

import numpy as np
import scipy
from jaxtyping import Float


def frechet_distance(one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]) -> float:
    """Compute the squared Fréchet distance of the normal distributions of two sets of features.

    |mean - mean'|^2 + trace(C + C' - 2 (C C')^(1/2)) with covariances C over n - 1 (Heusel et al. 2017, "GANs Trained
    by a Two Time-Scale Update Rule"). It is biased upwards if there are few images; with no more images than
    dimensions the covariances are singular, and the value is only comparable at equal counts.

    Returns:
        0 or more; NaN for fewer than two images of either.
    """
    if min(len(one), len(other)) < 2:
        return np.nan
    shift = one.mean(axis=0) - other.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (one, other))
    # The trace of the root of a product is the sum of the roots of its eigenvalues, which are those of R C' R, R^2 = C.
    root = _root(first)
    common = np.sqrt(np.maximum(scipy.linalg.eigvalsh(root @ second @ root), 0.0)).sum()
    return float(max(shift @ shift + np.trace(first) + np.trace(second) - 2 * common, 0.0))


def _root(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Return the symmetric root of a positive semi-definite matrix."""
    values, vectors = scipy.linalg.eigh(matrix)
    root: Float[np.ndarray, "d d"] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
