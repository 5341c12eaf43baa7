"""Projection of Gaussians to image ellipses: elliptical weighted averaging (Zwicker et al. 2001).

A Gaussian's covariance is propagated to the image by the derivative of the projection at its centre, lens included, and
widened by a blur of about a pixel. Sums are made in float64: their cost is small relative to blending.

An ellipse of covariance (xx, xy, yy) is stored in the form that a pixel row needs: along a row dy below the centre the
exponent is -a (x - u - slope dy)^2 / 2 - h dy^2 / 2 with h = 1 / yy, slope = xy / yy, a = 1 / (xx - xy^2 / yy). No
large terms cancel, unlike in the usual form with its product of x and y for thin slanted ellipses.
"""

import math

import numba
import numpy as np

from swerve.rasterizer.splats import harmonics_kernels
from swerve.scenes.kernel_options import INTERNAL
from swerve.scenes.lens_kernels import PINHOLE, distort

# Columns of an ellipse. REACH is the square of the Mahalanobis distance at which its opacity falls to `FAINTEST`;
# negative outside the image.
U, V, A, SLOPE, H, OPACITY, RED, GREEN, BLUE, DEPTH, REACH = range(11)
COLUMNS = 12
MIN_ALPHA = 1.0 / 255.0
# The derivative is evaluated at most this fraction of width and height outside of the image (as in gsplat): farther
# out, the affine approximation is invalid.
_MARGIN = 0.15
STEP = 1e-3


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project(cloud, view, first, last, ellipses):
    """Project the Gaussians `first` to `last` to ellipses.

    Args:
        cloud: `Cloud` of the module pipeline.
        view: `ViewPoint` of the module pipeline.
        first: row of the Gaussians.
        last: the row after the last.
        ellipses: float32 (n, COLUMNS), written.
    """
    r = view.camera_from_local
    camera = np.empty(3)
    rotation = np.empty((3, 3))
    axes = np.empty((3, 3))
    jacobian = np.empty((2, 3))
    lens = np.empty((3, 2, 2))
    values = np.empty(harmonics_kernels.MOST)
    for n in range(first, last):
        ellipse = ellipses[n]
        ellipse[REACH] = -1.0
        to_camera(r, cloud.means, n, camera)
        opacity = 1.0 / (1.0 + math.exp(-cloud.opacity_logits[n]))
        if not camera[2] > view.near or not opacity > MIN_ALPHA:
            continue
        x, y = camera[0] / camera[2], camera[1] / camera[2]
        if x * x + y * y > view.limit * view.limit:
            continue
        dx, dy = distort(view.optics.model, view.optics.coefficients, view.optics.limit, x, y)
        u, v = view.optics.fx * dx + view.optics.cx, view.optics.fy * dy + view.optics.cy
        jacobian_at(view, x, y, camera[2], lens, jacobian)
        principal_axes(cloud, n, rotation, axes)
        xx, xy, yy = _covariance(jacobian, r, axes)
        xx += view.blur
        yy += view.blur
        reach = 2.0 * math.log(opacity / MIN_ALPHA)
        wide, high = math.sqrt(reach * xx), math.sqrt(reach * yy)
        if u + wide < 0 or u - wide > view.optics.width or v + high < 0 or v - high > view.optics.height:
            continue
        ellipse[U], ellipse[V], ellipse[SLOPE], ellipse[H] = u, v, xy / yy, 1.0 / yy
        ellipse[A] = yy / (xx * yy - xy * xy)
        ellipse[OPACITY], ellipse[DEPTH], ellipse[REACH] = opacity, camera[2], reach
        _shade(cloud, view, n, values, ellipse)


@numba.njit(cache=True, nogil=True)
def to_camera(camera_from_local, means, n, out):
    """Transform the centre of a Gaussian to the camera frame."""
    for i in range(3):
        row = camera_from_local[i]
        out[i] = row[0] * means[n, 0] + row[1] * means[n, 1] + row[2] * means[n, 2] + row[3]


