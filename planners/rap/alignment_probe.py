"""How alike a network's features of photographs and of their rasters are: in place, and to a fresh linear classifier.

Both measures are of the neck's content, which is what alignment is about and what knows nothing of cameras; neither
changes when features are multiplied by a number, so that features that shrink do not count as aligned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.optimize import minimize

from swerve.planners.rap.rap_model import RapModel
from swerve.scenes import SwerveError

# Groups of images are shared out over so many folds at most.
_FOLDS = 10
# Of half the squared weights, against the mean cross entropy, of features with a deviation of one.
_PENALTY = 1e-3
_AT_ONCE = 16


@dataclass(frozen=True)
class Accuracy:
    """Of a domain classifier on images that it was not fitted to. Both domains count the same: chance is 0.5.

    Attributes:
        mean: over the images.
        error: standard error of the mean over folds; NaN where there is but one.
    """

    mean: float
    error: float


@dataclass(frozen=True)
class Alignment:
    """How alike the features of paired images are.

    Attributes:
        distance: mean squared distance between the features of the same patch in photograph and raster, divided by
            the sum of both domains' variances: 0 where they are the same, 1 where both are drawn from one distribution
            but have nothing to do with each other.
        shift: the part of it that is the distance between the domains' means.
        other: the same as `distance`, to the same patch of another image's raster: what is gained by its being the
            raster of this very photograph is the difference. NaN where there is but one image.
        patch_accuracy: of a linear classifier of single patches.
        image_accuracy: of a linear classifier of the means over an image's patches.
    """

    distance: float
    shift: float
    other: float
    patch_accuracy: Accuracy
    image_accuracy: Accuracy


def alignment_of(
    photographs: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"], groups: Sequence[str]
) -> Alignment:
    """Measures paired features.

    Args:
        photographs: features of n images' m patches.
        rasters: the same of the rasters of the same views.
        groups: of each image; a classifier is never tried on a group that it was fitted to.

    Raises:
        SwerveError: all images are of one group, features do not differ at all, or one is not finite.
    """
    if not (np.isfinite(photographs).all() and np.isfinite(rasters).all()):
        raise SwerveError("probe: features are not finite")
    # In double precision: variances are differences of large sums.
    real, drawn = photographs.astype(np.float64), rasters.astype(np.float64)
    distance, shift, other = feature_distances(real, drawn)
    folds = folds_of(groups)
    pooled = domain_accuracy(real.mean(axis=1, keepdims=True), drawn.mean(axis=1, keepdims=True), folds)
    return Alignment(distance, shift, other, domain_accuracy(real, drawn, folds), pooled)


def feature_distances(
    photographs: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]
) -> tuple[float, float, float]:
    """`Alignment.distance`, `.shift` and `.other`.

    Raises:
        SwerveError: neither domain's features differ from patch to patch.
    """
    spread = sum(one.var(axis=(0, 1)).sum() for one in (photographs, rasters))
    if not spread > 1e-12 * max((photographs**2).sum(axis=2).mean(), (rasters**2).sum(axis=2).mean()):
        raise SwerveError("probe: the features are the same in every patch of every image; nothing can be measured")
    own = ((photographs - rasters) ** 2).sum(axis=2).mean()
    shift = ((photographs.mean(axis=(0, 1)) - rasters.mean(axis=(0, 1))) ** 2).sum()
    return float(own / spread), float(shift / spread), float(_other_distance(photographs, rasters) / spread)


def domain_accuracy(
    photographs: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"], folds: Int[np.ndarray, "n"]
) -> Accuracy:
    """Of linear classifiers, each tried on the images of one fold and fitted to those of all others.

    Args:
        photographs: features.
        rasters: features.
        folds: number of each image's fold.
    """
    rates, sizes = [], []
    for fold in np.unique(folds):
        held = folds == fold
        logits = _fitted(photographs[~held], rasters[~held])
        # A tie is half right.
        right = [0.5 + 0.5 * np.sign(sign * logits(one[held])) for sign, one in ((1, photographs), (-1, rasters))]
        rates.append(np.mean(right))
        sizes.append(held.sum())
    error = np.std(rates, ddof=1) / np.sqrt(len(rates)) if len(rates) > 1 else np.nan
    return Accuracy(float(np.average(rates, weights=sizes)), float(error))


def folds_of(groups: Sequence[str], most: int = _FOLDS) -> Int[np.ndarray, "n"]:
    """The fold of each image: groups stay whole, the largest first into the fold that has the fewest images.

    Raises:
        SwerveError: there is but one group.
    """
    names, counts = np.unique(np.array(groups, str), return_counts=True)
    if len(names) < 2:
        raise SwerveError(
            f"probe: all {len(groups)} images are of {names[0] if len(names) else 'no group'}: nothing is left to try "
            "a classifier on. It takes two logs or two cameras"
        )
    filled, place = np.zeros(min(most, len(names)), int), {}
    for row in np.argsort(-counts, kind="stable"):
        place[names[row]] = int(filled.argmin())
        filled[place[names[row]]] += counts[row]
    return np.array([place[group] for group in groups])


@torch.inference_mode()
def features_of(model: RapModel, images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n m d"]:
    """The neck's content of images of the model's size, one row per patch, in evaluation mode."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    pixels = torch.as_tensor(np.ascontiguousarray(images)).movedim(-1, 1)
    made = [
        model.neck.content(model.backbone(some.to(device))).flatten(2).transpose(1, 2).float().cpu().numpy()
        for some in pixels.split(_AT_ONCE)
    ]
    model.train(was_training)
    return np.concatenate(made)


def _other_distance(photographs: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]) -> float:
    """Mean squared distance over all pairs of different images, patch by patch, without making the pairs."""
    count, patches, _ = photographs.shape
    if count < 2:
        return float("nan")
    squares = count * ((photographs**2).sum() + (rasters**2).sum())
    every = squares - 2 * (photographs.sum(axis=0) * rasters.sum(axis=0)).sum()
    own = ((photographs - rasters) ** 2).sum()
    return float((every - own) / (count * (count - 1) * patches))


def _fitted(
    photographs: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]
) -> Callable[[Float[np.ndarray, "_ m d"]], Float[np.ndarray, "_ m"]]:
    """A logistic regression of standardised features: their logits of being of a photograph.

    It is the one with the smallest mean cross entropy plus penalty, which is unique.
    """
    width = photographs.shape[2]
    both = np.concatenate([photographs.reshape(-1, width), rasters.reshape(-1, width)])
    mean, deviation = both.mean(axis=0), both.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    inputs = (both - mean) / scale
    signs = np.repeat([1.0, -1.0], len(both) // 2)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (inputs @ weights[:-1] + weights[-1])
        slope = -signs / (1.0 + np.exp(np.clip(margins, -500, 500))) / len(inputs)
        gradient = np.append(inputs.T @ slope + _PENALTY * weights[:-1], slope.sum())
        return float(np.logaddexp(0.0, -margins).mean() + _PENALTY / 2 * (weights[:-1] ** 2).sum()), gradient

    found = minimize(loss, np.zeros(width + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return lambda features: (features - mean) / scale @ found.x[:-1] + found.x[-1]
