"""Synthetic batches for RAP, whose images determine the target."""

from dataclasses import replace

import numpy as np
import torch

from swerve.data.sources.town.rig import town_rig
from swerve.data.stream import camera_arrays
from swerve.planners.learning.inputs import ModelInput, status_of
from swerve.planners.learning.model_config import patch_of
from swerve.planners.learning.projection import CameraRig
from swerve.planners.learning.training_batch import TrainingBatch
from swerve.scenes import Vehicle


def rig_of(config, count, names=None):
    """Return the town's cameras of the config's names and size, `count` times."""
    cameras = {camera.name: camera.resized(config.image_width, config.image_height) for camera in town_rig()}
    return CameraRig.of(camera_arrays([[cameras[name] for name in names or config.cameras]] * count))


def inputs_of_images(config, images, speed, command, names=None):
    """Build inputs from images (b c 3 h w) of cars driving straight at constant speed."""
    count = len(images)
    zero = torch.zeros(count, 2)
    status = status_of(torch.stack([speed, zero[:, 0]], dim=1), zero, zero[:, 0], command)
    footprint = torch.as_tensor(Vehicle.pacifica().footprint()).float().expand(count, 4, 2).contiguous()
    present = torch.ones(images.shape[:2], dtype=torch.bool)
    motion = torch.stack([speed, zero[:, 0]], dim=1)
    rig = rig_of(config, count, names).with_rays(patch_of(config))
    return ModelInput(images, rig, present, status, torch.zeros(count, 3, 3), motion, footprint)


def turning_batch(config, count, seed=0) -> TrainingBatch:
    """Build photos, then their rasters, of cars that turn as the images' stripes lean; speeds are given."""
    random = np.random.default_rng(seed)
    speed, rate = random.uniform(3, 12, count), random.uniform(-0.2, 0.2, count)
    seconds = config.interval * np.arange(1, config.poses + 1)
    turn = rate[:, None] * seconds
    forward, left = speed[:, None] * seconds * np.sinc(turn / np.pi), speed[:, None] * seconds * turn / 2
    targets = torch.as_tensor(np.stack([forward, left, turn], axis=2)).float()
    v, u = np.mgrid[: config.image_height, : config.image_width] / 8.0
    stripes = np.stack([np.sin(u + (20 * one) * v) for one in rate])[:, None, None]
    raster = np.broadcast_to(127 + 120 * (stripes > 0), (count, len(config.cameras), 3, *v.shape))
    photo = 127 + 100 * stripes * np.array([1.0, 0.8, 0.6])[:, None, None] + random.normal(0, 8, raster.shape)
    images = torch.as_tensor(np.concatenate([photo, raster]).clip(0, 255).astype(np.uint8))
    known = torch.as_tensor(np.tile(speed, 2)).float()
    rows = torch.arange(2 * count)
    return TrainingBatch(
        inputs_of_images(config, images, known, torch.full((2 * count,), 3)),
        is_photo=rows < count,
        paired_row=(rows + count) % (2 * count),
        targets=targets.repeat(2, 1, 1),
        valid=torch.ones(2 * count, config.poses, dtype=torch.bool),
        cross_agent=torch.zeros(2 * count, dtype=torch.bool),
        weight=torch.ones(2 * count),
        contexts=(None,) * (2 * count),
    )


def without_photographs(batch: TrainingBatch) -> TrainingBatch:
    """Return the batch's rasters only."""
    rows = torch.nonzero(~batch.is_photo)[:, 0]
    parts = {name: getattr(batch, name)[rows] for name in ("is_photo", "targets", "valid", "cross_agent", "weight")}
    nobody = torch.full((len(rows),), -1)
    return replace(batch, inputs=batch.inputs.rows(rows), paired_row=nobody, contexts=(None,) * len(rows), **parts)


def rows_of(batch: TrainingBatch, rows, groups=None) -> TrainingBatch:
    """Return views of a batch in this order; pairs across groups, of these sizes, are not pairs any more."""
    chosen, place = torch.tensor(rows), {row: position for position, row in enumerate(rows)}
    group = np.repeat(np.arange(len(groups or [len(rows)])), groups or [len(rows)])
    partners = [place.get(int(batch.paired_row[row]), -1) for row in rows]
    partners = [two if two >= 0 and group[one] == group[two] else -1 for one, two in enumerate(partners)]
    names = ("is_photo", "targets", "valid", "cross_agent", "weight")
    return replace(
        batch,
        inputs=batch.inputs.rows(chosen),
        paired_row=torch.tensor(partners),
        contexts=tuple(batch.contexts[row] for row in rows),
        **{name: getattr(batch, name)[chosen] for name in names},
    )
