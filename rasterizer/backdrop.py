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
    """Primitives that stand still, prepared once for a back end; on a GPU they stay there.

    Args:
        still: what stands still, most often a log's map.
        backend: see `render`.

    Raises:
        SwerveError: there is no such back end on this machine.
    """

    def __init__(self, still: Primitives, backend: Backend = "numba") -> None:
        self._still, self._mesh = still, None
        if resolved(backend) == "cuda":
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
            return render(self._still.joined(moving), cameras, world_from_ego, style, outputs, out)
        self._mesh.keep(1)
        parts = (0, self._mesh.add(moving))
        return render_on_gpu(self._mesh, parts, cameras, world_from_ego, style, outputs, out)
