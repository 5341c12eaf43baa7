"""Procedural materials: grain, joints, bricks, windows, leaves, worn markings.

A colour is (red, green, blue, gloss, glow): linear reflectances, mirror reflectance seen head-on, emitted light.
"""

import math

import numba

from swerve.data.sources.town.photos.noise_kernels import COMPILED, band, cell, noise, step, stripes
from swerve.scenes.kernel_options import INTERNAL

ASPHALT, PAVEMENT, ZEBRA, PAINT, KERB, GRASS, FACADE, TILES, ROUGH, LEAVES, COATED, MATT, LAMP, STRIPES = range(14)
# Materials up to this one lie on the ground.
LAST_OF_GROUND = GRASS
_WHITE = 0.62


@numba.njit(**COMPILED)
def albedo(material, tint, frame, p, across, footprint, table, season):
    """Compute the colour of a surface at a point.

    Args:
        material: material id.
        tint: base colour.
        frame: see `Solid.material_frames`. FACADE: height of a floor, width of a bay, a random code. STRIPES: period,
            slope, share. COATED: gloss.
        p: position.
        across: (x, y) of a level unit vector along the surface.
        footprint: size of a pixel on the surface, metres.
        table: random numbers.
        season: (wetness, dryness of grass, lit windows).
    """
    r, g, b = float(tint[0]), float(tint[1]), float(tint[2])
    if material == COATED:
        return r, g, b, frame[5], 0.0
    if material == MATT:
        return r, g, b, 0.0, 0.0
    if material == LAMP:
        return r, g, b, 0.0, 1.0
    if material <= LAST_OF_GROUND:
        return _ground(material, (r, g, b), frame, p, footprint, table, season)
    u = (p[0] - frame[0]) * across[0] + (p[1] - frame[1]) * across[1]
    v = p[2] - frame[2]
    if material == FACADE:
        return _facade((r, g, b), frame, u, v, footprint, table, season)
    if material == STRIPES:
        share = stripes(v + frame[6] * u, frame[5], 0.0, frame[5] * frame[7], footprint)
        grain = 1.0 + 0.25 * band(table, u * 3.0, v * 3.0, 0.5, footprint)
        return (
            grain * (r * share + _WHITE * (1.0 - share)),
            grain * (g * share + _WHITE * (1.0 - share)),
            grain * (b * share + _WHITE * (1.0 - share)),
            0.0,
            0.0,
        )
    return _grown(material, (r, g, b), frame, p, (u, v), footprint, table)


@numba.njit(**COMPILED, **INTERNAL)
def _grown(material, tint, frame, p, uv, footprint, table):
    """Compute leaves, tiles, and generic rough surfaces."""
    r, g, b = tint
    u, v = uv
    if material == LEAVES:
        x, y, z = p[0], p[1], p[2]
        fine = band(table, x, y, 0.13, footprint) + band(table, y, z, 0.15, footprint)
        fine += band(table, z, x, 0.14, footprint) + 0.6 * band(table, x + z, y - z, 0.06, footprint)
        coarse = band(table, x + z, y + z, 0.7, footprint) + band(table, x - z, y, 0.45, footprint)
        shade = max(1.0 + 1.1 * fine + 0.7 * coarse, 0.12)
        warm = 1.0 + 0.5 * coarse
        return r * shade * warm, g * shade, b * shade, 0.0, 0.0
    if material == TILES:
        rows = stripes(v, 0.16, 0.0, 0.035, footprint)
        shade = 1.0 - 0.5 * rows + 0.7 * band(table, u, v, 0.25, footprint) + 0.5 * band(table, u, v, 2.5, footprint)
        return r * shade, g * shade, b * shade, 0.0, 0.0
    shade = 1.0 + 0.6 * band(table, p[0] + p[2], p[1] + 0.7 * p[2], 0.12, footprint)
    shade += 0.5 * band(table, p[0], p[1] + p[2], 1.7, footprint)
    return r * shade, g * shade, b * shade, 0.0, 0.0


