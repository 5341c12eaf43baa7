"""Trees, hedges and street lamps on free ground."""

from dataclasses import replace

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.town.photos.buildings import rims
from swerve.data.sources.town.photos.look import TownAppearance
from swerve.data.sources.town.photos.shapes import ball, box, tube
from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined
from swerve.scenes import GroundHeight
from swerve.scenes.polyline import arc_lengths, interpolate_at

# Distances from the ego's path in metres beyond which trees are left out, and have fewer leaves.
_RANGE, _CLOSE = 150.0, 40.0
_BARK: Rgb = (0.075, 0.055, 0.04)
_MODELS = 6
_LAMP_SPACING = 34


def build_vegetation(
    paved: shapely.Geometry,
    built: shapely.Geometry,
    way: Float[np.ndarray, "n 2"],
    ground: GroundHeight,
    look: TownAppearance,
    generator: np.random.Generator,
) -> Solid:
    """Build trees of a few kinds at random headings, hedges along the pavements, lamps.

    Args:
        paved: paved area, kept free of trunks, hedges and posts.
        built: footprints of the houses.
        way: the ego's path; distant vegetation is left out.
        ground: height of the ground.
        look: colours, and whether lamps are lit.
        generator: random number generator.
    """
    taken = shapely.union_all([paved, built])
    shapely.prepare(taken)
    models = [_tree(look, generator) for _ in range(_MODELS)]
    plain = [_tree(look, generator, 0) for _ in range(_MODELS)]
    parts = []
    for ring in rims(paved):
        line, out = _beside(ring)
        away = np.linalg.norm(line[:, None] - way[None, ::20], axis=2).min(axis=1)
        near, close = away < _RANGE, away < _CLOSE
        parts += _trees(line[close], out[close], taken, ground, models, generator)
        parts += _trees(line[near & ~close], out[near & ~close], taken, ground, plain, generator)
        parts += _hedges(line[near], out[near], taken, ground, look, generator)
        parts += _lamps(line[near], out[near], taken, ground, look)
    return joined(parts)


def _beside(ring: Float[np.ndarray, "n 2"]) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]:
    """Return points of a boundary every metre, and directions away from the paved area."""
    along = np.arange(0.0, arc_lengths(ring)[-1] - 1.0)
    points = interpolate_at(ring, along)
    step = interpolate_at(ring, along + 0.5) - points
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
    return points, np.stack([step[:, 1], -step[:, 0]], axis=1)


def _trees(
    line: Float[np.ndarray, "m 2"],
    out: Float[np.ndarray, "m 2"],
    taken: shapely.Geometry,
    ground: GroundHeight,
    models: list[Solid],
    generator: np.random.Generator,
) -> list[Solid]:
    """Place trees in a loose row near the pavement, and some in the gardens behind."""
    count = len(line) // 6
    rows = generator.integers(0, max(len(line), 1), count)
    away = np.where(
        generator.random(count) < 0.45, generator.uniform(1.3, 4.0, count), generator.uniform(6.0, 32.0, count)
    )
    places = line[rows] + away[:, None] * out[rows]
    sizes, turns = generator.uniform(0.65, 1.25, count), generator.uniform(0, 2 * np.pi, count)
    kinds = generator.integers(0, len(models), count)
    free = shapely.distance(shapely.points(places), taken) > 0.8 * np.minimum(sizes, away / 2.5)
    feet = np.concatenate([places, ground.at(places)[:, None] - 0.1], axis=1)
    trees = []
    for kind, model in enumerate(models):
        own = free & (kinds == kind)
        if own.any():
            trees.append(model.copies(turns[own], feet[own], np.repeat(sizes[own, None], 3, axis=1)))
    return trees


def _tree(look: TownAppearance, generator: np.random.Generator, fineness: int = 1) -> Solid:
    """Build a trunk, a few branches, and a crown of lumps with twigs that stick out."""
    tall, wide = float(generator.uniform(6.0, 10.5)), float(generator.uniform(1.7, 3.0))
    bare = float(generator.uniform(2.3, 3.2))
    conifer = generator.random() < 0.2
    leaves = look.leaves * generator.uniform(0.75, 1.25, 3) * (0.6 if conifer else 1.0)
    trunk = tube((0, 0, -0.3), (0, 0, 0.75 * tall), (0.2, 0.07), Material.ROUGH, _BARK, 7)
    lumps = []
    for number in range(6):
        share = (number + 0.5) / 6
        radius = wide * (1.05 - share if conifer else float(generator.uniform(0.5, 0.75)))
        angle = 2.4 * number
        off = 0.0 if conifer else 0.55 * wide * np.sin(np.pi * min(share + 0.2, 1.0))
        middle = np.array(
            [off * np.cos(angle), off * np.sin(angle), bare + radius * 0.6 + share * (tall - bare - radius)]
        )
        lumps.append(_lump(middle, radius, leaves, fineness, generator))
    return joined([trunk, *lumps])


