"""Views in notebooks."""

import base64
import html
import io

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from PIL import Image

_WIDTH, _FARTHEST = 480, 80.0


def images_html(
    name: str,
    rgb: UInt8[np.ndarray, "h w 3"] | None,
    depth: Float32[np.ndarray, "h w"] | None,
    semantic: UInt8[np.ndarray, "h w"] | None,
    instance: Int32[np.ndarray, "h w"] | None,
) -> str:
    """Return the outputs of a view side by side, as HTML.

    Args:
        name: of the camera.
        rgb: colours.
        depth: metres; black at 80 m.
        semantic: classes, in shades.
        instance: instances, in shades.
    """
    shades = {"rgb": rgb, "depth": None if depth is None else _near(depth)}
    shades |= {"semantic": _spread(semantic), "instance": _spread(instance)}
    known = {kind: image for kind, image in shades.items() if image is not None}
    figures = "".join(
        f'<figure style="margin:0 8px 8px 0;display:inline-block"><img src="{_url(image)}" style="max-width:100%" '
        f'width="{min(_WIDTH, image.shape[1])}" alt="{html.escape(f"{name}, {kind}")}">'
        f"<figcaption>{html.escape(name)}: {kind}</figcaption></figure>"
        for kind, image in known.items()
    )
    return f"<div>{figures or html.escape(f'{name}: no outputs')}</div>"


def _near(depth: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    share = np.clip(1.0 - np.where(np.isfinite(depth), depth, _FARTHEST) / _FARTHEST, 0.0, 1.0)
    return (255 * share).astype(np.uint8)


def _spread(numbers: np.ndarray | None) -> UInt8[np.ndarray, "_ _ 3"] | None:
    """Return numbers as colours that differ from those of the next numbers; 0 is black."""
    if numbers is None:
        return None
    mixed = (numbers.astype(np.int64)[..., None] * np.array([67, 131, 29])) % 193 + 62
    return np.where(numbers[..., None] > 0, mixed, 0).astype(np.uint8)


def _url(image: UInt8[np.ndarray, "*shape"]) -> str:
    picture = Image.fromarray(image)
    if picture.width > _WIDTH:
        picture = picture.resize((_WIDTH, max(round(picture.height * _WIDTH / picture.width), 1)))
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