@numba.njit(**COMPILED)
def _ground(material, tint, frame, p, footprint, table, season):
    """Compute ground materials; wet ground is darker and glossy."""
    x, y = p[0], p[1]
    large = band(table, x, y, 23.0, footprint) + 0.7 * band(table, y, x, 5.1, footprint)
    if material == GRASS:
        return _grass(tint, x, y, large, footprint, table, season)
    if material == PAVEMENT:
        r, g, b = _slabs(tint, frame, x, y, large, footprint, table)
    else:
        r, g, b = _asphalt(tint if material == ASPHALT else (0.088, 0.088, 0.09), x, y, large, footprint, table)
    if ZEBRA <= material <= KERB:
        cover = _cover(material, frame, x, y, footprint, table)
        dirt = 1.0 + 0.3 * band(table, x, y, 0.9, footprint) + 0.2 * large
        r, g, b = r + cover * (dirt * tint[0] - r), g + cover * (dirt * tint[1] - g), b + cover * (dirt * tint[2] - b)
    wet = season[0]
    gloss = 0.0
    if wet > 0.0:
        puddle = step(0.02, 0.35, large + 0.25 * wet)
        r, g, b = r * (1.0 - 0.45 * wet), g * (1.0 - 0.45 * wet), b * (1.0 - 0.42 * wet)
        gloss = wet * (0.006 + 0.02 * puddle)
    return r, g, b, gloss, 0.0


@numba.njit(**COMPILED, **INTERNAL)
def _cover(material, frame, x, y, footprint, table):
    """Compute the coverage of a marking: worn spots; zebras are stripes, kerbs stones with joints."""
    if material == KERB:
        return 1.0 - 0.6 * stripes(x + y, 1.4, 0.0, 0.03, footprint)
    worn = 0.9 + 0.9 * band(table, x, y, 0.11, footprint) + 0.9 * band(table, x, y, 0.7, footprint)
    worn = min(max(worn, 0.12), 1.0)
    if material == ZEBRA:
        u = (x - frame[0]) * frame[3] + (y - frame[1]) * frame[4]
        return worn * stripes(u, 1.0, 0.25, 0.75, footprint)
    return worn


@numba.njit(**COMPILED, **INTERNAL)
def _asphalt(tint, x, y, large, footprint, table):
    """Compute asphalt: grain, patches, cracks, oil, and occasional manholes."""
    shade = 1.0 + 0.35 * large
    shade += 0.6 * band(table, x, y, 0.014, footprint) + 0.22 * band(table, y, x, 0.05, footprint)
    shade += 0.16 * band(table, x, y, 0.6, footprint)
    i, j = math.floor(x / 8.7), math.floor(y / 8.7)
    pick = cell(table, i, j)
    if pick < 0.22:
        left, low = 8.7 * i + 12.0 * pick, 8.7 * j + 9.0 * pick
        wide, high = 1.2 + 14.0 * pick, 1.0 + 18.0 * abs(pick - 0.11)
        if left < x < left + wide and low < y < low + high:
            shade *= 0.72 + 1.6 * abs(pick - 0.1)
    elif pick > 0.93 and footprint < 0.3:
        away = math.sqrt((x - 8.7 * i - 4.0) ** 2 + (y - 8.7 * j - 4.0) ** 2)
        if away < 0.34:
            shade *= 0.45 + 0.3 * stripes(x, 0.08, 0.0, 0.04, footprint) if away < 0.3 else 0.35
    if footprint < 0.12:
        line = abs(noise(table, 0.31 * x, 0.31 * y) + 0.12 * noise(table, 2.3 * x, 2.3 * y) - 0.56)
        share = step(0.52, 0.62, noise(table, 0.043 * x, 0.043 * y)) * (1.0 - footprint / 0.12)
        shade *= 1.0 - 0.55 * share * (1.0 - step(0.0, 0.006, line))
    shade = max(shade, 0.2)
    return tint[0] * shade, tint[1] * shade, tint[2] * shade


@numba.njit(**COMPILED, **INTERNAL)
def _slabs(tint, frame, x, y, large, footprint, table):
    """Compute square slabs with joints and varying shades."""
    size = 0.6 if frame[7] < 0.5 else 0.9
    i, j = math.floor(x / size), math.floor(y / size)
    joints = stripes(x, size, 0.0, 0.02, footprint) + stripes(y, size, 0.0, 0.02, footprint)
    own = (cell(table, i, j) - 0.5) * min(max(size / footprint - 1.0, 0.0), 1.0)
    shade = (1.0 + 0.22 * own + 0.4 * large) * (1.0 - 0.5 * min(joints, 1.0))
    shade *= 1.0 + 0.3 * band(table, x, y, 0.03, footprint) + 0.25 * band(table, x, y, 0.4, footprint)
    return tint[0] * shade, tint[1] * shade, tint[2] * shade


