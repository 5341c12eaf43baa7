"""Self-contained HTML pages with embedded images."""

import base64
import html
import io
import re

import numpy as np
from jaxtyping import UInt8
from PIL import Image

# Control characters but ends of lines and tabs, characters that reorder what follows, and halves of surrogate pairs.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STYLE = """
:root { color-scheme: dark; }
body { margin: 0; padding: 24px clamp(12px, 4vw, 56px) 64px; background: #0c0e12; color: #d9dde5;
       font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 4px; }
p { margin: 0 0 14px; color: #98a1b0; max-width: 80ch; }
figure { margin: 0; background: #151920; border-radius: 6px; overflow: hidden; }
figcaption { padding: 7px 11px 9px; font-size: 13px; color: #b4bbc8; }
table { border-collapse: collapse; font-size: 14px; } td, th { padding: 3px 18px 3px 0; text-align: left; }
th { color: #98a1b0; font-weight: 500; }
"""


def html_page(title: str, body: str, style: str = "", script: str = "") -> str:
    """Build a complete HTML page in the project's style; it can be written as UTF-8 whatever it holds.

    Args:
        title: plain text; it is escaped, and does not appear in the body by itself.
        body: HTML.
        style: more CSS.
        script: JavaScript that runs after the body.
    """
    running = f"<script>{script}</script>" if script else ""
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}{style}</style></head>'
        f"<body>{body}{running}\n</body></html>\n"
    )
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), page)


def data_url(image: UInt8[np.ndarray, "h w 3"], quality: int = 88) -> str:
    """Encode an image as a `data:` URL: the smaller of PNG (drawings) and JPEG (photos)."""
    picture, files = Image.fromarray(image), []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": quality})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        files.append((buffer.getbuffer().nbytes, kind, buffer.getvalue()))
    _, kind, data = min(files)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
