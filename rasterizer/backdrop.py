"""What stands still, drawn again and again with what moves before it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.backends import Backend, resolved
from swerve.rasterizer.render import View, render, render_on_gpu
from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives


class Backdrop:
    """Primitives that stand still, prepared once for a back end; with cuda they stay on the GPU.

    Args:
        still: what stands still, most often a log's map.
        backend: see `render`.

    Raises:
        SwerveError: there is no such back end on this machine.
    """

    def __init__(self, still: Primitives, backend: Backend = "numba") -> None:
        self._still, self._mesh, self._backend = still, None, resolved(backend)
        if self._backend == "cuda":
            from swerve.rasterizer.cuda import DeviceMesh

            self._mesh = DeviceMesh()
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
        """As `render` of all primitives together."""
        if self._mesh is None:
            whole = self._still.joined(moving)
            return render(whole, cameras, world_from_ego, style, outputs, out, self._backend)
        self._mesh.keep(1)
        parts = (0, self._mesh.add(moving))
        return render_on_gpu(self._mesh, parts, cameras, world_from_ego, style, outputs, out)
