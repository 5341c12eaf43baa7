"""HTML page of a quality measurement: tables, and true image, splat view and raster side by side."""

import html
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from swerve.eval.splat_quality.evaluation_poses import POSE_OFFSETS
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.quality_answer import answer_box
from swerve.eval.splat_quality.quality_summary import Row, mean_by_offset
from swerve.eval.splat_quality.view_comparison import Picture, ViewComparison
from swerve.viz.html_page import data_url, html_page

_STYLE = """
.trio { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; margin-bottom: 14px; }
.trio img { display: block; width: 100%; height: auto; } .trio .none { padding: 24px 11px; color: var(--dim); }
.trio p { grid-column: 1 / -1; margin: 0; } td, th { text-align: right; } td:first-child, th:first-child { text-align:
  left; } tr.total td { border-top: 1px solid var(--line); } .unfit { color: var(--wrong); }
.wide td, .wide th { white-space: nowrap; } .wide { margin-bottom: 14px; } h3 { font-size: 16px; margin: 26px 0 4px; }
@media (max-width: 620px) { .trio { grid-template-columns: minmax(0, 1fr); } .trio .none { padding: 8px 11px; } }
"""
# Columns of a summary: heading, factor of the unit, and digits.
COLUMNS: dict[str, tuple[str, float, int]] = {
    "psnr": ("PSNR", 1, 2),
    "psnr_aligned": ("aligned", 1, 2),
    "ssim": ("SSIM", 1, 3),
    "lpips": ("LPIPS", 1, 3),
    "depth_error": ("off %", 100, 1),
    "depth_within": ("near %", 100, 0),
    "vehicle_iou": ("IoU %", 100, 0),
    "covered": ("cov. %", 100, 1),
    "distance": ("far m", 1, 1),
    "seen": ("seen %", 100, 0),
    "box_iou": ("boxes %", 100, 0),
    "line_iou": ("lines %", 100, 0),
    "true_box_iou": ("true boxes %", 100, 0),
    "true_line_iou": ("true lines %", 100, 0),
}
EXPLAINED = (
    "Against the true image: PSNR (dB), aligned (PSNR after the best affine change of colours), SSIM, LPIPS. Against "
    "the raster of the same pose: off, the median error of depth within 50 m; near, the share of those pixels whose "
    "depth is right to 10 %; IoU, intersection over union of vehicles; cov., the share of the ground nearby without "
    "holes. Against the fitted photos: far, the distance to the path of a fitted camera that looked the same way; "
    "seen, the share of the static raster that lies in some photo. Against the annotations: boxes, the mean IoU of "
    "vehicles' boxes; lines, the IoU of lane lines; true boxes and true lines, those of the true image. Numbers that "
    "no view has are left out. Classes other than vehicles cannot be compared: splats carry none."
)


def quality_page(
    title: str,
    rows: Sequence[Row],
    shown: Sequence[ViewComparison],
    gate: GateOptions,
    notes: str,
    worst: Sequence[ViewComparison] = (),
) -> str:
    """Render the page.

    Args:
        title: subject of the measurement.
        rows: of every view.
        shown: views to show, of one time.
        gate: the thresholds.
        notes: additional information, plain text.
        worst: views to show of all times.
    """
    sections = [_section(name, list(views)) for name, views in groupby(sorted(shown, key=_rank), _group)]
    body = (
        f"<h1>{html.escape(title)}</h1>{answer_box(rows)}<p>{html.escape(notes)}</p>{_table(mean_by_offset(rows))}"
        f"<p>{EXPLAINED}</p><p>{html.escape(gate_in_words(gate))}</p>{_worst(worst)}"
        f"{_shown_of(shown, rows)}{''.join(sections)}"
    )
    return html_page(title, body, _STYLE)


