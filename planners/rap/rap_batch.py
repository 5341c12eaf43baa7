"""Training batches of RAP: views with targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from swerve.data.stream import KINDS, Batch
from swerve.eval.scoring.score import PreparedContext
from swerve.planners.rap.inputs import RapInput, status_of
from swerve.planners.rap.projection import CameraRig
from swerve.planners.rap.rap_config import RapConfig
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import ViewpointKind


@dataclass(frozen=True)
class RapBatch:
    """Views with targets. A sample with raster and photo is two views, each with its own proposals.

    Attributes:
        inputs: network inputs of the views.
        is_photo: mask of views that are photos; others are rasters.
        paired_row: row of the same sample's other image; -1 where there is none.
        targets: target poses (x, y, heading; ego frame) at the config's interval.
        valid: mask of known target poses.
        cross_agent: mask of cross-agent viewpoints.
        weight: importance weights of the samples, see `Batch.weight`.
        contexts: prepared contexts for scoring proposals, at the view's own pose; None without one.
    """

    inputs: RapInput
    is_photo: Bool[Tensor, "b"]
    paired_row: Int[Tensor, "b"]
    targets: Float[Tensor, "b k 3"]
    valid: Bool[Tensor, "b k"]
    cross_agent: Bool[Tensor, "b"]
    weight: Float[Tensor, "b"]
    contexts: tuple[PreparedContext | None, ...]

    def __post_init__(self) -> None:
        rows = torch.nonzero(self.paired_row >= 0)[:, 0]
        back = self.paired_row[self.paired_row[rows]]
        if not torch.equal(back, rows) or (self.is_photo[rows] == self.is_photo[self.paired_row[rows]]).any():
            raise ValueError("partners must refer to each other, one photo and one raster")
        if len(self.contexts) != len(self.paired_row):
            raise ValueError(f"{len(self.paired_row)} views need as many contexts, got {len(self.contexts)}")

    def __len__(self) -> int:
        return len(self.paired_row)

    @property
    def pairs(self) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
        """Rows of the photos that have a raster, and of these rasters."""
        real = torch.nonzero((self.paired_row >= 0) & self.is_photo)[:, 0]
        return real, self.paired_row[real]

    def to(self, device: torch.device) -> "RapBatch":
        """Copy to another device; contexts stay in host memory."""
        names = ("is_photo", "paired_row", "targets", "valid", "cross_agent", "weight")
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        return RapBatch(inputs=self.inputs.to(device), contexts=self.contexts, **moved)


def views_of(batch: Batch, yardsticks: Sequence[PreparedContext | None], config: RapConfig) -> RapBatch:
    """Convert a stream's batch to views: first its rasters, then its photos.

    Args:
        batch: batch of tensors.
        yardsticks: context of each sample; None where its proposals are not scored.
        config: config with the number of poses.

    Raises:
        SwerveError: the set's target interval is not the planner's.
    """
    rasters, photographs = (torch.nonzero(there.any(dim=1))[:, 0] for there in (batch.has_raster, batch.has_photo))
    rows = torch.cat([rasters, photographs])
    targets, valid = _targets(batch, config)
    images = [kind[own] for kind, own in ((batch.raster, rasters), (batch.photo, photographs)) if kind is not None]
    inputs = RapInput(
        torch.cat(images),
        CameraRig.of(batch.cameras).rows(rows),
        torch.cat([batch.has_raster[rasters], batch.has_photo[photographs]]),
        status_of(
            batch.history_velocity[rows, -1],
            batch.history_acceleration[rows, -1],
            batch.history_yaw_rate[rows, -1],
            batch.command[rows],
        ),
        footprints(batch.vehicle[rows]),
    )
    return RapBatch(
        inputs,
        is_photo=torch.arange(len(rows), device=rows.device) >= len(rasters),
        paired_row=_partners(rasters, photographs),
        targets=targets[rows],
        valid=valid[rows],
        cross_agent=batch.kind[rows] == KINDS.index(ViewpointKind.CROSS_AGENT),
        weight=batch.weight[rows],
        contexts=tuple(yardsticks[row] for row in rows.tolist()),
    )


def footprints(vehicles: Float[Tensor, "b 5"]) -> Float[Tensor, "b 4 2"]:
    """Compute `Vehicle.footprint` of rows of (length, width, height, wheelbase, rear overhang)."""
    front, back, side = vehicles[:, 0] - vehicles[:, 4], -vehicles[:, 4], vehicles[:, 1] / 2
    x, y = torch.stack([front, back, back, front], dim=1), torch.stack([side, side, -side, -side], dim=1)
    return torch.stack([x, y], dim=2)


def _targets(batch: Batch, config: RapConfig) -> tuple[Float[Tensor, "b k 3"], Bool[Tensor, "b k"]]:
    """Return targets at the planner's poses, with a mask of those within the set's horizon.

    Raises:
        SwerveError: their interval is not the planner's.
    """
    count = min(config.poses, len(batch.time_2hz))
    wanted = config.interval * torch.arange(1, count + 1, device=batch.time_2hz.device)
    if not torch.allclose(batch.time_2hz[:count].double(), wanted.double(), atol=1e-3):
        raise SwerveError(
            f"rap: poses are {config.interval} s apart, the set's targets are at {batch.time_2hz[:3].tolist()}... s"
        )
    targets = batch.target_2hz.new_zeros(len(batch), config.poses, 3)
    valid = torch.zeros(targets.shape[:2], dtype=torch.bool, device=targets.device)
    targets[:, :count], valid[:, :count] = batch.target_2hz[:, :count], batch.target_2hz_valid[:, :count]
    return targets, valid


def _partners(rasters: Int[Tensor, "r"], photographs: Int[Tensor, "p"]) -> Int[Tensor, "v"]:
    """Return, for each view, the row of the same sample in the other list."""
    raster, photograph = torch.nonzero(rasters[:, None] == photographs[None], as_tuple=True)
    partner = rasters.new_full((len(rasters) + len(photographs),), -1)
    partner[raster], partner[len(rasters) + photograph] = len(rasters) + photograph, raster
    return partner
