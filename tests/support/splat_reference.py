"""Reference renderer of Gaussians: float64, every Gaussian at every pixel, gradients by torch's autograd.

Shares no formula with the kernels: rotations by the vector form, covariances whole, conics by matrix inverse, the
lens's derivative by automatic differentiation, harmonics by Legendre functions.
"""

import math

import torch
from scipy.special import factorial

from swerve.scenes import LensModel

torch.set_num_threads(1)


def draw(means, quaternions, log_scales, logits, harmonics, camera, camera_from_world, shifts=None):
    """Compute sums of weight x colour, weight x depth, weight, and the weights by Gaussian; all float64 tensors.

    `shifts` moves the Gaussians in the image, in pixels.
    """
    points = means @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    bent = camera.lens.model != LensModel.PINHOLE
    reach = camera.lens.limit if bent else math.inf
    ahead = (points[:, 2] > 0.05) & (points[:, :2].norm(dim=1) <= reach * points[:, 2])
    visible = torch.nonzero(ahead)[:, 0]
    visible = visible[torch.argsort(points[visible, 2].detach(), stable=True)]
    points = points[visible]
    centers, jacobians = _project(points, camera)
    if shifts is not None:
        centers = centers + shifts[visible]
    spread = _rotations(quaternions[visible]) * log_scales[visible].exp()[:, None, :]
    carried = jacobians @ camera_from_world[:3, :3] @ spread
    covariances = carried @ carried.mT + 0.3 * torch.eye(2, dtype=torch.float64)
    directions = means[visible] + camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
    directions = directions / directions.norm(dim=1, keepdim=True)
    basis = harmonics_at(directions, harmonics.shape[1])
    colors = (0.5 + (basis[:, :, None] * harmonics[visible]).sum(1)).clamp_min(0)
    weights, light = _blend(centers, torch.linalg.inv(covariances), torch.sigmoid(logits[visible]), camera)
    image = torch.einsum("nhw,nc->hwc", weights, colors)
    depth = torch.einsum("nhw,n->hw", weights, points[:, 2])
    by_gaussian = torch.zeros((len(means), *light.shape), dtype=torch.float64)
    by_gaussian[visible] = weights.detach()
    return image, depth, 1 - light, by_gaussian


def harmonics_at(directions, count):
    """Evaluate real spherical harmonics from their definition, with the signs of 3D Gaussian Splatting."""
    x, y, z = directions.unbind(1)
    columns = []
    for degree in range(math.isqrt(count)):
        for order in range(-degree, degree + 1):
            m = abs(order)
            norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * factorial(degree - m) / factorial(degree + m))
            # r^m cos(m phi) and r^m sin(m phi), without the angle.
            power = torch.complex(x, y) ** m
            around = power.imag if order < 0 else power.real
            columns.append((-1) ** m * norm * (math.sqrt(2) if m else 1) * _legendre_over_sine(degree, m, z) * around)
    return torch.stack(columns, 1)


def _legendre_over_sine(degree, m, z):
    """Compute the m-th derivative of the Legendre polynomial: P_l^m over sin^m without the Condon-Shortley sign."""
    coefficients = [0.0] * (degree + 1)
    for k in range(degree // 2 + 1):
        numerator = (-1) ** k * factorial(2 * degree - 2 * k)
        denominator = 2**degree * factorial(k) * factorial(degree - k) * factorial(degree - 2 * k)
        coefficients[degree - 2 * k] = numerator / denominator
    for _ in range(m):
        coefficients = [power * c for power, c in enumerate(coefficients)][1:]
    return sum((c * z**power for power, c in enumerate(coefficients)), torch.zeros_like(z))


def _project(points, camera):
    """Compute pixels, and the derivative of the pixel by the point, evaluated near the image."""

    def pixel(point):
        x, y = _bend(camera.lens, point[0] / point[2], point[1] / point[2])
        return torch.stack([camera.fx * x + camera.cx, camera.fy * y + camera.cy])

    low, high = _extent(camera)
    margin = 0.15 * (high - low)
    ideal = (points[:, :2] / points[:, 2:]).clamp(low - margin, high + margin)
    inner = torch.cat([ideal * points[:, 2:], points[:, 2:]], 1)
    return torch.func.vmap(pixel)(points), torch.func.vmap(torch.func.jacrev(pixel))(inner)


def _extent(camera):
    """Return the ideal image's extent; a lens's is the program's (it affects no visible result)."""
    if camera.lens.model != LensModel.PINHOLE:
        from swerve.rasterizer.optics import lens_table

        left, right, top, bottom = lens_table(camera).bounds
        return torch.tensor([left, top]).double(), torch.tensor([right, bottom]).double()
    focal = torch.tensor([camera.fx, camera.fy], dtype=torch.float64)
    center = torch.tensor([camera.cx, camera.cy], dtype=torch.float64)
    return -center / focal, (torch.tensor([camera.width, camera.height]) - center) / focal


def _bend(lens, x, y):
    """Apply OpenCV's distortion formulas."""
    if lens.model == LensModel.PINHOLE:
        return x, y
    r2 = x * x + y * y
    if lens.model == LensModel.FISHEYE:
        k1, k2, k3, k4 = lens.coefficients
        r = r2.sqrt()
        t = torch.atan(r)
        scale = t * (1 + k1 * t**2 + k2 * t**4 + k3 * t**6 + k4 * t**8) / r
        return x * scale, y * scale
    k1, k2, p1, p2, k3, k4, k5, k6 = [*lens.coefficients, *[0.0] * (8 - len(lens.coefficients))]
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    return bent_x, y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y


def _rotations(quaternions):
    """Return rotation matrices by the vector form: v + 2 w (q x v) + 2 q x (q x v)."""
    unit = quaternions / quaternions.norm(dim=1, keepdim=True)
    w, q = unit[:, :1], unit[:, 1:]
    columns = []
    for axis in torch.eye(3, dtype=torch.float64):
        v = axis.expand_as(q)
        cross = torch.linalg.cross(q, v)
        columns.append(v + 2 * w * cross + 2 * torch.linalg.cross(q, cross))
    return torch.stack(columns, 2)


def _blend(centers, conics, opacities, camera):
    """Compute weights by Gaussian and pixel, and the final transmittance."""
    u = torch.arange(camera.width, dtype=torch.float64) + 0.5
    v = torch.arange(camera.height, dtype=torch.float64) + 0.5
    light = torch.ones((camera.height, camera.width), dtype=torch.float64)
    live = torch.ones_like(light, dtype=torch.bool)
    weights = []
    for center, conic, opacity in zip(centers, conics, opacities, strict=True):
        dx, dy = (u - center[0])[None, :], (v - center[1])[:, None]
        distance = conic[0, 0] * dx**2 + 2 * conic[0, 1] * dx * dy + conic[1, 1] * dy**2
        covers = (opacity * torch.exp(-distance / 2)).clamp_max(0.999)
        seen = covers >= 1 / 255
        left = light * (1 - covers)
        live = live & ~(seen & (left <= 1e-4))
        weights.append(torch.where(seen & live, light * covers, 0.0))
        light = torch.where(seen & live, left, light)
    if not weights:
        return torch.zeros((0, camera.height, camera.width), dtype=torch.float64), light
    return torch.stack(weights), light
