"""Alignment metrics of photo and raster features: paired distance, and accuracy of a linear domain classifier.

Both metrics use the neck's content features, which alignment acts on and which do not depend on cameras; both are
invariant to scaling of features, so that shrinking features do not count as aligned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from jaxtyping import Float, Int, UInt8

from swerve.planners.learning.alignment import neck_of
from swerve.planners.learning.model import PlannerModel
from swerve.scenes import SwerveError

# Maximum number of cross-validation folds of image groups.
_FOLDS = 10
# L2 penalty (half the squared weights) relative to the mean cross entropy, for standardised features.
_PENALTY = 1e-3
_AT_ONCE = 16


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a domain classifier on held-out images. Both domains have equal weight: chance is 0.5.

    Attributes:
        mean: mean accuracy over the images.
        error: standard error of the mean over folds; NaN with a single fold.
    """

    mean: float
    error: float


@dataclass(frozen=True)
class Alignment:
    """Alignment of features of paired images.

    Attributes:
        distance: mean squared distance between the features of the same patch in photo and raster, divided by the sum
            of both domains' variances: 0 for equal features, 1 for independent features of one distribution.
        mean_shift: part of `distance` due to the distance between the domains' means.
        unpaired_distance: the same as `distance`, to the same patch of another image's raster; the difference is the
            gain of pairing. NaN for a single image.
        patch_accuracy: accuracy of a linear classifier of single patches.
        image_accuracy: accuracy of a linear classifier of the means over an image's patches.
    """

    distance: float
    mean_shift: float
    unpaired_distance: float
    patch_accuracy: Accuracy
    image_accuracy: Accuracy


def alignment_metrics(
    photos: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"], groups: Sequence[str]
) -> Alignment:
    """Compute the alignment metrics of paired features.

    Args:
        photos: features of n images' m patches.
        rasters: features of the rasters of the same views.
        groups: group of each image; classifiers are tested on held-out groups.

    Raises:
        SwerveError: all images are of one group, features are constant, or one is not finite.
    """
    if not (np.isfinite(photos).all() and np.isfinite(rasters).all()):
        raise SwerveError("probe: features are not finite")
    # Double precision: variances are differences of large sums.
    real, raster = photos.astype(np.float64), rasters.astype(np.float64)
    distance, shift, other = feature_distances(real, raster)
    folds = folds_of(groups)
    pooled = domain_accuracy(real.mean(axis=1, keepdims=True), raster.mean(axis=1, keepdims=True), folds)
    return Alignment(distance, shift, other, domain_accuracy(real, raster, folds), pooled)


def feature_distances(
    photos: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]
) -> tuple[float, float, float]:
    """Compute `Alignment.distance`, `.shift` and `.other`.

    Raises:
        SwerveError: the features of both domains are constant.
    """
    spread = sum(one.var(axis=(0, 1)).sum() for one in (photos, rasters))
    if not spread > 1e-12 * max((photos**2).sum(axis=2).mean(), (rasters**2).sum(axis=2).mean()):
        raise SwerveError("probe: the features are the same in every patch of every image")
    own = ((photos - rasters) ** 2).sum(axis=2).mean()
    shift = ((photos.mean(axis=(0, 1)) - rasters.mean(axis=(0, 1))) ** 2).sum()
    return float(own / spread), float(shift / spread), float(_other_distance(photos, rasters) / spread)


def domain_accuracy(
    photos: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"], folds: Int[np.ndarray, "n"]
) -> Accuracy:
    """Compute the accuracy of linear classifiers by cross-validation over folds of images.

    Args:
        photos: features.
        rasters: features.
        folds: fold index of each image.
    """
    rates, sizes = [], []
    for fold in np.unique(folds):
        held = folds == fold
        logits = _fitted(photos[~held], rasters[~held])
        # A tie counts as half.
        right = [0.5 + 0.5 * np.sign(sign * logits(one[held])) for sign, one in ((1, photos), (-1, rasters))]
        rates.append(np.mean(right))
        sizes.append(held.sum())
    error = np.std(rates, ddof=1) / np.sqrt(len(rates)) if len(rates) > 1 else np.nan
    return Accuracy(float(np.average(rates, weights=sizes)), float(error))


def folds_of(groups: Sequence[str], most: int = _FOLDS) -> Int[np.ndarray, "n"]:
    """Assign images to folds: groups stay together, the largest first into the fold with the fewest images.

    Raises:
        SwerveError: there is only one group.
    """
    names, counts = np.unique(np.array(groups, str), return_counts=True)
    if len(names) < 2:
        raise SwerveError(
            f"probe: all {len(groups)} images are of {names[0] if len(names) else 'no group'}: nothing is left to test "
            "a classifier on. Two logs or two cameras are needed"
        )
    filled, place = np.zeros(min(most, len(names)), int), {}
    for row in np.argsort(-counts, kind="stable"):
        place[names[row]] = int(filled.argmin())
        filled[place[names[row]]] += counts[row]
    return np.array([place[group] for group in groups])


@torch.inference_mode()
def features_of(model: PlannerModel, images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n m d"]:
    """Compute the neck's content features of images of the model's size, one row per patch, in evaluation mode.

    Raises:
        SwerveError: the network has no neck.
    """
    neck = neck_of(model)
    if neck is None:
        raise SwerveError(f"probe: a planner of family {model.family} has no image features")
    backbone = model.get_submodule("backbone")
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    pixels = torch.as_tensor(np.ascontiguousarray(images)).movedim(-1, 1)
    made = [
        neck.content(backbone(some.to(device))).flatten(2).transpose(1, 2).float().cpu().numpy()
        for some in pixels.split(_AT_ONCE)
    ]
    model.train(was_training)
    return np.concatenate(made)


def _other_distance(photos: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]) -> float:
    """Compute the mean squared distance over all pairs of different images per patch, without forming the pairs."""
    count, patches, _ = photos.shape
    if count < 2:
        return float("nan")
    squares = count * ((photos**2).sum() + (rasters**2).sum())
    every = squares - 2 * (photos.sum(axis=0) * rasters.sum(axis=0)).sum()
    own = ((photos - rasters) ** 2).sum()
    return float((every - own) / (count * (count - 1) * patches))


def _fitted(
    photos: Float[np.ndarray, "n m d"], rasters: Float[np.ndarray, "n m d"]
) -> Callable[[Float[np.ndarray, "_ m d"]], Float[np.ndarray, "_ m"]]:
    """Fit a logistic regression on standardised features; return the function to logits of being a photo.

    It minimises the mean cross entropy plus penalty, and is unique.
    """
    width = photos.shape[2]
    both = np.concatenate([photos.reshape(-1, width), rasters.reshape(-1, width)])
    mean, deviation = both.mean(axis=0), both.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    inputs = (both - mean) / scale
    signs = np.repeat([1.0, -1.0], len(both) // 2)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (inputs @ weights[:-1] + weights[-1])
        slope = -signs / (1.0 + np.exp(np.clip(margins, -500, 500))) / len(inputs)
        gradient = np.append(inputs.T @ slope + _PENALTY * weights[:-1], slope.sum())
        return float(np.logaddexp(0.0, -margins).mean() + _PENALTY / 2 * (weights[:-1] ** 2).sum()), gradient

    found = scipy.optimize.minimize(loss, np.zeros(width + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return lambda features: (features - mean) / scale @ found.x[:-1] + found.x[-1]
