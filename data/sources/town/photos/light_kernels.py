"""Lighting of visible triangles: radiance per pixel."""

import math

import numba
import numpy as np

from swerve.data.sources.town.photos.material_kernels import COATED, LAMP, LAST_OF_GROUND, LEAVES, albedo
from swerve.data.sources.town.photos.noise_kernels import COMPILED, step
from swerve.data.sources.town.photos.sky_kernels import look_up
from swerve.scenes.kernel_options import INTERNAL

# Samples per pixel: two rows of two.
_POINTS = 4


@numba.njit(**COMPILED)
def light_image(seen, rays_x, rays_y, pose, spread, surfaces, world, light, out):
    """Compute the radiance of every pixel, the mean over its four samples.

    Samples that share a triangle are evaluated once, at the mean of their rays.

    Args:
        seen: int32 (2h, 2w): index of the triangle at each sample, from 1; 0 for the sky.
        rays_x: float32 (2h, 2w): x / z of the ray through each sample, camera frame; NaN for none.
        rays_y: y / z of the ray through each sample.
        pose: (3, 4): world_from_camera.
        spread: tangent of a pixel's angular size.
        surfaces: `Surfaces` of the module studio.
        world: `World`.
        light: `Light`.
        out: float32 (h, w, 3), linear.
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            r, g, b = 0.0, 0.0, 0.0
            done = 0
            for k in range(_POINTS):
                if done & (1 << k):
                    continue
                triangle = seen[2 * row + (k >> 1), 2 * column + (k & 1)]
                count, x, y = 0, 0.0, 0.0
                for other in range(k, _POINTS):
                    i, j = 2 * row + (other >> 1), 2 * column + (other & 1)
                    if seen[i, j] == triangle:
                        done |= 1 << other
                        count += 1
                        x += rays_x[i, j]
                        y += rays_y[i, j]
                tone = _light_along(x / count, y / count, triangle - 1, pose, spread, surfaces, world, light)
                r, g, b = r + count * tone[0], g + count * tone[1], b + count * tone[2]
            out[row, column, 0] = np.float32(0.25 * r)
            out[row, column, 1] = np.float32(0.25 * g)
            out[row, column, 2] = np.float32(0.25 * b)


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _light_along(x, y, triangle, pose, spread, surfaces, world, light):
    """Compute the radiance along a ray from a triangle, or from the sky."""
    if not (x == x and y == y):
        return 0.0, 0.0, 0.0
    dx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2]
    dy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2]
    dz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    if triangle < 0:
        return look_up(world.sky, dx / length, dy / length, dz / length)
    plane = surfaces.planes[triangle]
    facing = plane[0] * dx + plane[1] * dy + plane[2] * dz
    apart = plane[3] - plane[0] * pose[0, 3] - plane[1] * pose[1, 3] - plane[2] * pose[2, 3]
    depth = min(apart / min(facing, -1e-5), 900.0)
    p = (pose[0, 3] + depth * dx, pose[1, 3] + depth * dy, pose[2, 3] + depth * dz)
    way = (dx / length, dy / length, dz / length)
    distance = depth * length
    slant = max(-facing / length, 0.02)
    # Footprint between the two axes of the pixel's ellipse: sharper than the longer one.
    footprint = 1.2 * distance * spread / slant**0.7 + 1e-4
    tone = _reflected(p, way, footprint, triangle, surfaces, world, light)
    haze = 1.0 - math.exp(-distance * light.haze[3])
    return (
        tone[0] + haze * (light.haze[0] - tone[0]),
        tone[1] + haze * (light.haze[1] - tone[1]),
        tone[2] + haze * (light.haze[2] - tone[2]),
    )


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _reflected(p, way, footprint, triangle, surfaces, world, light):
    """Compute a surface's reflection: diffuse light of sun, sky and ground, mirrored sky, and emission."""
    material = surfaces.materials[triangle]
    frame = surfaces.frames[triangle]
    normal = _normal_at(surfaces, triangle, p)
    across = (frame[3], frame[4])
    r, g, b, gloss, glow = albedo(
        material, surfaces.tints[triangle], frame, p, across, footprint, world.table, light.season
    )
    if material == LAMP:
        return r * light.lamps, g * light.lamps, b * light.lamps
    sun, open_sky = _received(material, normal, p, world, light)
    up = 0.5 + 0.5 * normal[2]
    tones = (r, g, b)
    red = tones[0] * (sun * light.sun[0] + open_sky * (light.below[0] + up * (light.above[0] - light.below[0])))
    green = tones[1] * (sun * light.sun[1] + open_sky * (light.below[1] + up * (light.above[1] - light.below[1])))
    blue = tones[2] * (sun * light.sun[2] + open_sky * (light.below[2] + up * (light.above[2] - light.below[2])))
    if gloss > 0.0:
        mirror = _mirrored(normal, way, gloss, open_sky, world, light)
        red, green, blue = red + mirror[0], green + mirror[1], blue + mirror[2]
    if glow > 0.0:
        red, green, blue = red + 1.3 * glow * r, green + 1.3 * glow * g, blue + 1.3 * glow * b
    return red, green, blue


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _normal_at(surfaces, triangle, p):
    """Return the normal, interpolated between the vertex normals on curved surfaces."""
    if not surfaces.curved[triangle]:
        plane = surfaces.planes[triangle]
        return plane[0], plane[1], plane[2]
    a, b = surfaces.edges[triangle, 0], surfaces.edges[triangle, 1]
    corner = surfaces.corners[triangle]
    x, y, z = p[0] - corner[0], p[1] - corner[1], p[2] - corner[2]
    # Rows of `edges` are the gradients of two barycentric coordinates.
    s = min(max(a[0] * x + a[1] * y + a[2] * z, 0.0), 1.0)
    t = min(max(b[0] * x + b[1] * y + b[2] * z, 0.0), 1.0)
    n = surfaces.normals[triangle]
    nx = n[0, 0] + s * (n[1, 0] - n[0, 0]) + t * (n[2, 0] - n[0, 0])
    ny = n[0, 1] + s * (n[1, 1] - n[0, 1]) + t * (n[2, 1] - n[0, 1])
    nz = n[0, 2] + s * (n[1, 2] - n[0, 2]) + t * (n[2, 2] - n[0, 2])
    length = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
    return nx / length, ny / length, nz / length


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _received(material, normal, p, world, light):
    """Compute the shares of the sun's and of the sky's light that reach a point."""
    toward = normal[0] * light.toward[0] + normal[1] * light.toward[1] + normal[2] * light.toward[2]
    open_sky = 1.0
    if material <= LAST_OF_GROUND:
        open_sky = 1.0 - _blurred(world.cover, world.cover_place, p[0], p[1])
        open_sky *= 1.0 - _blurred(world.canopy, world.canopy_place, p[0], p[1])
    elif material == LEAVES:
        open_sky = 0.8
        toward = 0.22 + 0.78 * toward
    elif material == COATED:
        open_sky = 0.95
    if toward <= 0.0 or light.sun[1] <= 0.0:
        return 0.0, open_sky
    lift = world.still_grain * 1.3
    q = (p[0] + lift * normal[0], p[1] + lift * normal[1], p[2] + lift * normal[2])
    lit = _unshaded(world.still_shade, world.still_map, q)
    if lit > 0.0:
        lift = world.moving_grain * 1.5
        q = (p[0] + lift * normal[0], p[1] + lift * normal[1], p[2] + lift * normal[2])
        lit *= _unshaded(world.moving_shade, world.moving_map, q)
    return toward * lit, open_sky