def gate_in_words(gate: GateOptions) -> str:
    """Describe the thresholds above zero."""
    conditions = [f"its depth is off by {100 * gate.depth_error:.0f} % at most"] if gate.depth_error < 1 else []
    for least, what in (
        (gate.depth_within, "of its pixels have the right depth"),
        (gate.vehicle_iou, "of its vehicles overlap the raster's"),
        (gate.covered, "of the ground is covered"),
        (gate.seen, "of its static pixels lie in some fitted photo"),
    ):
        if least > 0:
            conditions.append(f"{100 * least:.0f} % {what}")
    if math.isfinite(gate.distance):
        turned = f"turned by {math.degrees(gate.turn):.0f} degrees at most"
        conditions.append(f"a fitted camera passed within {gate.distance:g} m of it, {turned}")
    condition = f" if {', '.join(conditions)}" if conditions else ""
    return f"A view is fit{condition}; quantities with too few pixels are not checked."


def known_columns(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the metrics that any view has a value of; the others are left out of tables."""
    return [name for name in COLUMNS if any(summary[name] is not None for summary in summaries)]


def cells(summary: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """Format a summary as text, with a dash for unknown numbers.

    Args:
        summary: means of one offset.
        columns: names of metrics, in order.
    """
    values = [
        "-" if summary[name] is None else f"{COLUMNS[name][1] * summary[name]:.{COLUMNS[name][2]}f}" for name in columns
    ]
    return [summary["offset"], str(summary["views"]), f"{100 * summary['fit'] / summary['views']:.0f}", *values]


def headings(columns: Sequence[str]) -> list[str]:
    """Return the headings of `cells`."""
    return ["offset", "views", "fit %", *(COLUMNS[name][0] for name in columns)]


def _table(summaries: Sequence[Mapping[str, Any]]) -> str:
    columns = known_columns(summaries)
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings(columns))
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in cells(summary, columns)) for summary in summaries]
    *own, whole = lines or [""]
    body = "".join(f"<tr>{line}</tr>" for line in own) + f'<tr class="total">{whole}</tr>'
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _worst(views: Sequence[ViewComparison]) -> str:
    """Render the worst views; empty if no true image is known."""
    if not views:
        return ""
    text = f"The {len(views)} views of all times whose aligned PSNR is lowest, the worst first."
    trios = "".join(_trio(one, f"{one.evaluation_pose.group}, step {one.evaluation_pose.step}, ") for one in views)
    return f"<h2>The worst views</h2><p>{text}</p>{trios}"


def _shown_of(shown: Sequence[ViewComparison], rows: Sequence[Row]) -> str:
    """Render which views follow: those of one time step alone."""
    if not shown:
        return ""
    text = (
        f"{len(shown)} of {len(rows)} views: those of one time, the middle one of those measured. The others are not "
        "shown; their numbers are in quality.json."
    )
    return f"<h2>Views at step {shown[0].evaluation_pose.step}</h2><p>{text}</p>"


def _rank(one: ViewComparison) -> tuple[int, str]:
    """Sort held-out photos first, then by offset."""
    offset = one.evaluation_pose.offset
    return (POSE_OFFSETS.index(offset) + 1 if offset in POSE_OFFSETS else 0, one.evaluation_pose.group)


def _group(one: ViewComparison) -> str:
    return one.evaluation_pose.group


def _section(name: str, views: Sequence[ViewComparison]) -> str:
    return f"<h3>{html.escape(name)}</h3>{''.join(map(_trio, views))}"


def _trio(one: ViewComparison, where: str = "") -> str:
    """Render true image, splat view and raster of one pose; `where` is told before the camera."""
    state = "fit" if one.gate_result.fit else f"unfit: {'; '.join(one.gate_result.reasons)}"
    image, known = "", one.image_metrics
    if known is not None:
        image = f", PSNR {known.psnr:.2f} dB ({known.psnr_aligned:.2f} aligned), SSIM {known.ssim:.3f}"
    figures = [
        _figure("true image", one.truth),
        _figure(f"splat view{image}", one.splat),
        _figure("raster", one.raster),
    ]
    kind = "" if one.gate_result.fit else ' class="unfit"'
    text = html.escape(f"{where}{one.evaluation_pose.camera.name}: {state}")
    return f'<div class="trio"><p{kind}>{text}</p>{"".join(figures)}</div>'


def _figure(caption: str, image: Picture | None) -> str:
    if image is None:
        return '<figure><div class="none">no photo from this pose</div></figure>'
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    return (
        f'<figure><img src="{data_url(image)}" {size} alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
