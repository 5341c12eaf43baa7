"""Static primitives, rendered repeatedly together with dynamic ones."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.backends import Backend, resolve_backend
from swerve.rasterizer.on_device import ImagesOnDevice, MeshOnDevice
from swerve.rasterizer.render import View, passes_on_gpu, render, render_on_gpu
from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives


class StaticLayer:
    """Static primitives, prepared once for a back end; with cuda they stay on the GPU.

    Args:
        still: static primitives, usually a log's map.
        backend: see `render`.

    Raises:
        SwerveError: there is no such back end on this machine.
    """

    def __init__(self, still: Primitives, backend: Backend = "numba") -> None:
        self._still, self._backend = still, resolve_backend(backend)
        self._mesh: MeshOnDevice | None = None
        if self._backend == "cuda":
            from swerve.rasterizer.cuda.passes import DrawableMesh

            self._mesh = DrawableMesh()
            self._mesh.add(still)

    def render(
        self,
        moving: Primitives,
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "p 4 4"],
        style: Style,
        outputs: tuple[str, ...] = ("rgb",),
        out: list[list[View]] | None = None,
    ) -> list[list[View]]:
        """Render static and dynamic primitives together (see `render`)."""
        if self._mesh is None:
            whole = self._still.concatenate(moving)
            return render(whole, cameras, world_from_ego, style, outputs, out, self._backend)
        return render_on_gpu(self._mesh, _replaced(self._mesh, moving), cameras, world_from_ego, style, outputs, out)

    def passes_on_gpu(
        self,
        moving: Primitives,
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "p 4 4"],
        style: Style,
        outputs: tuple[str, ...] = ("rgb",),
    ) -> Iterator[ImagesOnDevice]:
        """Yield images, left on the GPU (see `render`). Only for cuda.

        Later calls do not change them; consume them before the next call all the same, since each pass starts on
        demand.
        """
        assert self._mesh is not None, "other back ends keep nothing on the GPU"
        return passes_on_gpu(self._mesh, _replaced(self._mesh, moving), cameras, world_from_ego, style, outputs)


def _replaced(mesh: MeshOnDevice, moving: Primitives) -> tuple[int, int]:
    """Replace the dynamic part of a mesh; return its parts: static and dynamic."""
    mesh.truncate(1)
    return (0, mesh.add(moving))
