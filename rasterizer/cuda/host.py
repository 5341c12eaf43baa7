"""Images from the GPU in host memory, in passes that fit its own."""

import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from swerve.rasterizer.cuda.device import DeviceMesh, Request
from swerve.rasterizer.cuda.draw import Drawer
from swerve.rasterizer.style import Style

# Pixels that are drawn in one pass: 70 full-size images of two million, some 4 GB of device memory with all spans.
_PIXELS_PER_PASS = 1 << 27


def draw_requests(
    mesh: DeviceMesh, requests: Sequence[Request], style: Style, outputs: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Images by request, then output, drawn in as few passes as the memory allows and copied to the host."""
    drawer = _drawer(threading.get_ident())
    images = []
    for batch in _batches(requests, _PIXELS_PER_PASS // style.samples**2):
        images += drawer.draw(mesh, batch, style, outputs).to_host()
    return images


@lru_cache(maxsize=8)
def _drawer(_thread: int) -> Drawer:
    """The thread's own, whose memory is used again."""
    return Drawer()


def _batches(requests: Sequence[Request], most: int) -> list[list[Request]]:
    """Requests in order, so many pixels at a time."""
    batches, used = list[list[Request]](), most
    for request in requests:
        size = request.camera.width * request.camera.height
        if used + size > most:
            batches.append([])
            used = 0
        batches[-1].append(request)
        used += size
    return batches
