"""Source of simple logs, some with photos: importable by worker processes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swerve.data.dataset.image_encoding import encode_image
from swerve.scenes import Log, Photo
from tests.support.simple_source import small_log

PHOTO_SIZE = (128, 72)  # Twice the cameras' own.


@dataclass(frozen=True)
class PhotographedSource:
    """Source of logs by name; those ending in "photos" have a photo of the front camera at every step.

    `folder` holds the photo, see `write_photo`. All steps share the same file.
    """

    log_names: tuple[str, ...]
    folder: str
    kind: str = "simple"

    def names(self) -> tuple[str, ...]:
        return self.log_names

    def load(self, name: str) -> Log:
        log = small_log(name)
        if not name.endswith("photos"):
            return log
        poses = zip(log.times_us.tolist(), log.ego.world_from_ego, strict=True)
        # Taken slightly after the step, from slightly further ahead.
        ahead = np.eye(4)
        ahead[0, 3] = 0.1
        file = Path(self.folder) / "front.jpg"
        photos = [Photo("front", time + 10_000, pose @ ahead, file) for time, pose in poses]
        return replace(log, photos=tuple(photos))


def write_photo(folder) -> np.ndarray:
    """Write the photo: smooth, so that it survives JPEG; return its pixels."""
    width, height = PHOTO_SIZE
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([2 * u, 3 * v, 255 - u - v], axis=-1).astype(np.uint8)
    (folder / "front.jpg").write_bytes(encode_image(pixels, "jpeg", 95))
    return pixels