def _lump(
    middle: Float[np.ndarray, "3"],
    radius: float,
    tint: Float[np.ndarray, "3"],
    fineness: int,
    generator: np.random.Generator,
) -> Solid:
    """Build an uneven ball of leaves, and loose triangles around its surface."""
    size = radius * np.array([1.0, 1.0, 0.75])
    color: Rgb = tuple(tint.tolist())
    inner = ball(middle, 0.9 * size, Material.LEAVES, color, fineness)
    waves = np.sin(inner.corners @ generator.normal(0.0, 4.5 / radius, (3, 3)))
    swollen = middle + (inner.corners - middle) * (1.0 + 0.11 * waves.sum(axis=2, keepdims=True))
    inner = replace(inner, corners=swollen)
    count = 64 if fineness else 10
    out = generator.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    places = middle + out * size * generator.uniform(0.8, 1.04, (count, 1))
    length = generator.uniform(0.12, 0.26, (count, 1, 1)) * (1.0 if fineness else 1.8)
    twigs = places[:, None] + length * generator.normal(0.0, 0.8, (count, 3, 3))
    normals = np.repeat(out[:, None], 3, axis=1)
    tints = (tint * generator.uniform(0.75, 1.25, (count, 1))).astype(np.float32)
    return joined([inner, Solid.of(twigs, Material.LEAVES, tints, normals).two_sided()])


def _hedges(
    line: Float[np.ndarray, "m 2"],
    out: Float[np.ndarray, "m 2"],
    taken: shapely.Geometry,
    ground: GroundHeight,
    look: TownAppearance,
    generator: np.random.Generator,
) -> list[Solid]:
    """Place hedges and low walls along the pavement."""
    rows = np.arange(4, len(line) - 5, 9)
    rows = rows[generator.random(len(rows)) < 0.5]
    count = len(rows)
    lengths, highs = generator.uniform(4.0, 8.5, count), generator.uniform(1.3, 2.0, count)
    walls, tint = generator.random(count) < 0.35, look.leaves * generator.uniform(0.6, 1.0)
    middles, headings = line[rows] + 0.75 * out[rows], np.arctan2(-out[rows, 0], out[rows, 1])
    thick = np.where(walls, 0.25, 0.7)
    axes = lengths[:, None] / 2 * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    cores = shapely.linestrings(np.stack([middles - axes, middles + axes], axis=1))
    free = shapely.distance(cores, taken) > thick / 2 + 0.05
    # Sunk half a metre into the ground, which may slope.
    feet = np.concatenate([middles, ground.at(middles)[:, None] - 0.5], axis=1)
    sizes = np.stack([lengths, thick, highs], axis=1)
    hedge, wall = (
        box((0.0, 0.0, 0.5), (1.0, 1.0, 1.0), material, color, 0.95)
        for material, color in (
            (Material.LEAVES, tuple(tint.tolist())),
            (Material.ROUGH, (0.36, 0.33, 0.29)),
        )
    )
    chosen = ((hedge, free & ~walls), (wall, free & walls))
    return [kind.copies(headings[own], feet[own], sizes[own]) for kind, own in chosen if own.any()]


def _lamps(
    line: Float[np.ndarray, "m 2"],
    out: Float[np.ndarray, "m 2"],
    taken: shapely.Geometry,
    ground: GroundHeight,
    look: TownAppearance,
) -> list[Solid]:
    """Place street lamps just behind the pavement, with arms over it."""
    rows = np.arange(12, len(line), _LAMP_SPACING)
    places = line[rows] + 0.35 * out[rows]
    free = shapely.distance(shapely.points(places), taken) > 0.15
    if not free.any():
        return []
    feet = np.concatenate([places, ground.at(places)[:, None]], axis=1)[free]
    inward = -out[rows][free]
    return [_lamp(look).copies(np.arctan2(inward[:, 1], inward[:, 0]), feet, np.ones(feet.shape))]


def _lamp(look: TownAppearance) -> Solid:
    """Build a street lamp that reaches along x."""
    grey: Rgb = (0.10, 0.105, 0.11)
    bulb: tuple[Material, Rgb] = (Material.LAMP, (1.9, 1.45, 0.85)) if look.lit else (Material.COATED, (0.4, 0.4, 0.38))
    return joined(
        [
            tube((0.0, 0.0, -0.3), (0.0, 0.0, 7.5), (0.1, 0.06), Material.MATT, grey),
            tube((0.0, 0.0, 7.5), (2.2, 0.0, 8.0), (0.05, 0.04), Material.MATT, grey, 6),
            box((2.2, 0.0, 8.0), (0.5, 0.22, 0.1), Material.MATT, grey),
            box((2.2, 0.0, 7.93), (0.36, 0.16, 0.05), *bulb),
        ]
    )
