"""Agreement of the lane lines in a view with those that the raster projects, after NTL-IoU.

NTL-IoU ("novel trajectory lane IoU") is of DriveDreamer4D (Zhao et al. 2024, arXiv 2410.13571): the IoU of the lane
pixels that a network finds in a view beside the path and those of the projected map. Here a classical operator stands
for the network, whose weights Swerve does not have.
"""

import numpy as np
import scipy
from jaxtyping import Bool, Float, UInt8

from swerve.rasterizer import View
from swerve.scenes.primitives import Semantic

LINES = (Semantic.LINE_WHITE, Semantic.LINE_YELLOW, Semantic.LINE_BLUE)
# What may lie under a line, or beside it.
_GROUND = (Semantic.ROAD, Semantic.INTERSECTION, Semantic.CAR_PARK, Semantic.CROSSING, Semantic.STOP_LINE, *LINES)
# Metres: farther lines are thinner than a pixel in images a few hundred pixels wide.
_REACH = 25.0
# Metres to either side at which the road is compared with paint, which is 0.1 to 0.2 m wide.
_BESIDE = 0.35
# Least difference of luminance from the road on both sides, of 1.
_CONTRAST = 0.06
# Images with fewer pixels of lines are not measured.
_LEAST_SHARE = 0.001
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_AROUND = np.ones((3, 3), bool)


def line_iou(found: Bool[np.ndarray, "h w"], raster: View) -> float:
    """Compute the IoU of lane lines found in a view and those of the raster, both thickened by a pixel.

    Counted are pixels in which the raster shows the ground within 25 m: what else looks like a line does not count.

    Returns:
        0 to 1; NaN if the raster's lines fill less than a thousandth of the image.
    """
    assert raster.semantic is not None
    ground = _near_ground(raster)
    true = np.isin(raster.semantic, LINES) & ground
    if true.sum() < _LEAST_SHARE * true.size:
        return np.nan
    thick_true, thick_found = (scipy.ndimage.binary_dilation(one, _AROUND) & ground for one in (true, found & ground))
    return float((thick_true & thick_found).sum() / (thick_true | thick_found).sum())


def bright_lines(image: UInt8[np.ndarray, "h w 3"], raster: View) -> Bool[np.ndarray, "h w"]:
    """Find lane lines as what is brighter than the road on both sides of it: the symmetric local threshold.

    A pixel is compared with those 0.35 m to the left and to the right of it in the world, by the raster's depth: the
    window of Veit et al. 2008 ("Evaluation of road marking feature extraction") for a known ground. Lines across the
    view, such as stop lines, are not found, nor are lines in deep shadow.
    """
    assert raster.depth is not None
    ground = _near_ground(raster)
    shift = raster.camera.fx * _BESIDE / np.where(ground, raster.depth, np.inf)
    brightness = image @ _LUMINANCE / 255.0
    rows, columns = np.nonzero(ground)
    own = brightness[rows, columns]
    beside = np.maximum(
        *(_at(brightness, rows, columns + sign * np.ceil(shift[rows, columns]).astype(int)) for sign in (-1, 1))
    )
    found = np.zeros(ground.shape, bool)
    found[rows, columns] = own - beside > _CONTRAST
    return found


def _near_ground(raster: View) -> Bool[np.ndarray, "h w"]:
    """Return the pixels in which the raster shows the ground near the camera."""
    assert raster.semantic is not None
    assert raster.depth is not None
    near: Bool[np.ndarray, "h w"] = np.isin(raster.semantic, _GROUND) & (raster.depth < _REACH)
    return near


def _at(brightness: Float[np.ndarray, "h w"], rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "n"]:
    """Return the brightness of pixels; infinite outside of the image, where no line can be told."""
    width = brightness.shape[1]
    values = brightness[rows, np.clip(columns, 0, width - 1)]
    return np.where((columns >= 0) & (columns < width), values, np.inf)
