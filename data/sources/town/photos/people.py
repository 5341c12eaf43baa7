"""Bodies of pedestrians and cyclists, fitted to their boxes.

Body frame: x forward, y left, z up, origin at the centre of the box's bottom. A body is built for a height of 1.75 m
and then fitted to its box.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.photos.shapes import ball, box, tube
from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined

_SKINS: tuple[Rgb, ...] = ((0.58, 0.38, 0.28), (0.42, 0.25, 0.17), (0.22, 0.12, 0.08), (0.10, 0.055, 0.04))
_HAIRS: tuple[Rgb, ...] = ((0.02, 0.016, 0.013), (0.06, 0.035, 0.02), (0.25, 0.17, 0.08), (0.3, 0.29, 0.28))
_TOPS: tuple[Rgb, ...] = (
    (0.6, 0.6, 0.58),
    (0.03, 0.03, 0.035),
    (0.35, 0.05, 0.05),
    (0.06, 0.12, 0.3),
    (0.1, 0.25, 0.14),
    (0.5, 0.36, 0.06),
    (0.24, 0.24, 0.25),
    (0.32, 0.2, 0.3),
)
_TROUSERS: tuple[Rgb, ...] = ((0.03, 0.045, 0.1), (0.02, 0.02, 0.022), (0.25, 0.2, 0.14), (0.12, 0.12, 0.12))
_SHOE: Rgb = (0.03, 0.028, 0.026)
_STEEL: Rgb = (0.05, 0.05, 0.055)


@dataclass(frozen=True)
class Clothes:
    """Colours of a person."""

    skin: Rgb
    hair: Rgb
    top: Rgb
    trousers: Rgb


def draw_clothes(generator: np.random.Generator) -> Clothes:
    """Sample a person's colours."""
    return Clothes(*(pool[int(generator.integers(len(pool)))] for pool in (_SKINS, _HAIRS, _TOPS, _TROUSERS)))


def pedestrian_body(size: Float[np.ndarray, "3"], clothes: Clothes, phase: float) -> Solid:
    """Build a walking pedestrian.

    Args:
        size: length, width and height of the box.
        clothes: colours of the person.
        phase: gait phase, radians; a full cycle is two steps.
    """
    swing = np.sin(phase)
    parts = [
        tube((0, 0, 0.86), (0.02, 0, 1.18), (0.135, 0.145), Material.MATT, clothes.top),
        tube((0.02, 0, 1.18), (0.03, 0, 1.46), (0.165, 0.11), Material.MATT, clothes.top),
        tube((0.03, 0, 1.44), (0.04, 0, 1.54), (0.05, 0.05), Material.MATT, clothes.skin),
        ball((0.05, 0, 1.62), (0.095, 0.078, 0.118), Material.MATT, clothes.skin),
        ball((0.035, 0, 1.66), (0.098, 0.084, 0.09), Material.MATT, clothes.hair),
    ]
    for side in (-1.0, 1.0):
        parts += _leg(side * 0.09, side * swing, clothes)
        parts += _arm(side * 0.2, -side * swing, clothes)
    return fitted(joined(parts), size)


def _leg(y: float, swing: float, clothes: Clothes) -> list[Solid]:
    """Build a leg, forward where `swing` is 1."""
    hip = np.array([0.0, y, 0.92])
    ankle = np.array([0.3 * swing, y, 0.08 + 0.06 * max(-swing, 0.0)])
    knee = (hip + ankle) / 2 + np.array([0.05 + 0.04 * abs(swing), 0.0, 0.02])
    return [
        tube(hip, knee, (0.09, 0.068), Material.MATT, clothes.trousers, 7),
        tube(knee, ankle, (0.066, 0.048), Material.MATT, clothes.trousers, 7),
        box(ankle + np.array([0.05, 0.0, -0.04]), (0.25, 0.085, 0.08), Material.MATT, _SHOE, 0.85),
    ]


def _arm(y: float, swing: float, clothes: Clothes) -> list[Solid]:
    """Build an arm, forward where `swing` is 1."""
    shoulder = np.array([0.02, y, 1.42])
    elbow = shoulder + np.array([0.12 * swing, 0.0, -0.27])
    hand = elbow + np.array([0.06 + 0.14 * swing, 0.0, -0.24])
    return [
        tube(shoulder, elbow, (0.055, 0.045), Material.MATT, clothes.top, 6),
        tube(elbow, hand, (0.043, 0.035), Material.MATT, clothes.top, 6),
        ball(hand, (0.045, 0.03, 0.05), Material.MATT, clothes.skin, 0),
    ]


