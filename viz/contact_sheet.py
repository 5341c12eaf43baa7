"""Contact sheets: panels of images as one PNG and as one self-contained HTML page."""

import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from swerve.viz.html_page import data_url, html_page

_STYLE = """
.panels { display: grid; gap: 14px; align-items: start;
          grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--width)), 1fr)); }
img { display: block; width: 100%; height: auto; }
.table { overflow-x: auto; margin-bottom: 16px; } td { overflow-wrap: anywhere; vertical-align: top; }
td + td { min-width: 3ch; }
"""


@dataclass(frozen=True)
class Panel:
    """Captioned image."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Section:
    """Table and group of panels.

    Attributes:
        title: heading.
        text: description of one or two sentences.
        panels: captioned images.
        width: preferred width of a panel in pixels on a sheet of 1920; two thirds of that on a page.
        table: rows of text, the first of them the headings; none if empty.
    """

    title: str
    text: str
    panels: tuple[Panel, ...]
    width: int = 420
    table: tuple[tuple[str, ...], ...] = ()


def write_contact_sheet_html(path: Path, title: str, text: str, sections: tuple[Section, ...]) -> None:
    """Write the sheet as an HTML page with embedded images."""
    body = "\n".join(_section_html(section) for section in sections)
    head = f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>"
    path.write_text(html_page(title, f"{head}\n{body}", _STYLE), encoding="utf-8")


def _section_html(section: Section) -> str:
    panels = "\n".join(
        f'<figure><img src="{data_url(panel.image)}" width="{panel.image.shape[1]}" height="{panel.image.shape[0]}" '
        f'alt="{html.escape(panel.caption)}"><figcaption>{html.escape(panel.caption)}</figcaption></figure>'
        for panel in section.panels
    )
    return (
        f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>{_table_html(section.table)}"
        f'<div class="panels" style="--width: {section.width * 2 // 3}px">{panels}</div>'
    )


def _table_html(table: tuple[tuple[str, ...], ...]) -> str:
    if not table:
        return ""
    head, *rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in table)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="table"><table><tr>{head.replace("td>", "th>")}</tr>{body}</table></div>'


def write_contact_sheet_png(path: Path, title: str, sections: tuple[Section, ...], width: int = 1920) -> None:
    """Write the sheet as one PNG image."""
    rows = [_heading(title, 30, width)]
    for section in sections:
        rows.append(_heading(section.title, 21, width))
        rows.extend(_table_rows(section.table, width))
        rows.extend(_panel_rows(section, width))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


_BACKGROUND, _INK, _FAINT, _GAP = (12, 14, 18), (217, 221, 229), (152, 161, 176), 10


def _heading(text: str, size: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    strip = Image.new("RGB", (width, size * 2), _BACKGROUND)
    ImageDraw.Draw(strip).text((_GAP, size // 2), text, fill=_INK, font=ImageFont.load_default(size))
    return np.asarray(strip)


def _table_rows(table: tuple[tuple[str, ...], ...], width: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Draw a table, in columns as wide as their widest cells; what does not fit is cut off at the sheet's edge."""
    if not table:
        return []
    font = ImageFont.load_default(15)
    columns = [max(round(font.getlength(cell)) for cell in column) + 24 for column in zip(*table, strict=True)]
    lefts = [_GAP, *(_GAP + int(left) for left in np.cumsum(columns)[:-1])]
    strip = Image.new("RGB", (width, 24 * len(table) + 10), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for number, row in enumerate(table):
        for left, cell in zip(lefts, row, strict=True):
            draw.text((left, 24 * number), cell, fill=_INK if number else _FAINT, font=font)
    return [np.asarray(strip)]


def _panel_rows(section: Section, width: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    columns = max(width // section.width, 1)
    inner = (width - _GAP) // columns - _GAP
    groups = [section.panels[i : i + columns] for i in range(0, len(section.panels), columns)]
    return [_panel_row(group, inner, width) for group in groups]


def _panel_row(panels: tuple[Panel, ...], inner: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    pictures = [Image.fromarray(panel.image) for panel in panels]
    heights = [round(inner * picture.height / picture.width) for picture in pictures]
    font = ImageFont.load_default(14)
    strip = Image.new("RGB", (width, max(heights) + 34), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for number, (panel, picture, height) in enumerate(zip(panels, pictures, heights, strict=True)):
        left = _GAP + number * (inner + _GAP)
        strip.paste(picture.resize((inner, height), Image.Resampling.LANCZOS), (left, 0))
        draw.text((left + 2, height + 6), panel.caption, fill=_INK, font=font)
    return np.asarray(strip)
