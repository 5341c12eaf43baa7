"""Camera calibration from a sample's JSON."""

from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.scenes import Camera, Lens, LensModel
from swerve.scenes.transforms import inverse


def camera_of(entry: dict[str, Any]) -> Camera:
    """Return the camera of an entry of the JSON's `cameras`, as used for its raster."""
    lens = Lens(LensModel[entry["lens"].upper()], tuple(entry["coefficients"]))
    numbers = {name: entry[name] for name in ("width", "height", "fx", "fy", "cx", "cy")}
    return Camera(entry["name"], ego_from_camera=np.array(entry["ego_from_camera"]), lens=lens, **numbers)


def camera_from_ego(entry: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    """Return the transform from the sample's ego frame to the camera's, at the time of the image."""
    return inverse(np.array(entry["now_from_capture"]) @ np.array(entry["ego_from_camera"]))
