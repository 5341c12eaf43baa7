"""Training batches: views with targets."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from swerve.data.stream import KINDS, Batch
from swerve.eval.scoring.score import PreparedContext
from swerve.planners.learning.bev_targets import bev_targets
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.inputs import ModelInput, no_images, past_poses, status_of
from swerve.planners.learning.model_config import ModelConfig, patch_of
from swerve.planners.learning.projection import CameraRig
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import ViewpointKind

_STORED: Final = ("anchor_scores", "anchors_known")
_CELLS: Final = ("agent_cells", "drivable_cells", "cells_known")


@dataclass(frozen=True)
class TrainingBatch:
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
        anchor_scores: exact sub-scores of the fixed vocabulary's proposals; None if it is not fixed, or there is none.
        anchors_known: mask of the samples that have them.
        agent_cells: targets of the auxiliary head for agents, see `bev_targets`; None without auxiliary heads.
        drivable_cells: targets of that for drivable area.
        cells_known: mask of the samples that have them.
        pairs: rows of the photos that have a raster, and of these rasters.
    """

    inputs: ModelInput
    is_photo: Bool[Tensor, "b"]
    paired_row: Int[Tensor, "b"]
    targets: Float[Tensor, "b k 3"]
    valid: Bool[Tensor, "b k"]
    cross_agent: Bool[Tensor, "b"]
    weight: Float[Tensor, "b"]
    contexts: tuple[PreparedContext | None, ...]
    anchor_scores: Float[Tensor, "b a 8"] | None = None
    anchors_known: Bool[Tensor, "b"] | None = None
    agent_cells: Float[Tensor, "b 9 x y"] | None = None
    drivable_cells: Bool[Tensor, "b x y"] | None = None
    cells_known: Bool[Tensor, "b"] | None = None
    pairs: Int[Tensor, "2 p"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = torch.nonzero(self.paired_row >= 0)[:, 0]
        back = self.paired_row[self.paired_row[rows]]
        if not torch.equal(back, rows) or (self.is_photo[rows] == self.is_photo[self.paired_row[rows]]).any():
            raise ValueError("partners must refer to each other, one photo and one raster")
        if len(self.contexts) != len(self.paired_row):
            raise ValueError(f"{len(self.paired_row)} views need as many contexts, got {len(self.contexts)}")
        photos = torch.nonzero(self.is_photo & (self.paired_row >= 0))[:, 0]
        object.__setattr__(self, "pairs", torch.stack([photos, self.paired_row[photos]]))

    def __len__(self) -> int:
        return len(self.paired_row)

    def to(self, device: torch.device) -> "TrainingBatch":
        """Copy to another device, without waiting for it; contexts stay in host memory, and checks are not repeated."""
        return self._converted(lambda one: one.to(device, non_blocking=True))

    def pinned(self) -> "TrainingBatch":
        """Copy to pinned memory, from which a GPU copies while the host goes on."""
        return self._converted(lambda one: one.pin_memory())

    def _converted(self, convert: Callable[[Tensor], Tensor]) -> "TrainingBatch":
        made = copy.copy(self)
        for name in ("is_photo", "paired_row", "targets", "valid", "cross_agent", "weight", *_STORED, *_CELLS, "pairs"):
            value = getattr(self, name)
            object.__setattr__(made, name, None if value is None else convert(value))
        object.__setattr__(made, "inputs", self.inputs.converted(convert))
        return made


def views_of(
    batch: Batch,
    contexts: Sequence[PreparedContext | None],
    config: ModelConfig,
    anchor_scores: tuple[Float[np.ndarray, "b a 8"], Bool[np.ndarray, "b"]] | None = None,
    hidden: HiddenStateStore | None = None,
) -> TrainingBatch:
    """Convert a stream's batch to views: first its rasters, then its photos; one each for planners without images.

    Args:
        batch: batch of tensors.
        contexts: context of each sample; None where its proposals are not scored.
        config: config with the cameras and the number of poses.
        anchor_scores: exact sub-scores of the fixed vocabulary's proposals, and the mask of samples that have them.
        hidden: hidden states of the set, for planners that are conditioned on them.

    Raises:
        SwerveError: the set's target interval is not the planner's.
    """
    rasters, photographs = _views(batch, config)
    rows = torch.cat([rasters, photographs])
    targets, valid = _targets(batch, config)
    cells = bev_targets([one.context if one else None for one in contexts]) if config.auxiliary else ()
    inputs, is_photo = _inputs(batch, rasters, photographs, config), torch.arange(len(rows)) >= len(rasters)
    if hidden is not None:
        states = hidden.of_views([batch.provenance[row] for row in rows.tolist()], is_photo.tolist())
        inputs = replace(inputs, hidden=torch.as_tensor(states))
    return TrainingBatch(
        inputs,
        is_photo=is_photo.to(rows.device),
        paired_row=_partners(rasters, photographs),
        targets=targets[rows],
        valid=valid[rows],
        cross_agent=batch.kind[rows] == KINDS.index(ViewpointKind.CROSS_AGENT),
        weight=batch.weight[rows],
        contexts=tuple(contexts[row] for row in rows.tolist()),
        **{name: torch.as_tensor(one)[rows] for name, one in zip(_STORED, anchor_scores or (), strict=False)},
        **{name: torch.as_tensor(one)[rows] for name, one in zip(_CELLS, cells, strict=False)},
    )


def _views(batch: Batch, config: ModelConfig) -> tuple[Int[Tensor, "r"], Int[Tensor, "p"]]:
    """Return the samples whose rasters are views, and those whose photos are."""
    if not config.cameras:
        return torch.arange(len(batch)), torch.arange(0)
    rasters, photographs = (torch.nonzero(there.any(dim=1))[:, 0] for there in (batch.has_raster, batch.has_photo))
    return rasters, photographs


def _inputs(batch: Batch, rasters: Int[Tensor, "r"], photographs: Int[Tensor, "p"], config: ModelConfig) -> ModelInput:
    """Return the inputs of views: `inputs_of` of the observations that the samples are."""
    rows = torch.cat([rasters, photographs])
    if config.cameras:
        images = [kind[own] for kind, own in ((batch.raster, rasters), (batch.photo, photographs)) if kind is not None]
        stacked, rig = torch.cat(images), CameraRig.of(batch.cameras).with_rays(patch_of(config)).rows(rows)
        present = torch.cat([batch.has_raster[rasters], batch.has_photo[photographs]])
    else:
        stacked, rig = no_images(len(rows), config)
        present = torch.ones(len(rows), 0, dtype=torch.bool)
    status = status_of(
        batch.history_velocity[rows, -1],
        batch.history_acceleration[rows, -1],
        batch.history_yaw_rate[rows, -1],
        batch.command[rows],
    )
    history = (np.asarray(one) for one in (batch.history_time, batch.history_pose, batch.history_valid))
    past = torch.as_tensor(past_poses(*history))[rows]
    moving = torch.stack([batch.history_velocity[rows, -1, 0], batch.history_yaw_rate[rows, -1]], dim=1)
    return ModelInput(stacked, rig, present, status, past, moving, footprints(batch.vehicle[rows]))


def footprints(vehicles: Float[Tensor, "b 5"]) -> Float[Tensor, "b 4 2"]:
    """Compute `Vehicle.footprint` of rows of (length, width, height, wheelbase, rear overhang)."""
    front, back, side = vehicles[:, 0] - vehicles[:, 4], -vehicles[:, 4], vehicles[:, 1] / 2
    x, y = torch.stack([front, back, back, front], dim=1), torch.stack([side, side, -side, -side], dim=1)
    return torch.stack([x, y], dim=2)


def _targets(batch: Batch, config: ModelConfig) -> tuple[Float[Tensor, "b k 3"], Bool[Tensor, "b k"]]:
    """Return targets at the planner's poses, with a mask of those within the set's horizon.

    With `target` "expert" they are the pseudo-experts of the samples that have one.

    Raises:
        SwerveError: their interval is not the planner's.
    """
    count = min(config.poses, len(batch.time_2hz))
    wanted = config.interval * torch.arange(1, count + 1, device=batch.time_2hz.device)
    if not torch.allclose(batch.time_2hz[:count].double(), wanted.double(), atol=1e-3):
        raise SwerveError(
            f"{config.family}: poses are {config.interval} s apart, the set's targets are at "
            f"{batch.time_2hz[:3].tolist()}... s"
        )
    targets = batch.target_2hz.new_zeros(len(batch), config.poses, 3)
    valid = torch.zeros(targets.shape[:2], dtype=torch.bool, device=targets.device)
    targets[:, :count], valid[:, :count] = batch.target_2hz[:, :count], batch.target_2hz_valid[:, :count]
    if config.target == "expert":
        own = torch.nonzero(~batch.expert_score.isnan())[:, 0]
        targets[own, :count], valid[own, :count] = batch.expert_2hz[own, :count], batch.expert_2hz_valid[own, :count]
    return targets, valid


def _partners(rasters: Int[Tensor, "r"], photographs: Int[Tensor, "p"]) -> Int[Tensor, "v"]:
    """Return, for each view, the row of the same sample in the other list."""
    raster, photograph = torch.nonzero(rasters[:, None] == photographs[None], as_tuple=True)
    partner = rasters.new_full((len(rasters) + len(photographs),), -1)
    partner[raster], partner[len(rasters) + photograph] = len(rasters) + photograph, raster
    return partner
