"""Self-contained HTML pages with embedded images, in one design: light or dark by the reader's setting."""

import base64
import html
import io
import re
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from swerve.viz.page_script import SCRIPT
from swerve.viz.page_style import STYLE

# Most bytes of a page: with the overhead of mail, what most servers let pass as an attachment.
PAGE_LIMIT: Final = 7_000_000
# Control characters but ends of lines and tabs, characters that reorder what follows, and halves of surrogate pairs.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IMAGE = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)")
# Images below this many bytes are never made smaller, and none gets narrower than this many pixels.
_SMALL, _NARROW, _ROUNDS = 4096, 96, 5


def html_page(title: str, body: str, style: str = "", script: str = "", limit: int = PAGE_LIMIT) -> str:
    """Build a complete HTML page in the project's style; it can be written as UTF-8 whatever it holds.

    Tables sort by a click on a heading, those of many rows have a filter, and images enlarge by a click.

    Args:
        title: plain text; it is escaped, and does not appear in the body by itself.
        body: HTML.
        style: more CSS; colours are the variables of `page_style`.
        script: JavaScript that runs after the body.
        limit: bytes; of a larger page the images are made smaller until it fits.
    """
    running = f"<script>{script}</script>" if script else ""
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><style>{STYLE}{style}</style></head>'
        f"<body>{body}<script>{SCRIPT}</script>{running}\n</body></html>\n"
    )
    page = _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), page)
    return within_limit(page, limit)


def within_limit(page: str, limit: int) -> str:
    """Make the embedded images smaller until the page has `limit` bytes at most, or they can shrink no further."""
    for _ in range(_ROUNDS):
        excess = len(page.encode()) - limit
        if excess <= 0:
            return page
        images = sum(len(found[0]) for found in _IMAGE.finditer(page) if len(found[1]) > _SMALL)
        share = max(1.0 - 1.1 * excess / images, 0.05) if images else 1.0
        smaller = _IMAGE.sub(partial(_shrunk, share=share), page)
        if len(smaller) >= len(page):
            return page
        page = smaller
    return page


def _shrunk(found: re.Match[str], share: float) -> str:
    """Return the `data:` URL of an image with about this share of its bytes."""
    if len(found[1]) <= _SMALL:
        return found[0]
    picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
    scale = max(np.sqrt(share), min(_NARROW / picture.width, 1.0))
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    smaller = data_url(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)), quality=75)
    return min(found[0], smaller, key=len)


def data_url(image: UInt8[np.ndarray, "h w 3"], quality: int = 88) -> str:
    """Encode an image as a `data:` URL: the smaller of PNG (drawings) and JPEG (photos)."""
    picture, files = Image.fromarray(image), []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": quality})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        files.append((buffer.getbuffer().nbytes, kind, buffer.getvalue()))
    _, kind, data = min(files)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
