"""Summary of a quality measurement in words: the share of fit views, their quality, and the distance from the path."""

import html
from collections.abc import Sequence

from swerve.eval.splat_quality.evaluation_poses import TEST_CAMERA
from swerve.eval.splat_quality.quality_summary import Row, separation


def answer_box(rows: Sequence[Row]) -> str:
    """Render the answer at the top of the page."""
    first, *others = answer_in_words(rows)
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in others)
    return f'<div class="answer"><b>{html.escape(first)}</b>{lines}</div>'


def answer_in_words(rows: Sequence[Row]) -> list[str]:
    """Return one sentence each: the share of fit views, their quality if true images are known, and the distance."""
    if not rows:
        return ["No view was measured."]
    fit = sum(row["fit"] for row in rows)
    share = f"{fit} of {len(rows)} views are fit ({100 * fit / len(rows):.0f} %)."
    return [line for line in (share, separation_in_words(rows), _distance_in_words(rows)) if line]


def separation_in_words(rows: Sequence[Row]) -> str:
    """Describe the quality of fit and unfit views against the true images; empty if these are unknown."""
    groups = separation(rows)
    parts = [
        f"{group['views']} {gate_result} views have a mean PSNR of {group['psnr']:.2f} dB, SSIM {group['ssim']:.3f}"
        for gate_result, group in groups.items()
        if group["views"]
    ]
    return f"Against the true images, {'; '.join(parts)}." if parts else ""


def unfit_from(rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """Find the distance beside the path from which on most views are unfit.

    Counted are views on the path and to either side of it, neither ahead nor turned, nor of test cameras.

    Returns:
        the smallest distance, metres, at which and beyond which more than half of the views are unfit at every measured
        distance (None if most are fit at the largest one), and the largest distance (None without such views).
    """
    own = [row for row in rows if not row["offset"].startswith(TEST_CAMERA)]
    beside = [row for row in own if not row["along"] and not row["turn"]]
    distances = sorted({abs(row["lateral"]) for row in beside}, reverse=True)
    found = None
    for distance in distances:
        fits = [row["fit"] for row in beside if abs(row["lateral"]) == distance]
        if 2 * sum(fits) >= len(fits):
            break
        found = distance
    return found, distances[0] if distances else None


def _distance_in_words(rows: Sequence[Row]) -> str:
    """Describe from which distance on views are unfit; empty if none beside the path was measured."""
    found, largest = unfit_from(rows)
    if not largest:
        return ""
    if found is None:
        return f"Up to {largest:g} m beside the path, the largest distance measured, half of the views or more are fit."
    where = "Already on the path" if found == 0 else f"From {found:g} m beside the path on"
    return f"{where}, most views are unfit."
