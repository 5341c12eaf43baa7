"""Metrics for files: a row per view, and their means by offset."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swerve.eval.splat_quality.view_comparison import ViewComparison

# Metrics of a view, as dB or shares; larger is better except for the two errors.
IMAGE_NUMBERS = ("psnr", "psnr_aligned", "ssim", "lpips")
RASTER_NUMBERS = ("depth_error", "depth_within", "vehicle_iou", "covered")

Row = Mapping[str, Any]


def row_of(one: ViewComparison) -> dict[str, Any]:
    """Return a view's metrics; None if unknown or not measured."""
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
    """Compute means over the views of each offset, in the order of their first views; the last row is of all."""
    names = list(dict.fromkeys(row["shift"] for row in rows))
    groups = [(name, [row for row in rows if row["shift"] == name]) for name in names]
    return [_summary(name, group) for name, group in [*groups, ("all", rows)] if group]


def separation(rows: Sequence[Row]) -> dict[str, Any]:
    """Compare fit and unfit views by the truth, where it is known.

    Returns:
        by result of the gate the number of views, and the mean of each metric against the truth.
    """
    known = [row for row in rows if row["psnr"] is not None]
    groups = {"fit": [row for row in known if row["fit"]], "unfit": [row for row in known if not row["fit"]]}
    return {
        verdict: {"views": len(group), **{name: mean(group, name) for name in IMAGE_NUMBERS}}
        for verdict, group in groups.items()
    }


def mean(rows: Sequence[Row], name: str) -> float | None:
    """Compute the mean over the rows with the metric; None if there are none."""
    values = [row[name] for row in rows if row[name] is not None]
    return math.fsum(values) / len(values) if values else None


def _summary(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    means = {number: mean(rows, number) for number in (*IMAGE_NUMBERS, *RASTER_NUMBERS)}
    return {"shift": name, "views": len(rows), "fit": sum(row["fit"] for row in rows), **means}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
