"""Backward pass of `project_kernels`, by the chain rule from an ellipse back to its Gaussian and to the camera.

Notation: W the camera's rotation, M the principal axes as columns, J the derivative of the pixel by the point, so that
the ellipse's covariance is B B^T plus the blur with B = J W M. `by_x` is the loss's derivative by x.
"""

import math

import numba
import numpy as np

from swerve.rasterizer.splats import harmonics_kernels
from swerve.rasterizer.splats.project_kernels import (
    BLUE,
    DEPTH,
    GREEN,
    OPACITY,
    RED,
    SLOPE,
    STEP,
    A,
    H,
    U,
    V,
    clamped,
    jacobian_at,
    lens_slope,
    principal_axes,
    to_camera,
)
from swerve.scenes.kernel_options import INTERNAL
from swerve.scenes.lens_kernels import PINHOLE


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project_gradients(cloud, view, places, ellipses, by_ellipse, first, last, out, by_pose):
    """Compute derivatives of a loss by the Gaussians `first` to `last`; Gaussians without an ellipse are skipped.

    Args:
        cloud: `Cloud` of the forward pass.
        view: `ViewPoint`.
        places: the ellipse of each Gaussian, or -1.
        ellipses: ellipses of the forward pass.
        by_ellipse: the loss's derivatives by the columns of the ellipses.
        first: row of the Gaussians.
        last: the row after the last.
        out: `Cloud` of the same shapes, for the derivatives.
        by_pose: float64 (3, 4), to which those by `camera_from_local` are added.
    """
    point, by_point, by_mean = np.empty(3), np.empty(3), np.empty(3)
    values, slopes = np.empty(harmonics_kernels.MOST), np.empty((harmonics_kernels.MOST, 3))
    room = (np.empty((4, 3, 3)), np.empty((2, 2, 3)), np.empty((4, 2, 2)))
    for n in range(first, last):
        m = places[n]
        if m < 0:
            continue
        to_camera(view.camera_from_local, cloud.means, n, point)
        _carry_shape(cloud, view, n, point, ellipses[m], by_ellipse[m], room, out, by_pose, by_point)
        _carry_center(view, point, by_ellipse[m], room[2][3], by_point)
        _carry_color(cloud, view, n, ellipses[m], by_ellipse[m], values, slopes, out, by_pose, by_mean)
        opacity = np.float64(ellipses[m, OPACITY])
        out.opacity_logits[n] = by_ellipse[m, OPACITY] * opacity * (1.0 - opacity)
        for j in range(3):
            for i in range(3):
                by_mean[j] += view.camera_from_local[i, j] * by_point[i]
                by_pose[i, j] += by_point[i] * cloud.means[n, j]
            by_pose[j, 3] += by_point[j]
            out.means[n, j] = by_mean[j]


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_shape(cloud, view, n, point, ellipse, by_ellipse, room, out, by_pose, by_point):
    """Write the derivatives by scales and quaternion; `by_point` becomes that of the shape by the centre.

    `room` is work memory, reused between Gaussians.
    """
    rotation, axes, turned, by_turned = room[0][0], room[0][1], room[0][2], room[0][3]
    jacobian, by_jacobian, lens = room[1][0], room[1][1], room[2]
    by_jacobian[:] = 0.0
    x, y = point[0] / point[2], point[1] / point[2]
    jacobian_at(view, x, y, point[2], lens, jacobian)
    principal_axes(cloud, n, rotation, axes)
    by_xx, by_xy, by_yy = _by_covariance(ellipse, by_ellipse)
    for k in range(3):
        for i in range(3):
            row = view.camera_from_local[i]
            turned[i, k] = row[0] * axes[0, k] + row[1] * axes[1, k] + row[2] * axes[2, k]
        u = jacobian[0, 0] * turned[0, k] + jacobian[0, 1] * turned[1, k] + jacobian[0, 2] * turned[2, k]
        v = jacobian[1, 0] * turned[0, k] + jacobian[1, 1] * turned[1, k] + jacobian[1, 2] * turned[2, k]
        by_u, by_v = 2.0 * by_xx * u + by_xy * v, 2.0 * by_yy * v + by_xy * u
        for i in range(3):
            by_jacobian[0, i] += by_u * turned[i, k]
            by_jacobian[1, i] += by_v * turned[i, k]
            by_turned[i, k] = by_u * jacobian[0, i] + by_v * jacobian[1, i]
    _carry_axes(cloud, view, n, rotation, axes, by_turned, out, by_pose)
    _carry_jacobian(view, x, y, point[2], lens, jacobian, by_jacobian, by_point)


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _by_covariance(ellipse, by_ellipse):
    """Compute derivatives by the covariance (xx, xy, yy) in the image."""
    a, slope, h = np.float64(ellipse[A]), np.float64(ellipse[SLOPE]), np.float64(ellipse[H])
    by_xx = -a * a * by_ellipse[A]
    by_xy = h * by_ellipse[SLOPE] - 2.0 * slope * by_xx
    by_yy = -h * h * by_ellipse[H] - slope * h * by_ellipse[SLOPE] + slope * slope * by_xx
    return by_xx, by_xy, by_yy


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_axes(cloud, view, n, rotation, axes, by_turned, out, by_pose):
    """Propagate from the principal axes in the camera frame to scales, quaternion and the camera's rotation."""
    by_rotation = np.empty((3, 3))
    for k in range(3):
        size, along = math.exp(cloud.log_scales[n, k]), 0.0
        for j in range(3):
            by_axis = 0.0
            for i in range(3):
                by_axis += view.camera_from_local[i, j] * by_turned[i, k]
                by_pose[i, j] += by_turned[i, k] * axes[j, k]
            along += by_axis * axes[j, k]
            by_rotation[j, k] = by_axis * size
        out.log_scales[n, k] = along
    _carry_quaternion(cloud.quaternions[n], by_rotation, out.quaternions[n])


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_quaternion(quaternion, g, out):
    """Propagate from the rotation's entries `g` to the quaternion, whose length has no effect."""
    w, x, y, z = quaternion
    w, x, y, z = np.float64(w), np.float64(x), np.float64(y), np.float64(z)
    scale = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * scale, x * scale, y * scale, z * scale
    by_w = 2.0 * (x * (g[2, 1] - g[1, 2]) + y * (g[0, 2] - g[2, 0]) + z * (g[1, 0] - g[0, 1]))
    by_x = 2.0 * (y * (g[0, 1] + g[1, 0]) + z * (g[0, 2] + g[2, 0]) + w * (g[2, 1] - g[1, 2]))
    by_x -= 4.0 * x * (g[1, 1] + g[2, 2])
    by_y = 2.0 * (x * (g[0, 1] + g[1, 0]) + z * (g[1, 2] + g[2, 1]) + w * (g[0, 2] - g[2, 0]))
    by_y -= 4.0 * y * (g[0, 0] + g[2, 2])
    by_z = 2.0 * (x * (g[0, 2] + g[2, 0]) + y * (g[1, 2] + g[2, 1]) + w * (g[1, 0] - g[0, 1]))
    by_z -= 4.0 * z * (g[0, 0] + g[1, 1])
    along = by_w * w + by_x * x + by_y * y + by_z * z
    out[0], out[1] = (by_w - along * w) * scale, (by_x - along * x) * scale
    out[2], out[3] = (by_y - along * y) * scale, (by_z - along * z) * scale


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_jacobian(view, x, y, z, lens, jacobian, by_jacobian, by_point):
    """Propagate from the derivative of the pixel by the point to the point."""
    inner_x, inner_y = clamped(view, x, y)
    _lens_curvature(view.optics, inner_x, inner_y, lens)
    by_x, by_y, by_z = 0.0, 0.0, 0.0
    for i in range(2):
        by_x -= by_jacobian[i, 2] * lens[0, i, 0] / z
        by_y -= by_jacobian[i, 2] * lens[0, i, 1] / z
        by_first = (by_jacobian[i, 0] - by_jacobian[i, 2] * inner_x) / z
        by_second = (by_jacobian[i, 1] - by_jacobian[i, 2] * inner_y) / z
        by_x += by_first * lens[1, i, 0] + by_second * lens[1, i, 1]
        by_y += by_first * lens[2, i, 0] + by_second * lens[2, i, 1]
        for j in range(3):
            by_z -= by_jacobian[i, j] * jacobian[i, j] / z
    by_x = by_x if inner_x == x else 0.0
    by_y = by_y if inner_y == y else 0.0
    by_point[0], by_point[1], by_point[2] = by_x / z, by_y / z, by_z - (by_x * x + by_y * y) / z


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _lens_curvature(optics, x, y, lens):
    """Write the derivatives of `lens_slope` by x and y to `lens[1]` and `lens[2]`."""
    lens[1:3] = 0.0
    if optics.model == PINHOLE:
        return
    before = lens[3]
    for axis in range(2):
        dx, dy = STEP * (1 - axis), STEP * axis
        lens_slope(optics, x + dx, y + dy, lens[1 + axis])
        lens_slope(optics, x - dx, y - dy, before)
        for i in range(2):
            for j in range(2):
                lens[1 + axis, i, j] = (lens[1 + axis, i, j] - before[i, j]) / (2 * STEP)


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_center(view, point, by_ellipse, lens, by_point):
    """Add the derivatives by the centre's pixel and depth to `by_point`."""
    z = point[2]
    x, y = point[0] / z, point[1] / z
    lens_slope(view.optics, x, y, lens)
    by_x = by_ellipse[U] * lens[0, 0] + by_ellipse[V] * lens[1, 0]
    by_y = by_ellipse[U] * lens[0, 1] + by_ellipse[V] * lens[1, 1]
    by_point[0] += by_x / z
    by_point[1] += by_y / z
    by_point[2] += by_ellipse[DEPTH] - (by_x * x + by_y * y) / z


