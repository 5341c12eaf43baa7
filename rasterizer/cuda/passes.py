"""Any number of images, in passes that fit into the GPU's memory."""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache

from numba import cuda

from swerve.rasterizer.cuda.device import DeviceMesh, Request
from swerve.rasterizer.cuda.device_renderer import DeviceImages, DeviceRenderer
from swerve.rasterizer.style import Style

# Pixels that are drawn in one pass: 70 full-size images of two million, some 4 GB of device memory with all spans.
_PIXELS_PER_PASS = 1 << 27


def draw_passes(
    mesh: DeviceMesh, requests: Sequence[Request], style: Style, outputs: Sequence[str]
) -> Iterator[DeviceImages]:
    """Images in the order of the requests, in as few passes as the memory allows; each is finished when it is given."""
    drawer = _drawer(threading.get_ident())
    for batch in _batches(requests, _PIXELS_PER_PASS // style.samples**2):
        yield _finished(drawer.draw(mesh, batch, style, outputs))


def _finished(images: DeviceImages) -> DeviceImages:
    """Once the device is done: whoever reads them there may do so in another stream."""
    cuda.synchronize()
    return images


@lru_cache(maxsize=8)
def _drawer(_thread: int) -> DeviceRenderer:
    """The thread's own, whose memory is used again."""
    return DeviceRenderer()


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
