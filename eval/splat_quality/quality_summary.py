"""Metrics for files: a row per view, and their means by offset."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swerve.eval.splat_quality.view_comparison import ViewComparison

# Metrics of a view, as dB or shares; larger is better except for the two errors and the distance.
IMAGE_NUMBERS = ("psnr", "psnr_aligned", "ssim", "lpips")
RASTER_NUMBERS = ("depth_error", "depth_within", "vehicle_iou", "covered")
PHOTO_NUMBERS = ("distance", "seen")
LABEL_NUMBERS = ("box_iou", "line_iou", "true_box_iou", "true_line_iou")

Row = Mapping[str, Any]


def view_row(one: ViewComparison) -> dict[str, Any]:
    """Return a view's metrics; None if unknown or not measured."""
    evaluation_pose, image, numbers = one.evaluation_pose, one.image_metrics, one.gate_result.numbers
    known = {name: getattr(image, name) if image else None for name in ("psnr", "psnr_aligned", "ssim")}
    return {
        "step": evaluation_pose.step,
        "offset": evaluation_pose.group,
        "along": evaluation_pose.offset.along,
        "lateral": evaluation_pose.offset.lateral,
        "turn": evaluation_pose.offset.turn,
        "camera": evaluation_pose.camera.name,
        "time_us": evaluation_pose.time_us,
        **known,
        "lpips": one.lpips,
        **{name: _or_none(getattr(numbers, name)) for name in RASTER_NUMBERS},
        **{name: _or_none(getattr(one.gate_result.extrapolation, name)) for name in PHOTO_NUMBERS},
        **{name: _or_none(getattr(one.labels, name)) for name in LABEL_NUMBERS},
        "fit": one.gate_result.fit,
        "reasons": list(one.gate_result.reasons),
    }


def mean_by_offset(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Compute means over the views of each offset, in the order of their first views; the last row is of all."""
    names = list(dict.fromkeys(row["offset"] for row in rows))
    groups = [(name, [row for row in rows if row["offset"] == name]) for name in names]
    return [_summary(name, group) for name, group in [*groups, ("all", rows)] if group]


def separation(rows: Sequence[Row]) -> dict[str, Any]:
    """Compare fit and unfit views against the true images, where these are known.

    Returns:
        by result of the gate the number of views, and the mean of each metric against the true images.
    """
    known = [row for row in rows if row["psnr"] is not None]
    groups = {"fit": [row for row in known if row["fit"]], "unfit": [row for row in known if not row["fit"]]}
    return {
        gate_result: {"views": len(group), **{name: mean(group, name) for name in IMAGE_NUMBERS}}
        for gate_result, group in groups.items()
    }


def mean(rows: Sequence[Row], name: str) -> float | None:
    """Compute the mean over the rows with the metric; None if there are none."""
    values = [row[name] for row in rows if row[name] is not None]
    return math.fsum(values) / len(values) if values else None


def _summary(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    means = {number: mean(rows, number) for number in (*IMAGE_NUMBERS, *RASTER_NUMBERS, *PHOTO_NUMBERS, *LABEL_NUMBERS)}
    return {"offset": name, "views": len(rows), "fit": sum(row["fit"] for row in rows), **means}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