def cyclist_body(size: Float[np.ndarray, "3"], clothes: Clothes, frame: Rgb, phase: float) -> Solid:
    """Build a bicycle with its rider.

    Args:
        size: length, width and height of the box.
        clothes: the rider's colours.
        frame: colour of the bicycle.
        phase: phase of the pedals, radians.
    """
    saddle, bars, crank = np.array([-0.2, 0, 0.92]), np.array([0.42, 0, 1.0]), np.array([-0.06, 0, 0.3])
    rear, front = np.array([-0.53, 0, 0.34]), np.array([0.53, 0, 0.34])
    bicycle = [*_wheel(rear), *_wheel(front)]
    for start, end in (
        (rear, crank),
        (crank, saddle),
        (saddle - np.array([0, 0, 0.1]), bars - np.array([0.03, 0, 0.12])),
        (rear, saddle),
    ):
        bicycle.append(tube(start, end, (0.022, 0.022), Material.COATED, frame, 6))
    bicycle += [
        tube(crank, bars - np.array([0.02, 0, 0.2]), (0.024, 0.024), Material.COATED, frame, 6),
        tube(front, bars, (0.02, 0.02), Material.COATED, frame, 6),
        tube(bars + np.array([0, -0.27, 0]), bars + np.array([0, 0.27, 0]), (0.016, 0.016), Material.MATT, _STEEL, 6),
        box(saddle, (0.26, 0.14, 0.06), Material.MATT, _SHOE, 0.7),
    ]
    chest = np.array([0.12, 0, 1.42])
    rider = [
        tube(saddle + np.array([0, 0, 0.03]), chest, (0.15, 0.17), Material.MATT, clothes.top),
        ball((0.24, 0, 1.63), (0.1, 0.085, 0.12), Material.MATT, clothes.skin),
        ball((0.22, 0, 1.67), (0.13, 0.105, 0.1), Material.COATED, clothes.hair),
    ]
    for side in (-1.0, 1.0):
        turn = phase if side > 0 else phase + np.pi
        pedal = crank + np.array([0.16 * np.cos(turn), side * 0.1, 0.16 * np.sin(turn)])
        knee = (saddle + pedal) / 2 + np.array([0.26, side * 0.06, 0.08])
        elbow = np.array([0.2, side * 0.27, 1.18])
        rider += [
            tube(saddle + np.array([0, side * 0.08, 0]), knee, (0.085, 0.062), Material.MATT, clothes.trousers, 7),
            tube(knee, pedal + np.array([0, 0, 0.06]), (0.058, 0.04), Material.MATT, clothes.trousers, 7),
            box(pedal + np.array([0.05, 0, 0.0]), (0.25, 0.08, 0.07), Material.MATT, _SHOE),
            tube(chest + np.array([0, side * 0.17, 0]), elbow, (0.05, 0.042), Material.MATT, clothes.top, 6),
            tube(elbow, bars + np.array([0, side * 0.22, 0.02]), (0.04, 0.032), Material.MATT, clothes.skin, 6),
        ]
    return fitted(joined(bicycle + rider), size)


def _wheel(middle: Float[np.ndarray, "3"]) -> list[Solid]:
    """Build a tyre as a ring of short bars, with a hub and spokes."""
    angles = 2 * np.pi * np.arange(15) / 14
    rim = middle + 0.31 * np.stack([np.cos(angles), np.zeros(15), np.sin(angles)], axis=1)
    tyre = [tube(a, b, (0.028, 0.028), Material.MATT, _STEEL, 5) for a, b in pairwise(rim)]
    spokes = [tube(middle, rim[k], (0.006, 0.006), Material.MATT, _STEEL, 3) for k in range(0, 14, 2)]
    return tyre + spokes


def fitted(solid: Solid, size: Float[np.ndarray, "3"]) -> Solid:
    """Scale the body to its box's height, shrinking length and width where it would exceed them.

    Length and width are never stretched.
    """
    low, high = solid.corners.min(axis=(0, 1)), solid.corners.max(axis=(0, 1))
    middle = np.array([(low[0] + high[0]) / 2, 0.0, low[2]])
    reach = np.maximum((high - low)[:2], 2 * np.abs([low[1], high[1]]).max() * np.array([0.0, 1.0]))
    scale = size[2] / (high[2] - low[2])
    scales = np.array([*np.minimum(scale, size[:2] / reach), scale])
    return replace(solid, corners=(solid.corners - middle) * scales)