@numba.njit(cache=True, nogil=True, inline="always", **INTERNAL)
def _carry_color(cloud, view, n, ellipse, by_ellipse, values, slopes, out, by_pose, by_mean):
    """Write the derivatives by harmonics; `by_mean` becomes that of the colour by the centre."""
    d = np.empty(3)
    for i in range(3):
        d[i] = cloud.means[n, i] - view.eye[i]
    scale = 1.0 / math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    for i in range(3):
        d[i] *= scale
    count = cloud.sh_coefficients.shape[1]
    harmonics_kernels.basis(count, d[0], d[1], d[2], values)
    harmonics_kernels.slopes(count, d[0], d[1], d[2], slopes)
    by_red = by_ellipse[RED] if ellipse[RED] > 0 else np.float32(0.0)
    by_green = by_ellipse[GREEN] if ellipse[GREEN] > 0 else np.float32(0.0)
    by_blue = by_ellipse[BLUE] if ellipse[BLUE] > 0 else np.float32(0.0)
    by_mean[:] = 0.0
    for k in range(count):
        own, others = out.sh_coefficients[n, k], cloud.sh_coefficients[n, k]
        own[0], own[1], own[2] = by_red * values[k], by_green * values[k], by_blue * values[k]
        by_value = by_red * others[0] + by_green * others[1] + by_blue * others[2]
        for i in range(3):
            by_mean[i] += by_value * slopes[k, i]
    along = d[0] * by_mean[0] + d[1] * by_mean[1] + d[2] * by_mean[2]
    for i in range(3):
        by_mean[i] = (by_mean[i] - along * d[i]) * scale
    # The camera centre is -W^T t, so its sign is opposite.
    for i in range(3):
        for j in range(3):
            by_pose[i, j] += view.camera_from_local[i, 3] * by_mean[j]
            by_pose[i, 3] += view.camera_from_local[i, j] * by_mean[j]