@numba.njit(**COMPILED, **INTERNAL)
def _grass(tint, x, y, large, footprint, table, season):
    """Compute grass: blades, tufts and dry patches."""
    shade = 1.0 + 0.8 * band(table, x, y, 0.05, footprint) + 0.6 * band(table, y, x, 0.21, footprint)
    shade = max(shade + 0.5 * band(table, x, y, 1.3, footprint), 0.25)
    dry = min(max(season[1] + 0.9 * large, 0.0), 1.0)
    r = tint[0] + dry * (0.20 - tint[0])
    g = tint[1] + dry * (0.17 - tint[1])
    b = tint[2] + dry * (0.07 - tint[2])
    return r * shade, g * shade, b * shade, 0.0, 0.0


@numba.njit(**COMPILED, **INTERNAL)
def _facade(tint, frame, u, v, footprint, table, season):
    """Compute a wall with rows of windows, and shops or doors at ground level; the random code sets the proportions."""
    floor_height, bay, code = frame[5], frame[6], frame[7]
    r, g, b = _wall(tint, u, v, code, footprint, table)
    storey, column = math.floor(v / floor_height), math.floor(u / bay)
    own = cell(table, column + 37 * int(100.0 * code), storey)
    margin = 0.5 * (1.0 - (0.34 + 0.5 * ((7.0 * code) % 1.0))) * bay
    sill, head = (0.3 - 0.15 * ((3.0 * code) % 1.0)) * floor_height, 0.82 * floor_height
    if storey == 0:
        if (11.0 * code) % 1.0 < 0.4:
            margin, sill, head = 0.12 * bay, 0.12 * floor_height, 0.8 * floor_height
        elif own < 0.22:
            margin, sill, head = 0.5 * bay - 0.55, 0.0, 0.72 * floor_height
    rim = 0.09
    outer = stripes(u, bay, margin - rim, bay - margin + rim, footprint)
    outer *= stripes(v, floor_height, max(sill - rim, 0.0), head + rim, footprint)
    inner = stripes(u, bay, margin, bay - margin, footprint) * stripes(v, floor_height, sill, head, footprint)
    inner *= 1.0 - stripes(u, bay, 0.5 * bay - 0.03, 0.5 * bay + 0.03, footprint)
    light = 0.55 if (5.0 * code) % 1.0 < 0.6 else 0.06
    r, g, b = r + outer * (light - r), g + outer * (light - g), b + outer * (light - b)
    drawn = 0.30 if own > 0.72 else 0.035
    low = stripes(v, floor_height, sill, sill + 0.45 * (head - sill), footprint)
    inside = drawn if own > 0.86 else drawn + low * (0.035 - drawn)
    lit = season[2] if own * 5.0 % 1.0 < 0.3 else 0.0
    glow = inner * lit
    r, g, b = r + inner * (inside - r), g + inner * (inside - g), b + inner * (inside - b)
    r, g, b = r + glow * (1.0 - r), g + glow * (0.66 - g), b + glow * (0.32 - b)
    return r, g, b, 0.09 * inner * (1.0 - lit), glow


@numba.njit(**COMPILED, **INTERNAL)
def _wall(tint, u, v, code, footprint, table):
    """Compute plaster, concrete or bricks, with stains under sills and dirt near the ground."""
    streak = band(table, 3.0 * u, 0.35 * v, 1.1, 3.0 * footprint)
    shade = 1.0 + 0.2 * streak + 0.16 * band(table, u, v, 2.9, footprint) + 0.16 * band(table, u, v, 0.09, footprint)
    shade *= 0.72 + 0.28 * step(0.0, 1.1, v + 0.6 * band(table, u, v, 0.8, footprint))
    if (13.0 * code) % 1.0 < 0.38:
        row = math.floor(v / 0.075)
        joints = stripes(v, 0.075, 0.0, 0.011, footprint)
        joints += stripes(u + 0.11 * (int(row) & 1), 0.22, 0.0, 0.011, footprint)
        own = (cell(table, math.floor((u + 0.11 * (int(row) & 1)) / 0.22), row) - 0.5) * min(
            max(0.15 / footprint - 1.0, 0.0), 1.0
        )
        shade *= 1.0 + 0.45 * own
        cover = min(joints, 1.0) * 0.8
        return (
            shade * tint[0] * (1.0 - cover) + 0.32 * cover,
            shade * tint[1] * (1.0 - cover) + 0.31 * cover,
            shade * tint[2] * (1.0 - cover) + 0.29 * cover,
        )
    return tint[0] * shade, tint[1] * shade, tint[2] * shade
