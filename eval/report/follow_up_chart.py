"""Chart of a scene's follow-up starts with their positions, weights and scores."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from swerve.eval.report.ranking import SceneRow
from swerve.eval.report.replay import Replay
from swerve.eval.report.scene_images import HUMAN, PLAN, follow_up_dot, weight_color
from swerve.eval.scoring.trajectories import to_world
from swerve.scenes.transforms import rotation_about_z
from swerve.viz.svg import FAINT, GRID, INK, Axes, element, text, tick, ticks

_SIZE = (520, 390)
_RADIUS = 12.0
# Minimum radius of a circle that contains its score.
_ROOMY = 9.0


def follow_up_chart(first: Replay, rows: Sequence[SceneRow], shown: str) -> tuple[str, bool]:
    """Plot the starts of follow-up scenes around the human's position after 4 s.

    The lateral axis is stretched: its range is metres, the longitudinal one's tens of metres. Each start is coloured by
    its weight and labelled with its score if there is room.

    Args:
        first: the stage-one scene.
        rows: its follow-up scenes.
        shown: token of the highlighted one.

    Returns:
        the chart, and whether there is room for the scores.
    """
    base = _base(first)
    starts = seen_from(base, np.stack([row.start[:2] for row in rows]))
    end = seen_from(base, first.row.end[None])
    axes = _axes(np.concatenate([starts, np.zeros((1, 2)), *([] if first.row.failed else [end])]))
    pixels = axes.pixels(starts)
    radius = float(np.clip(0.52 * _room(pixels), 3.5, _RADIUS))
    order = np.argsort([row.weight for row in rows], kind="stable")
    dots = [_start(pixels[index], rows[index], rows, radius, shown) for index in order]
    top = max(row.weight for row in rows)
    marks = _cross(axes.pixels(np.zeros((1, 2)))[0], HUMAN, "where the human was after 4 s")
    if not first.row.failed:
        marks += _cross(axes.pixels(end)[0], PLAN, "where the plan ends")
    chart = element(_SIZE, _grid(axes) + marks + "".join(dots) + _color_bar(top), "follow-up starts")
    return chart, radius >= _ROOMY


def seen_from(base: Float[np.ndarray, "3"], points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Return the positions (ahead, right) of points relative to a pose (x, y, heading)."""
    ahead, left = ((points - base[:2]) @ rotation_about_z(float(base[2]))[:2, :2]).T
    return np.stack([ahead, -left], axis=1)


def _base(first: Replay) -> Float[np.ndarray, "3"]:
    """Return the human's pose after 4 s, the centre of the grid."""
    context = first.context
    assert context.human is not None, "scenes of the first stage have a human"
    base: Float[np.ndarray, "3"] = to_world(context.human[-1:], context.ego[:3])[0]
    return base


def _axes(points: Float[np.ndarray, "n 2"]) -> Axes:
    """Create the axes: driving direction to the right, left of the road upwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    along, across = np.maximum((high - low) * 0.06, 2.0), max(float((high - low)[1]) * 0.1, 0.3)
    return Axes(
        (float(low[0] - along[0]), float(high[0] + along[0])),
        (float(high[1] + across), float(low[1] - across)),
        left=58.0,
        top=34.0,
        width=_SIZE[0] - 74.0,
        height=_SIZE[1] - 84.0,
    )


def _room(pixels: Float[np.ndarray, "n 2"]) -> float:
    """Return the median distance between nearest starts. Overlapping starts are drawn in order of weight."""
    apart = np.hypot(*(pixels[:, None] - pixels[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    return float(np.median(apart.min(axis=1)))


def _start(place: Float[np.ndarray, "2"], row: SceneRow, rows: Sequence[SceneRow], radius: float, shown: str) -> str:
    x, y = place.tolist()
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius + 3:.1f}" fill="none" stroke="#ff5d6c" stroke-width="2"/>'
    share = row.weight / max(other.weight for other in rows)
    ink = "#0c0e12" if share > 0.45 else INK
    label = text(x, y + 3.8, short(row.score), "middle", ink, ' font-size="11" pointer-events="none"')
    return (
        (ring if row.token == shown else "")
        + follow_up_dot(place, row, round(radius, 1), rows)
        + (label if radius >= _ROOMY else "")
    )


def short(score: float) -> str:
    """Format a score in few characters: 0, .84, 1."""
    return f"{score:.2f}".lstrip("0").rstrip("0").rstrip(".") or "0"


def _cross(place: Float[np.ndarray, "2"], color: str, title: str) -> str:
    x, y = place.tolist()
    shape = f"M{x - 20:.1f} {y:.1f}h40m-20 -20v40"
    return f'<path d="{shape}" stroke="{color}" stroke-width="1.5"><title>{title}</title></path>'


def _grid(axes: Axes) -> str:
    right, foot = axes.left + axes.width, axes.top + axes.height
    parts = []
    for value in ticks(*axes.x, 8).tolist():
        x = axes.pixels(np.array([[value, axes.y[0]]]))[0, 0]
        parts.append(f'<path d="M{x:.1f} {axes.top:.1f}V{foot:.1f}" stroke="{GRID}"/>')
        parts.append(text(x, foot + 17, tick(value), "middle"))
    for value in ticks(axes.y[1], axes.y[0], 5).tolist():
        y = axes.pixels(np.array([[axes.x[0], value]]))[0, 1]
        parts.append(f'<path d="M{axes.left:.1f} {y:.1f}H{right:.1f}" stroke="{GRID}"/>')
        parts.append(text(axes.left - 7, y + 4, tick(-value), "end"))
    middle = axes.top + axes.height / 2
    parts.append(text(axes.left + axes.width / 2, foot + 37, "metres ahead of where the human was after 4 s", "middle"))
    parts.append(text(14.0, middle, "metres to the left", "middle", extra=f' transform="rotate(-90 14 {middle:.1f})"'))
    return "".join(parts)


def _color_bar(top: float) -> str:
    """Draw the colour bar of weights, from zero to the largest."""
    left, step, count = _SIZE[0] - 196.0, 6.0, 20
    cells = [
        f'<rect x="{left + step * index:.1f}" y="9" width="{step + 0.5}" height="10" '
        f'fill="{weight_color(index / (count - 1))}"/>'
        for index in range(count)
    ]
    names = text(left - 8, 18.0, "weight 0", "end"), text(left + step * count + 8, 18.0, f"{top:.2f}", color=FAINT)
    return "".join(cells) + "".join(names)
