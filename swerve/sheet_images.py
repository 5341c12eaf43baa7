"""Images and captions that contact sheets of scenes, sets and benchmarks share."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from swerve.scenes import Camera

_T = TypeVar("_T")
# Colours of paths.
PAST, LOGGED, RECOVERY, CROSS_AGENT = (120, 130, 145), (255, 255, 255), (255, 166, 43), (90, 220, 120)
EXPERT = (240, 80, 220)


def front_of(cameras: Sequence[Camera]) -> int:
    """Return the index of the camera whose axis is nearest to the forward direction; the first of several."""
    return max(range(len(cameras)), key=lambda row: round(float(cameras[row].ego_from_camera[0, 2]), 3))


def front_camera(cameras: Sequence[Camera]) -> Camera:
    """Return the camera of `front_of`."""
    return cameras[front_of(cameras)]


def evenly(items: Sequence[_T], count: int) -> list[_T]:
    """Return at most `count` items, evenly spaced, the first and last among them."""
    rows = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[row] for row in rows]


def reduced(image: UInt8[np.ndarray, "h w 3"], width: int = 960) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Resize an image to at most `width` pixels of width."""
    if image.shape[1] <= width:
        return image
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def gray(share: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return shares of 0 to 1 as grey levels."""
    return np.repeat((share * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def palette(numbers: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Map ids to colours, different for consecutive ids; 0 is black."""
    mixed = numbers * 2654435761 % 2**32
    channels = np.stack([64 + (mixed >> shift) % 192 for shift in (8, 16, 24)], axis=-1)
    return np.where(numbers[..., None] == 0, 0, channels).astype(np.uint8)


def off_path_text(numbers: Mapping[str, float], expert: Mapping[str, Any] | None) -> str:
    """Describe where a follow-up or visited viewpoint is relative to the human, and what its targets score."""
    aside, along, faster = (numbers.get(name) or 0.0 for name in ("lateral", "longitudinal", "speed_difference"))
    places = [f"{abs(aside):.1f} m {'left' if aside > 0 else 'right'}"]
    places.append(f"{abs(along):.1f} m {'ahead' if along > 0 else 'behind'}")
    text = f"{', '.join(places)}, {abs(faster):.1f} m/s {'faster' if faster > 0 else 'slower'}"
    if expert is None:
        return text
    back = expert["target_score"]
    scores = f"pseudo-expert {expert['score']:.2f}" + ("" if back is None else f", way back {back:.2f}")
    return f"{text}; {scores}"


def offsets_text(numbers: Mapping[str, float]) -> str:
    """Describe the offsets of a recovery viewpoint, given its parameters."""
    aside, turn, faster = numbers["lateral"], np.rad2deg(numbers["heading"]), 100 * numbers["speed"]
    return (
        f"{abs(aside):.1f} m {'left' if aside > 0 else 'right'}, "
        f"turned {abs(turn):.0f}° {'left' if turn > 0 else 'right'}, "
        f"{abs(faster):.0f} % {'faster' if faster > 0 else 'slower'}"
    )
