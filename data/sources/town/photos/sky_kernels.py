"""Sky texture in stereographic projection: the direction (x, y, z) lies at (x, y) / (1 + z)."""

import math

import numba

from swerve.data.sources.town.photos.noise_kernels import COMPILED, noise, step
from swerve.scenes.kernel_options import INTERNAL

# Extent of the map in units of the horizon's radius: 13 degrees below the horizon.
REACH = 1.26
_LOWEST = (1.0 - REACH * REACH) / (1.0 + REACH * REACH)


@numba.njit(**COMPILED)
def paint(table, sun, tones, clouds, out):
    """Fill the map.

    Args:
        table: random numbers.
        sun: unit vector to the sun.
        tones: rows of linear colours: zenith, horizon, around the sun, bright and dark sides of clouds, far hills.
        clouds: cover (0 to 1), softness, height of the far hills and roofs as a tangent.
        out: float32 (n, n, 3).
    """
    size = out.shape[0]
    for row in range(size):
        for column in range(size):
            x = ((column + 0.5) / size * 2.0 - 1.0) * REACH
            y = ((row + 0.5) / size * 2.0 - 1.0) * REACH
            square = x * x + y * y
            if square > REACH * REACH:
                out[row, column] = 0.0
                continue
            z = (1.0 - square) / (1.0 + square)
            _tone(table, x * (1.0 + z), y * (1.0 + z), z, sun, tones, clouds, out[row, column])


@numba.njit(**COMPILED, **INTERNAL)
def _tone(table, x, y, z, sun, tones, clouds, out):
    """Compute the colour in one direction."""
    up = max(z, 0.0)
    toward = max(x * sun[0] + y * sun[1] + z * sun[2], 0.0)
    rise = 1.0 - math.exp(-3.2 * up)
    glow = 0.55 * toward**6 * (1.0 - 0.5 * up) + 2.5 * toward**220 + 14.0 * step(0.99965, 0.99985, toward)
    thick = _cloud(table, x, y, up, clouds) if up > 0.0 else 0.0
    lit = _cloud(table, x + 0.05 * sun[0], y + 0.05 * sun[1], up, clouds) if thick > 0.0 else 0.0
    shade = min(max(0.62 + 1.4 * (thick - lit) + 0.3 * toward - 0.35 * thick, 0.0), 1.0)
    hills = _hills(table, x, y, clouds[2])
    land = 1.0 - step(hills - 0.004, hills + 0.004, z)
    for k in range(3):
        clear = tones[1, k] + rise * (tones[0, k] - tones[1, k]) + glow * tones[2, k]
        cloud = tones[4, k] + shade * (tones[3, k] - tones[4, k]) + 0.3 * glow * tones[2, k]
        veil = thick * step(0.0, 0.10, up)
        tone = clear + veil * (cloud - clear)
        out[k] = tone + land * (tones[5, k] - tone)


@numba.njit(**COMPILED, **INTERNAL)
def _cloud(table, x, y, up, clouds):
    """Compute the density of clouds, 0 to 1: noise on a plane overhead."""
    u, v = x / (up + 0.12), y / (up + 0.12)
    value, weight, scale = 0.0, 0.5, 1.1
    for _ in range(5):
        value += weight * noise(table, u * scale + 31.7, v * scale + 11.3)
        weight *= 0.52
        scale *= 2.13
    threshold = 0.85 - 0.75 * clouds[0]
    return step(threshold, threshold + clouds[1], value)


@numba.njit(**COMPILED, **INTERNAL)
def _hills(table, x, y, height):
    """Compute the height of the distant skyline in a direction: woods and roofs."""
    u, v = 6.0 * x + 80.0, 6.0 * y + 80.0
    coarse = noise(table, u, v)
    fine = noise(table, 9.0 * u, 9.0 * v)
    return height * (0.25 + 0.9 * coarse + 0.35 * fine)


@numba.njit(**COMPILED)
def look_up(sky, x, y, z):
    """Sample the sky's colour in a direction, bilinearly; below the map, at its boundary."""
    if z < _LOWEST:
        flat = math.sqrt(max(x * x + y * y, 1e-12))
        scale = math.sqrt(1.0 - _LOWEST * _LOWEST) / flat
        x, y, z = x * scale, y * scale, _LOWEST
    size = sky.shape[0]
    half = 0.5 * size / REACH * 0.998 / (1.0 + z)
    u, v = x * half + 0.5 * size - 0.5, y * half + 0.5 * size - 0.5
    column = min(max(int(u), 0), size - 2)
    row = min(max(int(v), 0), size - 2)
    a, b = min(max(u - column, 0.0), 1.0), min(max(v - row, 0.0), 1.0)
    w00, w01, w10, w11 = (1.0 - a) * (1.0 - b), a * (1.0 - b), (1.0 - a) * b, a * b
    top, next_top = sky[row, column], sky[row, column + 1]
    low, next_low = sky[row + 1, column], sky[row + 1, column + 1]
    return (
        w00 * top[0] + w01 * next_top[0] + w10 * low[0] + w11 * next_low[0],
        w00 * top[1] + w01 * next_top[1] + w10 * low[1] + w11 * next_low[1],
        w00 * top[2] + w01 * next_top[2] + w10 * low[2] + w11 * next_low[2],
    )
