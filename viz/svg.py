"""Small charts as SVG text: scatter plots, lines, bars with intervals, histograms.

The functions return an `<svg>` element for use inside a page. It scales to the given width, every mark has a tooltip
(`<title>`), and all texts are escaped. `standalone` makes a file of one.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Colours that are distinguishable on a dark background, also for most colour-blind readers; shapes differ as well.
_DARK = ("#6cb6ff", "#f6a54c", "#5cd6a3", "#e879b9", "#f4d35e", "#a78bfa", "#ff8577", "#9fb0c3")
# On a page they are those of its style sheet (`viz.page_style`), which has others for light pages.
COLORS = tuple(f"var(--c{number}, {color})" for number, color in enumerate(_DARK))
INK, FAINT, GRID = "var(--ink, #d9dde5)", "var(--faint, #98a1b0)", "var(--line, #262c37)"
GROUND = "var(--ground, #0c0e12)"
# Circle, square, diamond, triangle.
_SHAPES = (
    "M{left:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M{left:.1f} {top:.1f}h8v8h-8z",
    "M{x:.1f} {top:.1f}m0 -1l5 5l-5 5l-5 -5z",
    "M{x:.1f} {top:.1f}m0 -1l5 9h-10z",
)
_FONT = "system-ui, sans-serif"
_LEGEND_ROW = 20.0
_MARGIN = (56.0, 16.0, 12.0, 46.0)  # left, right, top, bottom


@dataclass(frozen=True)
class Series:
    """Line of a chart.

    Attributes:
        name: label in the legend.
        points: (x, y), in the order of x.
        band: lower and upper bound of y at each point; None for none.
    """

    name: str
    points: Float[np.ndarray, "n 2"]
    band: Float[np.ndarray, "n 2"] | None = None


@dataclass(frozen=True)
class Axes:
    """Pixel rectangle that shows a range of numbers; y grows upwards.

    Attributes:
        x: numbers at the left and right edge.
        y: numbers at the lower and upper edge.
        left, top, width, height: the rectangle, in pixels.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    top: float
    width: float
    height: float

    def pixels(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Return the pixels of data points on the chart."""
        low, high = np.array([self.x[0], self.y[0]]), np.array([self.x[1], self.y[1]])
        share = (points - low) / (high - low)
        corner, size = (self.left, self.top + self.height), (self.width, -self.height)
        scaled: Float[np.ndarray, "n 2"] = np.array(corner) + share * np.array(size)
        return scaled


def scatter(
    points: Float[np.ndarray, "n 2"],
    labels: Sequence[str],
    groups: Sequence[str],
    x_title: str,
    y_title: str,
    *,
    fit: bool = False,
    size: tuple[int, int] = (640, 460),
) -> str:
    """Build a scatter plot.

    Args:
        points: (x, y); those that are not finite are left out.
        labels: tooltip of each point.
        groups: group of each point: its colour, its shape and its legend entry.
        x_title: text under the x axis.
        y_title: text along the y axis.
        fit: whether the least-squares line of all points is drawn.
        size: pixels.
    """
    names = list(dict.fromkeys(groups))
    seen = np.flatnonzero(np.isfinite(points).all(axis=1))
    axes = _axes(points[seen], size, _legend_height(names, size[0]))
    line = _fit(points[seen], axes) if fit and len(seen) > 1 else ""
    marks = [
        mark(x, y, names.index(groups[row]), labels[row])
        for row, (x, y) in zip(seen, axes.pixels(points[seen]).tolist(), strict=True)
    ]
    parts = [_grid(axes, x_title, y_title), line, *marks, _legend(names, size[0])]
    return element(size, "".join(parts), f"{y_title} against {x_title}")


def lines(series: Sequence[Series], x_title: str, y_title: str, *, size: tuple[int, int] = (640, 400)) -> str:
    """Build a line chart, with bands where series have them."""
    names = [one.name for one in series]
    bounds = [one.points for one in series]
    bounds += [
        np.stack([one.points[:, 0], edge], axis=1) for one in series if one.band is not None for edge in one.band.T
    ]
    axes = _axes(np.concatenate(bounds), size, _legend_height(names, size[0]))
    drawn = "".join(_line(one, number, axes) for number, one in enumerate(series))
    return element(size, _grid(axes, x_title, y_title) + drawn + _legend(names, size[0]), f"{y_title} over {x_title}")


def bars(
    labels: Sequence[str],
    values: Float[np.ndarray, "n"],
    limits: tuple[float, float],
    intervals: Float[np.ndarray, "n 2"] | None = None,
    *,
    width: int = 640,
) -> str:
    """Build horizontal bars from zero, one under the other, with whiskers where intervals are given (NaN: none).

    Args:
        labels: label of each bar.
        values: their lengths.
        limits: numbers at the left and right edge.
        intervals: lower and upper end of each whisker.
        width: pixels.
    """
    row, left = 26.0, 200.0
    axes = Axes(limits, (0.0, 1.0), left, 4.0, width - left - 66.0, row * len(labels))
    parts = []
    for number, (label, value) in enumerate(zip(labels, values.tolist(), strict=True)):
        interval = None if intervals is None else intervals[number]
        parts.append(_bar(axes, 4.0 + row * number, label, value, interval))
    return element((width, round(row * len(labels) + 8)), "".join(parts), "bars")


def histogram(
    values: Float[np.ndarray, "n"],
    edges: Float[np.ndarray, "k"],
    x_title: str,
    *,
    size: tuple[int, int] = (360, 130),
    color: str = COLORS[0],
) -> str:
    """Build a histogram; the last bin includes both its edges."""
    counts = np.histogram(values[np.isfinite(values)], edges)[0]
    axes = Axes(
        (float(edges[0]), float(edges[-1])),
        (0.0, float(max(counts.max(), 1))),
        30.0,
        8.0,
        size[0] - 42.0,
        size[1] - 46.0,
    )
    corners = axes.pixels(np.stack([np.asarray(edges[:-1]), counts], axis=1))
    step = axes.width / len(counts)
    drawn = [
        f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{axes.top + axes.height - y:.1f}" rx="1.5" '
        f'fill="{color}"><title>{count} from {low:.2g} to {high:.2g}</title></rect>'
        for (x, y), count, low, high in zip(corners.tolist(), counts, edges[:-1], edges[1:], strict=True)
    ]
    foot = axes.top + axes.height
    ground = f'<path d="M{axes.left:.1f} {foot:.1f}h{axes.width:.1f}" stroke="{FAINT}"/>'
    top = text(axes.left - 6, axes.top + 10, str(counts.max()), "end")
    ends = [text(axes.pixels(np.array([[x, 0.0]]))[0, 0], foot + 15, tick(x), "middle") for x in ticks(*axes.x, 5)]
    title = text(axes.left + axes.width / 2, size[1] - 4.0, x_title, "middle")
    return element(size, "".join(drawn) + ground + top + "".join(ends) + title, f"histogram of {x_title}")


def element(size: tuple[int, int], content: str, label: str) -> str:
    """Build an `<svg>` element of that many pixels that shrinks with its container.

    Args:
        size: width and height.
        content: SVG content.
        label: description for screen readers.
    """
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(label)}" style="max-width:100%;height:auto" font-family="{_FONT}" font-size="12">'
        f"{content}</svg>"
    )


def standalone(svg: str) -> str:
    """Return the text of an .svg file with one of these charts, on its dark background."""
    opening, rest = svg.split(">", 1)
    return (
        f"{opening.replace('<svg', '<svg xmlns=' + chr(34) + 'http://www.w3.org/2000/svg' + chr(34), 1)}>"
        f'<rect width="100%" height="100%" fill="{GROUND}"/>{rest}\n'
    )


def text(x: float, y: float, content: str, anchor: str = "start", color: str = FAINT, extra: str = "") -> str:
    """Return a line of text; `y` is its base line."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"{extra}>{html.escape(content)}</text>'


def mark(x: float, y: float, number: int, title: str) -> str:
    """Return the mark of a point of the group with this number, in its colour and shape."""
    color = COLORS[number % len(COLORS)]
    shape = _SHAPES[(number + number // len(COLORS)) % len(_SHAPES)].format(x=x, y=y, left=x - 4.0, top=y - 4.0)
    return (
        f'<path class="mark" d="{shape}" fill="{color}" fill-opacity="0.85" stroke="{GROUND}">'
        f"<title>{html.escape(title)}</title></path>"
    )


def ticks(low: float, high: float, count: int = 6) -> Float[np.ndarray, "k"]:
    """Return round numbers in [low, high], steps of 1, 2 or 5 times a power of ten, about `count` of them or fewer."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(share * power for share in (1, 2, 5, 10) if share * power >= rough * (1 - 1e-9))
    steps: Float[np.ndarray, "k"] = np.round(
        np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step, 12
    )
    return steps


def tick(value: float) -> str:
    """Format a tick's number without trailing zeros."""
    return f"{value + 0.0:.6g}"


def _axes(points: Float[np.ndarray, "n 2"], size: tuple[int, int], above: float) -> Axes:
    """Compute axes around the points with a 4 % margin on every side; (0, 1) without points."""
    left, right, top, bottom = _MARGIN
    ranges = []
    for column in points[np.isfinite(points).all(axis=1)].T:
        low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 1.0)
        room = 0.04 * (high - low) or max(abs(high), 1.0) * 0.1
        ranges.append((low - room, high + room))
    x, y = ranges
    return Axes(x, y, left, top + above, size[0] - left - right, size[1] - above - top - bottom)


def _grid(axes: Axes, x_title: str, y_title: str) -> str:
    right, foot = axes.left + axes.width, axes.top + axes.height
    parts = []
    for value in ticks(*axes.x).tolist():
        x = axes.pixels(np.array([[value, axes.y[0]]]))[0, 0]
        parts.append(f'<path d="M{x:.1f} {axes.top:.1f}V{foot:.1f}" stroke="{GRID}"/>')
        parts.append(text(x, foot + 17, tick(value), "middle"))
    for value in ticks(*axes.y).tolist():
        y = axes.pixels(np.array([[axes.x[0], value]]))[0, 1]
        parts.append(f'<path d="M{axes.left:.1f} {y:.1f}H{right:.1f}" stroke="{GRID}"/>')
        parts.append(text(axes.left - 7, y + 4, tick(value), "end"))
    middle = axes.top + axes.height / 2
    parts.append(text(axes.left + axes.width / 2, foot + 37, x_title, "middle", INK))
    parts.append(text(14.0, middle, y_title, "middle", INK, f' transform="rotate(-90 14 {middle:.1f})"'))
    return "".join(parts)


def _fit(points: Float[np.ndarray, "n 2"], axes: Axes) -> str:
    """Return the least-squares line over the points' range; empty where all have the same x."""
    x, y = points.T
    spread = float(((x - x.mean()) ** 2).sum())
    if spread == 0.0:
        return ""
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    ends = np.array([x.min(), x.max()])
    (x1, y1), (x2, y2) = axes.pixels(np.stack([ends, y.mean() + slope * (ends - x.mean())], axis=1)).tolist()
    return (
        f'<path class="fit" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{FAINT}" stroke-width="1.5" '
        f'stroke-dasharray="6 4"><title>least squares: slope {slope:.3g}</title></path>'
    )


def _line(series: Series, number: int, axes: Axes) -> str:
    color = COLORS[number % len(COLORS)]
    pixels = axes.pixels(series.points).tolist()
    parts = []
    if series.band is not None:
        low, high = (np.stack([series.points[:, 0], edge], axis=1) for edge in series.band.T)
        around = _path(axes.pixels(np.concatenate([low, high[::-1]])).tolist())
        parts.append(f'<path d="{around}z" fill="{color}" fill-opacity="0.15"/>')
    parts.append(f'<path class="line" d="{_path(pixels)}" fill="none" stroke="{color}" stroke-width="2"/>')
    for (x, y), (at, value) in zip(pixels, series.points.tolist(), strict=True):
        parts.append(mark(x, y, number, f"{series.name}: {value:.4g} at {at:.4g}"))
    return "".join(parts)


def _path(pixels: Sequence[Sequence[float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in pixels)


def _bar(axes: Axes, top: float, label: str, value: float, interval: Float[np.ndarray, "2"] | None) -> str:
    zero, end = axes.pixels(np.array([[np.clip(0.0, *axes.x), 0.0], [np.clip(value, *axes.x), 0.0]]))[:, 0].tolist()
    middle = top + 13
    parts = [
        text(axes.left - 10, middle + 4, label, "end", INK),
        f'<rect x="{min(zero, end):.1f}" y="{top + 4:.1f}" width="{abs(end - zero):.1f}" height="18" rx="2" '
        f'fill="{COLORS[0]}" fill-opacity="0.75"/>',
        text(axes.left + axes.width + 10, middle + 4, f"{value:.3f}", color=INK),
    ]
    if interval is not None and np.isfinite(interval).all():
        low, high = axes.pixels(np.stack([np.clip(interval, *axes.x), np.zeros(2)], axis=1))[:, 0].tolist()
        shape = f"M{low:.1f} {middle - 5}v10m0 -5H{high:.1f}m0 -5v10"
        parts.append(f'<path d="{shape}" fill="none" stroke="{INK}" stroke-width="1.5"/>')
    return f"<g><title>{html.escape(label)}: {value:.4f}</title>{''.join(parts)}</g>"


def _legend_places(names: Sequence[str], width: int) -> list[tuple[float, float]]:
    """Return left and middle of each name, in rows; a letter counts as 6.8 pixels, more than average."""
    places = list[tuple[float, float]]()
    x, row = _MARGIN[0], 0
    for name in names:
        wide = 30.0 + 6.8 * len(name)
        if places and x + wide > width:
            x, row = _MARGIN[0], row + 1
        places.append((x, 10.0 + _LEGEND_ROW * row))
        x += wide
    return places


def _legend_height(names: Sequence[str], width: int) -> float:
    return _legend_places(names, width)[-1][1] + 10.0 if len(names) > 1 else 0.0


def _legend(names: Sequence[str], width: int) -> str:
    if len(names) < 2:
        return ""
    places = zip(names, _legend_places(names, width), strict=True)
    return "".join(
        mark(x + 5, y, number, name) + text(x + 15, y + 4, name, color=INK)
        for number, (name, (x, y)) in enumerate(places)
    )
