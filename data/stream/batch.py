"""Training batch."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.data.stream.camera_arrays import CameraArrays
from swerve.scenes import MissingExtraError
from swerve.scenes.viewpoints import ViewpointKind

KINDS: Final = (
    ViewpointKind.LOGGED,
    ViewpointKind.RECOVERY,
    ViewpointKind.CROSS_AGENT,
    ViewpointKind.FOLLOW_UP,
    ViewpointKind.VISITED,
)
INSTALL_TORCH: Final = "pip install 'PATH[torch]'"
T = TypeVar("T")


@dataclass(frozen=True)
class Provenance:
    """Origin of a sample.

    Attributes:
        key: key of the sample, unique in its set.
        source: kind of source of the log.
        log: name of the log.
        token: token of the scene.
        kind: kind of the viewpoint.
        index: index of the viewpoint, within kind and scene.
        shard: path of the shard in the set.
        index_in_shard: index of the sample in the shard.
        dataset: number of the set among those of the stream.
    """

    key: str
    source: str
    log: str
    token: str
    kind: ViewpointKind
    index: int
    shard: str
    index_in_shard: int
    dataset: int = 0


@dataclass(frozen=True)
class Batch:
    """Batch of b samples with c images of each kind; NumPy arrays, or tensors after `to`. Ego frames, SI units.

    Rows are ordered by part, in the order of the stream's parts. Images are in memory as decoded, with channels last.

    Attributes:
        step: index of the batch.
        part: row of `StreamOptions.parts` that each sample belongs to.
        raster: RGB rasters; zero where missing. None if no part requests rasters.
        photo: photos with the same crop; zero where missing. None if no part requests photos.
        has_raster: mask of available rasters.
        has_photo: mask of available photos.
        cameras: cameras, shared by raster and photo.
        history_time: seconds from now; the last is 0.
        history_pose: x, y, heading.
        history_velocity: forward and left in the ego frame of each step.
        history_acceleration: forward and left in the ego frame of each step.
        history_yaw_rate: counter-clockwise.
        history_valid: mask of rows covered by the log; others are zero.
        command: `swerve.scenes.viewpoints.Command`.
        speed: over ground, now.
        vehicle: length, width, height, wheelbase, rear overhang.
        time_2hz: seconds from now.
        target_2hz: x, y, heading of the target trajectory.
        target_2hz_valid: mask of rows covered by the scene; others are zero.
        time_10hz: seconds from now.
        target_10hz: the target trajectory at 10 Hz.
        target_10hz_valid: mask of rows covered by the scene.
        kind: row of `KINDS`.
        weight: importance weight of each sample: the mean of a recovery's loss times its weight is that of the offsets
            asked for, where rejection thinned some of them out (see docs/formats.md); likewise of follow-ups. 1 for
            other kinds.
        expert_2hz: pseudo-expert poses x, y, heading, at the times of `time_2hz`.
        expert_2hz_valid: mask of rows that the sample has; others are zero.
        expert_10hz: the same at 10 Hz.
        expert_10hz_valid: mask of rows that the sample has.
        expert_score: exact score of the pseudo-expert, NaN where the sample has none.
        provenance: origin of each sample.
    """

    step: int
    part: Int[Any, "b"]
    raster: UInt8[Any, "b c 3 h w"] | None
    photo: UInt8[Any, "b c 3 h w"] | None
    has_raster: Bool[Any, "b c"]
    has_photo: Bool[Any, "b c"]
    cameras: CameraArrays
    history_time: Float[Any, "t"]
    history_pose: Float[Any, "b t 3"]
    history_velocity: Float[Any, "b t 2"]
    history_acceleration: Float[Any, "b t 2"]
    history_yaw_rate: Float[Any, "b t"]
    history_valid: Bool[Any, "b t"]
    command: Int[Any, "b"]
    speed: Float[Any, "b"]
    vehicle: Float[Any, "b 5"]
    time_2hz: Float[Any, "f"]
    target_2hz: Float[Any, "b f 3"]
    target_2hz_valid: Bool[Any, "b f"]
    time_10hz: Float[Any, "g"]
    target_10hz: Float[Any, "b g 3"]
    target_10hz_valid: Bool[Any, "b g"]
    kind: Int[Any, "b"]
    weight: Float[Any, "b"]
    expert_2hz: Float[Any, "b f 3"]
    expert_2hz_valid: Bool[Any, "b f"]
    expert_10hz: Float[Any, "b g 3"]
    expert_10hz_valid: Bool[Any, "b g"]
    expert_score: Float[Any, "b"]
    provenance: tuple[Provenance, ...]

    def __len__(self) -> int:
        return len(self.provenance)

    def to(self, device: Any = "cpu") -> "Batch":  # noqa: ANN401 a torch.device, or its name
        """Convert the batch to tensors on a device, images still uint8; conversion to float is done there.

        Raises:
            MissingExtraError: torch is not installed.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("torch", INSTALL_TORCH) from error

        def moved(array: Any) -> Any:  # noqa: ANN401 array or tensor
            tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
            return tensor.to(device, non_blocking=True)

        return _converted(self, moved)


def _converted(item: T, convert: Callable[[Any], Any]) -> T:
    """Convert all arrays of a dataclass, including nested dataclasses."""
    values = {field.name: getattr(item, field.name) for field in fields(item)}  # type: ignore[arg-type]  # a dataclass
    changed = {name: _converted(value, convert) for name, value in values.items() if is_dataclass(value)}
    changed |= {name: convert(value) for name, value in values.items() if hasattr(value, "dtype")}
    return replace(item, **changed)  # type: ignore[type-var]  # as above
