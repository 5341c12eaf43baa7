"""What stands still, drawn again and again with what moves before it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.backends import Backend, resolved
from swerve.rasterizer.render import View, passes_on_gpu, render, render_on_gpu
from swerve.rasterizer.style import Style
from swerve.scenes import Camera
from swerve.scenes.primitives import Primitives


class StaticLayer:
    """Primitives that stand still, prepared once for a back end; with cuda they stay on the GPU.

    Args:
        still: what stands still, most often a log's map.
        backend: see `render`.

    Raises:
        SwerveError: there is no such back end on this machine.
    """

    def __init__(self, still: Primitives, backend: Backend = "numba") -> None:
        self._still, self._backend = still, resolved(backend)
        self._mesh: Any = None  # A `DeviceMesh`, which is imported only where there is a GPU.
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
        return render_on_gpu(self._mesh, self._with(moving), cameras, world_from_ego, style, outputs, out)

    def passes_on_gpu(
        self,
        moving: Primitives,
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "p 4 4"],
        style: Style,
        outputs: tuple[str, ...] = ("rgb",),
    ) -> Iterator[Any]:
        """As `render`, left on the GPU: `swerve.rasterizer.cuda.DeviceImages` that follow each other. For cuda alone.

        They stay what they are in later calls; use them up before the next one all the same, since each begins when
        it is asked for.
        """
        assert self._mesh is not None, "the other back ends leave nothing on the GPU"
        return passes_on_gpu(self._mesh, self._with(moving), cameras, world_from_ego, style, outputs)

    def _with(self, moving: Primitives) -> tuple[int, int]:
        """The parts of the mesh: what stands still, and this."""
        self._mesh.keep(1)
        return (0, self._mesh.add(moving))
