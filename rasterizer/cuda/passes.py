"""Rendering of any number of images in passes that fit into GPU memory."""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numba import cuda

from swerve.rasterizer.cuda.device import DeviceMesh, RenderRequest
from swerve.rasterizer.cuda.device_renderer import DeviceImages, DeviceRenderer
from swerve.rasterizer.on_device import ImagesOnDevice
from swerve.rasterizer.style import Style
from swerve.scenes import Camera

# Pixels per pass: 70 full-size images of two million, some 4 GB of device memory with all spans.
_PIXELS_PER_PASS = 1 << 27


class DrawableMesh(DeviceMesh):
    """Mesh that draws itself: what `render` and `StaticLayer` use of this back end."""

    def passes(
        self,
        parts: tuple[int, ...],
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "p 4 4"],
        style: Style,
        outputs: tuple[str, ...],
    ) -> Iterator[ImagesOnDevice]:
        """Yield images of one or two parts, by pose, then camera (see `render_passes`)."""
        requests = [RenderRequest(camera, pose, parts) for pose in world_from_ego for camera in cameras]
        return render_passes(self, requests, style, outputs)


def render_passes(
    mesh: DeviceMesh, requests: Sequence[RenderRequest], style: Style, outputs: Sequence[str]
) -> Iterator[DeviceImages]:
    """Yield images in the order of the requests, in as few passes as memory allows; each is complete when yielded."""
    drawer = _drawer(threading.get_ident())
    for batch in _batches(requests, _PIXELS_PER_PASS // style.supersampling**2):
        yield _finished(drawer.draw(mesh, batch, style, outputs))


def _finished(images: DeviceImages) -> DeviceImages:
    """Synchronize the device, so that the images may be read in another stream."""
    cuda.synchronize()
    return images


@lru_cache(maxsize=8)
def _drawer(_thread: int) -> DeviceRenderer:
    """Return the thread's own renderer, whose memory is reused."""
    return DeviceRenderer()


def _batches(requests: Sequence[RenderRequest], most: int) -> list[list[RenderRequest]]:
    """Split requests, in order, into batches of at most `most` pixels."""
    batches, used = list[list[RenderRequest]](), most
    for request in requests:
        size = request.camera.width * request.camera.height
        if used + size > most:
            batches.append([])
            used = 0
        batches[-1].append(request)
        used += size
    return batches
