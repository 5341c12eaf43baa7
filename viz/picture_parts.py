"""Strips of pictures and films: headings, camera images side by side, curves over time."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from swerve.viz.scene_view import Curve

_GROUND, _INK, _FAINT, _LINE = (12, 14, 18), (217, 221, 229), (152, 161, 176), (38, 44, 55)
_COLORS = ((108, 182, 255), (246, 165, 76), (92, 214, 163), (232, 121, 185), (244, 211, 94), (167, 139, 250))
# Most that images are enlarged.
_ENLARGED = 1.5
_GAP, _NARROWEST = 6, 180


def heading(title: str, text: str, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return a title and a text, wrapped to the width."""
    big, small = ImageFont.load_default(20), ImageFont.load_default(13)
    letters = max(int((width - 24) / 6.6), 20)
    lines = textwrap.wrap(text, letters)[:3]
    titles = textwrap.wrap(title, max(int((width - 24) / 10.5), 12))[:2] or [""]
    strip = Image.new("RGB", (width, 18 + 26 * len(titles) + 18 * len(lines)), _GROUND)
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(titles):
        draw.text((12, 8 + 26 * number), line, fill=_INK, font=big)
    for number, line in enumerate(lines):
        draw.text((12, 10 + 26 * len(titles) + 18 * number), line, fill=_FAINT, font=small)
    return np.asarray(strip)


def camera_strip(
    images: Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"] | None]], width: int
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Return rows of images with their names, as many in a row as fit; nothing without images."""
    known = [(name, image) for name, image in images if image is not None]
    if not known:
        return []
    most = max((width - _GAP) // (_NARROWEST + _GAP), 1)
    columns = math.ceil(len(known) / math.ceil(len(known) / most))
    largest = round(_ENLARGED * max(image.shape[1] for _, image in known))
    inner = min((width - _GAP) // columns - _GAP, largest)
    rows = [known[first : first + columns] for first in range(0, len(known), columns)]
    return [_camera_row(row, inner, width) for row in rows]


def _camera_row(
    row: Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"]]], inner: int, width: int
) -> UInt8[np.ndarray, "h w 3"]:
    heights = [round(inner * image.shape[0] / image.shape[1]) for _, image in row]
    strip = Image.new("RGB", (width, max(heights) + 24 + _GAP), _GROUND)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(12)
    for number, ((name, image), height) in enumerate(zip(row, heights, strict=True)):
        left = _GAP + number * (inner + _GAP)
        strip.paste(Image.fromarray(image).resize((inner, height), Image.Resampling.BILINEAR), (left, _GAP))
        draw.text((left + 2, height + _GAP + 4), name, fill=_FAINT, font=font)
    return np.asarray(strip)


def curve_strip(
    times: Float[np.ndarray, "t"], curves: Sequence[Curve], step: int, width: int, height: int = 150
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Return a chart of curves over time, each scaled by its own range, with a line at a step; nothing without any."""
    if not curves or len(times) < 2:
        return []
    columns = max(min(len(curves), width // 380), 1)
    rows = [curves[first : first + columns] for first in range(0, len(curves), columns)]
    strip = Image.new("RGB", (width, height * len(rows)), _GROUND)
    draw = ImageDraw.Draw(strip)
    for row, some in enumerate(rows):
        for column, curve in enumerate(some):
            box = (width * column // columns, height * row, width * (column + 1) // columns, height * (row + 1))
            _curve(draw, box, times, curve, step, _COLORS[(row * columns + column) % len(_COLORS)])
    return [np.asarray(strip)]


def _curve(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    times: Float[np.ndarray, "t"],
    curve: Curve,
    step: int,
    color: tuple[int, int, int],
) -> None:
    left, top, right, foot = box[0] + 52, box[1] + 28, box[2] - 14, box[3] - 22
    known = curve.values[np.isfinite(curve.values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    font = ImageFont.load_default(12)
    value = curve.values[step]
    told = "–" if np.isnan(value) else f"{value:.2f}"
    draw.text((left, box[1] + 8), f"{curve.name}: {told}", fill=_INK, font=font)
    draw.line([left, foot, right, foot], fill=_LINE)
    for number, row in ((high, top), (low, foot)):
        draw.text((box[0] + 46, row - 8), f"{number:.1f}", fill=_FAINT, font=font, anchor="ra")
    x = left + (times - times[0]) / max(float(times[-1] - times[0]), 1e-9) * (right - left)
    y = foot - (curve.values - low) / (high - low) * (foot - top)
    for start in np.flatnonzero(np.isfinite(y[:-1]) & np.isfinite(y[1:])).tolist():
        draw.line([float(x[start]), float(y[start]), float(x[start + 1]), float(y[start + 1])], fill=color, width=2)
    draw.line([float(x[step]), top - 4, float(x[step]), foot], fill=_INK)
