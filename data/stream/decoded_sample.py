"""Decoded sample: images at the requested size, cameras and numeric arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.calibration import camera_of
from swerve.data.dataset.sample_shape import HINT, read_details
from swerve.data.dataset.stored_snapshots import MEMBER, snapshots_from_bytes
from swerve.data.storage.checked_npz import read_npz
from swerve.data.stream.image_fit import ImageFit
from swerve.data.stream.shard_reader import StoredSample
from swerve.data.stream.stored_raster_renderer import StoredRasterRenderer
from swerve.scenes import Camera, LogError, SwerveError
from swerve.scenes.resize import WHOLE

NUMBERS: Final = (
    *(f"history_{name}" for name in ("time", "pose", "velocity", "acceleration", "yaw_rate", "valid")),
    *(
        f"{name}_{rate}hz{end}"
        for rate in (2, 10)
        for name, end in (("time", ""), ("target", ""), ("target", "_valid"))
    ),
)
# Arrays of samples with a pseudo-expert.
EXPERT: Final = tuple(f"expert_{rate}hz{end}" for rate in (2, 10) for end in ("", "_valid"))
_EXTENSIONS = ("png", "jpg")
# Second axes of the arrays that have one.
_WIDTHS: Final = {
    **{"history_pose": (3,), "history_velocity": (2,), "history_acceleration": (2,)},
    **{"target_2hz": (3,), "target_10hz": (3,), "expert_2hz": (3,), "expert_10hz": (3,)},
}


@dataclass(frozen=True)
class DecodedSample:
    """Sample whose images are read on demand.

    Attributes:
        stored: location of the sample.
        details: JSON of the sample.
        numbers: the arrays of `NUMBERS` and `EXPERT` by name; the latter zero without a pseudo-expert.
        rows: indices of the selected cameras in the JSON, in the requested order.
        fit: crop and size of the images.
        drawer: renderer of rasters that the set does not store.
    """

    stored: StoredSample
    details: dict[str, Any]
    numbers: dict[str, np.ndarray]
    rows: tuple[int, ...]
    fit: ImageFit
    drawer: StoredRasterRenderer

    @property
    def entries(self) -> list[dict[str, Any]]:
        """JSON entries of the selected cameras."""
        return [self.details["cameras"][row] for row in self.rows]

    @property
    def cameras(self) -> list[Camera]:
        """Cameras of the fitted images, mounted in the ego frame of now."""
        placed = []
        for entry in self.entries:
            camera = self.fit.camera(camera_of(entry))
            placed.append(camera.mounted(np.array(entry["now_from_capture"]) @ camera.ego_from_camera))
        return placed

    def raster(self, row: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return the fitted raster of this row's camera: read, or rendered where the set does not store it.

        Raises:
            SwerveError: the raster is missing or damaged.
        """
        if MEMBER in self.stored.members:
            return self.fit.pixels(self._drawn[row], camera_of(self.entries[row]))
        return self._image(row, "")

    def photo(self, row: int) -> UInt8[np.ndarray, "h w 3"] | None:
        """Return the fitted photo of this row's camera; None if there is none.

        Raises:
            SwerveError: the photo is missing although listed, or damaged.
        """
        return self._image(row, "photo.") if self.entries[row]["photo"] else None

    @cached_property
    def _drawn(self) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """Rasters of all rows, as a set would store them."""
        moments = snapshots_from_bytes(self.stored.read(MEMBER), f"{self.stored.path}: {self.stored.key}")
        cameras = [camera_of(entry) for entry in self.entries]
        return self.drawer.draw(self.details["log"], moments, self.rows, cameras)

    def _image(self, row: int, what: str) -> UInt8[np.ndarray, "h w 3"]:
        entry, stored = self.entries[row], self.stored
        names = [f"{entry['member']}.{what}{extension}" for extension in _EXTENSIONS]
        name = next((name for name in names if name in stored.members), names[0])
        try:
            return self.fit.decode(stored.read(name), camera_of(entry), tuple(entry["photo_window"]) if what else WHOLE)
        except ValueError as error:
            raise _damaged(stored, name, error) from error


def decode_sample(
    stored: StoredSample, cameras: Sequence[str], fit: ImageFit, drawer: StoredRasterRenderer
) -> DecodedSample:
    """Read a sample's JSON and numeric arrays.

    Args:
        stored: stored sample.
        cameras: names of the selected cameras, in order; all if empty.
        fit: crop and size of the images.
        drawer: renderer of the sample's set.

    Raises:
        SwerveError: the sample has another format, lacks a camera, or is damaged.
    """
    details = read_details(stored.read("json"), stored.path, stored.key)
    rows = _rows(stored, details, cameras)
    for row in rows:
        try:
            fit.camera(camera_of(details["cameras"][row]))
        except ValueError as error:
            raise _damaged(stored, f"json: cameras[{row}]", error) from error
    numbers = numbers_of(stored, details.get("expert") is not None)
    return DecodedSample(stored, details, numbers, rows, fit, drawer)


def numbers_of(stored: StoredSample, has_expert: bool) -> dict[str, np.ndarray]:
    """Read the arrays of `NUMBERS` and `EXPERT`, whose sizes must fit each other."""
    where = f"{stored.path}: {stored.key}.npz"
    arrays = read_npz(stored.read("npz"), where, NUMBERS + EXPERT * has_expert, HINT)
    for name, array in arrays.items():
        kind, _, rest = name.partition("_")
        first = arrays["history_time" if kind == "history" else f"time_{(rest or kind).partition('_')[0]}"]
        axes = (first.size, *_WIDTHS.get(name, ()))
        if array.shape != axes or array.dtype.kind != ("b" if name.endswith("valid") else "f"):
            raise LogError(where, name, f"is of {array.dtype} and shape {array.shape}, not {axes}", HINT)
        if not np.isfinite(array).all() or not axes[0]:
            raise LogError(where, name, "is empty or not finite", HINT)
    if not has_expert:
        arrays |= {name: np.zeros_like(arrays[name.replace("expert", "target")]) for name in EXPERT}
    return arrays


def _rows(stored: StoredSample, details: dict[str, Any], cameras: Sequence[str]) -> tuple[int, ...]:
    known = {entry["name"]: row for row, entry in enumerate(details["cameras"])}
    if not known or len(known) < len(details["cameras"]):
        problem = "two cameras of one name" if known else "there are none"
        raise LogError(f"{stored.path}: {stored.key}.json", "cameras", problem, HINT)
    if missing := [name for name in cameras if name not in known]:
        raise SwerveError(
            f"{stored.path}: sample {stored.key} has no camera {missing[0]!r}; it has {', '.join(known)}. Choose among "
            "them, or create the set again with these cameras"
        )
    return tuple(known[name] for name in cameras or known)


def _damaged(stored: StoredSample, name: str, error: Exception) -> SwerveError:
    return SwerveError(
        f"{stored.path}: {name} of sample {stored.key} is damaged ({error}). Delete the shard and run the same job "
        "again"
    )
