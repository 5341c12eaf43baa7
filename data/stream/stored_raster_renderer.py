"""On-demand rendering of rasters that a set does not store, identical to stored ones."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.sample import STYLES
from swerve.data.dataset.set_layout import load_static
from swerve.data.dataset.stored_snapshots import SnapshotStore
from swerve.rasterizer import StaticLayer
from swerve.scenes import Camera

# Number of cached maps, some 2.5 MB each; any other one takes 10 ms to read again.
_KEPT: Final = 64


class StoredRasterRenderer:
    """CPU renderer of one set's rasters, with a cache of recently used maps.

    Args:
        folder: folder of the set.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._kept = folder, OrderedDict[str, StaticLayer]()

    def draw(
        self, log: str, store: SnapshotStore, rows: Sequence[int], cameras: Sequence[Camera]
    ) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Render the rasters of a sample.

        Args:
            log: log of the sample.
            store: snapshots of the images, and the style.
            rows: indices of the selected cameras in the sample's JSON.
            cameras: cameras of the rows, as in the JSON.

        Raises:
            SwerveError: the set lacks the map of the log, or its file is damaged.
        """
        static_layer, style = self._static_layer(log), STYLES[store.style](supersampling=store.supersampling)
        drawn: list[UInt8[np.ndarray, "_ _ 3"] | None] = [None] * len(rows)
        for number, snapshot in enumerate(store.snapshots):
            own = [place for place, row in enumerate(rows) if store.snapshot_indices[row] == number]
            if own:
                chosen = [cameras[place] for place in own]
                views = static_layer.render(snapshot.primitives(), chosen, snapshot.world_from_ego[None], style)[0]
                for place, view in zip(own, views, strict=True):
                    drawn[place] = view.rgb
        return [image for image in drawn if image is not None]

    def _static_layer(self, log: str) -> StaticLayer:
        if log not in self._kept:
            self._kept[log] = StaticLayer(load_static(self._folder, log))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(log)
        return self._kept[log]