@numba.njit(**COMPILED, forceinline=True)
def _unshaded(depths, pixel_from_world, p):
    """Return the share of the four nearest shadow map samples that are unoccluded; 1 outside the map."""
    m = pixel_from_world
    z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
    u = (m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]) / z - 0.5
    v = (m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]) / z - 0.5
    if not (0.0 <= u < depths.shape[1] - 1 and 0.0 <= v < depths.shape[0] - 1):
        return 1.0
    i, j = int(v), int(u)
    a, b = v - i, u - j
    low = (1.0 - b) * (depths[i, j] >= z) + b * (depths[i, j + 1] >= z)
    high = (1.0 - b) * (depths[i + 1, j] >= z) + b * (depths[i + 1, j + 1] >= z)
    return (1.0 - a) * low + a * high


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _blurred(image, place, x, y):
    """Interpolate a map bilinearly, with its first node at place[:2] and nodes place[2] apart; 0 outside."""
    u, v = (x - place[0]) / place[2], (y - place[1]) / place[2]
    if not (0.0 <= u < image.shape[1] - 1 and 0.0 <= v < image.shape[0] - 1):
        return 0.0
    i, j = int(v), int(u)
    a, b = v - i, u - j
    low = image[i, j] + b * (image[i, j + 1] - image[i, j])
    high = image[i + 1, j] + b * (image[i + 1, j + 1] - image[i + 1, j])
    return low + a * (high - low)


@numba.njit(**COMPILED, forceinline=True, **INTERNAL)
def _mirrored(normal, way, gloss, open_sky, world, light):
    """Compute the mirrored sky (Schlick 1994), replaced by a dark street near the horizon."""
    along = normal[0] * way[0] + normal[1] * way[1] + normal[2] * way[2]
    facing = min(max(-along, 0.0), 1.0)
    share = (gloss + (1.0 - gloss) * (1.0 - facing) ** 5 * min(12.0 * gloss, 1.0)) * open_sky
    x, y, z = way[0] - 2.0 * along * normal[0], way[1] - 2.0 * along * normal[1], way[2] - 2.0 * along * normal[2]
    sky = look_up(world.sky, x, y, z)
    clear = step(-0.02, 0.30, z)
    return (
        share * (light.below[0] * 0.5 + clear * (min(sky[0], 6.0) - light.below[0] * 0.5)),
        share * (light.below[1] * 0.5 + clear * (min(sky[1], 6.0) - light.below[1] * 0.5)),
        share * (light.below[2] * 0.5 + clear * (min(sky[2], 6.0) - light.below[2] * 0.5)),
    )