@numba.njit(cache=True, nogil=True)
def principal_axes(cloud, n, rotation, axes):
    """Compute the rotation of a Gaussian, and its principal axes as columns, each as long as its standard deviation."""
    w, x, y, z = cloud.quaternions[n, 0], cloud.quaternions[n, 1], cloud.quaternions[n, 2], cloud.quaternions[n, 3]
    w, x, y, z = np.float64(w), np.float64(x), np.float64(y), np.float64(z)
    scale = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * scale, x * scale, y * scale, z * scale
    rotation[0, 0] = 1.0 - 2.0 * (y * y + z * z)
    rotation[0, 1] = 2.0 * (x * y - w * z)
    rotation[0, 2] = 2.0 * (x * z + w * y)
    rotation[1, 0] = 2.0 * (x * y + w * z)
    rotation[1, 1] = 1.0 - 2.0 * (x * x + z * z)
    rotation[1, 2] = 2.0 * (y * z - w * x)
    rotation[2, 0] = 2.0 * (x * z - w * y)
    rotation[2, 1] = 2.0 * (y * z + w * x)
    rotation[2, 2] = 1.0 - 2.0 * (x * x + y * y)
    for k in range(3):
        size = math.exp(cloud.log_scales[n, k])
        for i in range(3):
            axes[i, k] = rotation[i, k] * size


@numba.njit(cache=True, nogil=True)
def clamped(view, x, y):
    """Return the point of the ideal image at which the derivative is evaluated."""
    left, right, top, bottom = view.bounds
    wide, high = _MARGIN * (right - left), _MARGIN * (bottom - top)
    return min(max(x, left - wide), right + wide), min(max(y, top - high), bottom + high)


@numba.njit(cache=True, nogil=True)
def jacobian_at(view, x, y, z, lens, out):
    """Compute the derivative of the pixel by the point in the camera frame at ideal coordinates (x, y) and depth z.

    `lens[0]` becomes the derivative of the pixel by the ideal coordinates.
    """
    x, y = clamped(view, x, y)
    lens_slope(view.optics, x, y, lens[0])
    for i in range(2):
        out[i, 0] = lens[0, i, 0] / z
        out[i, 1] = lens[0, i, 1] / z
        out[i, 2] = -(lens[0, i, 0] * x + lens[0, i, 1] * y) / z


@numba.njit(cache=True, nogil=True)
def lens_slope(optics, x, y, out):
    """Compute the derivative of the pixel by the ideal coordinates: central differences (to 1e-6) with distortion."""
    out[0, 0], out[1, 1], out[0, 1], out[1, 0] = optics.fx, optics.fy, 0.0, 0.0
    if optics.model == PINHOLE:
        return
    c, limit, step = optics.coefficients, optics.limit, STEP
    right, right_y = distort(optics.model, c, limit, x + step, y)
    left, left_y = distort(optics.model, c, limit, x - step, y)
    down_x, down = distort(optics.model, c, limit, x, y + step)
    up_x, up = distort(optics.model, c, limit, x, y - step)
    out[0, 0], out[0, 1] = optics.fx * (right - left) / (2 * step), optics.fx * (down_x - up_x) / (2 * step)
    out[1, 0], out[1, 1] = optics.fy * (right_y - left_y) / (2 * step), optics.fy * (down - up) / (2 * step)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _covariance(jacobian, camera_from_local, axes):
    """Compute the image covariance (xx, xy, yy) from the principal axes."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for k in range(3):
        u, v = 0.0, 0.0
        for i in range(3):
            row = camera_from_local[i]
            along = row[0] * axes[0, k] + row[1] * axes[1, k] + row[2] * axes[2, k]
            u += jacobian[0, i] * along
            v += jacobian[1, i] * along
        xx += u * u
        xy += u * v
        yy += v * v
    return xx, xy, yy


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _shade(cloud, view, n, values, ellipse):
    """Compute the colour of the Gaussian seen from the camera."""
    x, y, z = cloud.means[n, 0] - view.eye[0], cloud.means[n, 1] - view.eye[1], cloud.means[n, 2] - view.eye[2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    count = cloud.sh_coefficients.shape[1]
    harmonics_kernels.basis(count, x * scale, y * scale, z * scale, values)
    red, green, blue = 0.5, 0.5, 0.5
    for k in range(count):
        red += values[k] * cloud.sh_coefficients[n, k, 0]
        green += values[k] * cloud.sh_coefficients[n, k, 1]
        blue += values[k] * cloud.sh_coefficients[n, k, 2]
    ellipse[RED], ellipse[GREEN], ellipse[BLUE] = max(red, 0.0), max(green, 0.0), max(blue, 0.0)
