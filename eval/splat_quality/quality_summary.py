"""What was measured, as numbers for files: a row per view, and their means by shift."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swerve.eval.splat_quality.view_comparison import ViewComparison

# Numbers of a view, and how many dB or share of one they have; a larger one is better but for the two errors.
IMAGE_NUMBERS = ("psnr", "psnr_aligned", "ssim", "lpips")
RASTER_NUMBERS = ("depth_error", "depth_within", "vehicle_iou", "covered")

Row = Mapping[str, Any]


def row_of(one: ViewComparison) -> dict[str, Any]:
    """A view's numbers; None where one is not known or not measured."""
    place, image, numbers = one.place, one.likeness, one.verdict.numbers
    known = {name: getattr(image, name) if image else None for name in ("psnr", "psnr_aligned", "ssim")}
    return {
        "moment": place.moment,
        "shift": place.group,
        "along": place.shift.along,
        "lateral": place.shift.lateral,
        "turn": place.shift.turn,
        "camera": place.camera.name,
        "time_us": place.time_us,
        **known,
        "lpips": one.lpips,
        **{name: _or_none(getattr(numbers, name)) for name in RASTER_NUMBERS},
        "fit": one.verdict.fit,
        "reasons": list(one.verdict.reasons),
    }


def by_shift(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Means over the views of each shift, in the order of their first views; the last is of all."""
    names = list(dict.fromkeys(row["shift"] for row in rows))
    groups = [(name, [row for row in rows if row["shift"] == name]) for name in names]
    return [_summary(name, group) for name, group in [*groups, ("all", rows)] if group]


def separation(rows: Sequence[Row]) -> dict[str, Any]:
    """Whether the gate tells good views from bad ones, where the truth is known.

    Returns:
        by verdict how many views there are, and the mean of each number that compares them with the truth.
    """
    known = [row for row in rows if row["psnr"] is not None]
    groups = {"fit": [row for row in known if row["fit"]], "unfit": [row for row in known if not row["fit"]]}
    return {
        verdict: {"views": len(group), **{name: mean(group, name) for name in IMAGE_NUMBERS}}
        for verdict, group in groups.items()
    }


def mean(rows: Sequence[Row], name: str) -> float | None:
    """Of the rows where the number is known; None if it is nowhere."""
    values = [row[name] for row in rows if row[name] is not None]
    return math.fsum(values) / len(values) if values else None


def _summary(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    means = {number: mean(rows, number) for number in (*IMAGE_NUMBERS, *RASTER_NUMBERS)}
    return {"shift": name, "views": len(rows), "fit": sum(row["fit"] for row in rows), **means}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
