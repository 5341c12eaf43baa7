"""Interface of detectors and image features that users bring along; none comes with Swerve."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8

from swerve.scenes import SwerveError

Image = UInt8[np.ndarray, "h w 3"]


class VehicleDetector(Protocol):
    """Detector of vehicles, for `box_iou`."""

    def vehicles(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "n 4"]:
        """Return the boxes of the vehicles in an RGB image: left, top, right, bottom, in pixels from its corner."""


class LineDetector(Protocol):
    """Detector of painted lane lines, for `line_iou`."""

    def lines(self, image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
        """Return the pixels of lane lines in an RGB image."""


class FeatureExtractor(Protocol):
    """Image features, for `frechet_distance`."""

    def features(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "d"]:
        """Return the features of an RGB image, always as many."""


@dataclass(frozen=True)
class Detector:
    """Methods of a user's object; None for those it lacks.

    Attributes:
        vehicles: see `VehicleDetector`.
        lines: see `LineDetector`.
        features: see `FeatureExtractor`.
    """

    vehicles: Callable[[Image], np.ndarray] | None = None
    lines: Callable[[Image], np.ndarray] | None = None
    features: Callable[[Image], np.ndarray] | None = None

    @classmethod
    def of(cls, name: str, found: object) -> "Detector":
        """Return the methods of an object; what they return is checked at every call.

        Raises:
            SwerveError: it has none of the methods.
        """
        methods = {one: getattr(found, one, None) for one in ("vehicles", "lines", "features")}
        given = {one: method for one, method in methods.items() if callable(method)}
        if not given:
            raise SwerveError(
                f"detector {name}: needs a method vehicles(image), lines(image) or features(image); "
                "docs/splat_quality.md has an example"
            )
        checks = {"vehicles": _boxes, "lines": _mask, "features": _features}
        return cls(**{one: _checked(name, one, method, checks[one]) for one, method in given.items()})


def _checked(
    name: str, method: str, function: Callable[[Image], object], check: Callable[[np.ndarray, Image], bool]
) -> Callable[[Image], np.ndarray]:
    """Return a user's function with one clear error for whatever goes wrong in it."""

    def call(image: Image) -> np.ndarray:
        try:
            found = np.asarray(function(image))
        except Exception as error:
            raise SwerveError(f"detector {name}: {method} failed ({type(error).__name__}: {error})") from error
        if not check(found, image):
            raise SwerveError(
                f"detector {name}: {method} returned an array of shape {found.shape}, {found.dtype}; it must return "
                "boxes (n, 4), lines a mask (h, w) of bool, features finite numbers (d,)"
            )
        return found

    return call


def _boxes(found: np.ndarray, _: Image) -> bool:
    if found.ndim != 2 or found.shape[1] != 4 or found.dtype.kind not in "fiu":
        return False
    return bool(np.isfinite(found).all() and (found[:, :2] <= found[:, 2:]).all())


def _mask(found: np.ndarray, image: Image) -> bool:
    return found.shape == image.shape[:2] and found.dtype == bool


def _features(found: np.ndarray, _: Image) -> bool:
    return found.ndim == 1 and found.dtype.kind in "fiu" and bool(np.isfinite(found).all())
