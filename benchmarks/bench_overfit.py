"""RAP overfitted to 32 samples of a town: error of the chosen trajectory during training."""

import tempfile
import time
from pathlib import Path

from benchmarks.measure import report
from swerve.data import open_source
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions

COUNT, STEPS, EVERY, RATE = 32, 1000, 250, 1.5e-3
SIZE = (80, 48)
PARTS = (Part("raster_only"), Part("recovery"), Part("cross_agent", 2.0))


def run():
    """Print and write the table."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        look = {"cameras": ("front",), "size": (256, 144), "scene_interval": 1.5}
        augment([open_source("town:2")], Path(place) / "set", AugmentOptions(**look))
        stream = SampleStream(Path(place) / "set", StreamOptions(PARTS, ImageFit(SIZE), ("front",), COUNT))
        batch = stream.batch(0).to()
    assert len({one.key for one in batch.provenance}) == COUNT
    notes = ["ADE up to 4 s. There is one proposal, so that the nearest is the chosen one. Weights are averaged."]
    report("overfit", f"{COUNT} rasters of towns at {SIZE[0]}x{SIZE[1]}, overfitted", rows_of(batch), notes)


def rows_of(batch):
    """Return the errors during training."""
    import torch

    from swerve.planners.learning import views_of
    from swerve.planners.learning.train_options import TrainingOptions
    from swerve.planners.learning.training_step import Training
    from swerve.planners.rap import RapConfig

    weights = {"score_weight": 0.0, "spatial_weight": 0.0, "domain_weight": 0.0}
    config = RapConfig.tiny(image_width=SIZE[0], image_height=SIZE[1], proposals=1, **weights)
    views = views_of(batch, [None] * len(batch), config)
    assert views.valid.all()
    # No regularization: no weight decay to speak of, no clipping.
    options = TrainingOptions(STEPS, RATE, RATE / 200, weight_decay=1e-6, max_grad_norm=1e3, weight_ema_decay=0.98)
    training, start, rows = Training(config, options, torch.device("cpu")), time.process_time(), []
    for step in range(1, STEPS + 1):
        training.train_step(views)
        if step % EVERY == 0:
            driven = training.averaged_model()(views.inputs).poses[:, 0, :, :2].detach()
            errors = (driven - views.targets[..., :2]).norm(dim=-1).mean(dim=1)
            spent = time.process_time() - start
            rows.append(
                {"steps": step, "s of CPU": spent, "ADE, mean": errors.mean().item(), "worst": errors.max().item()}
            )
    return rows


if __name__ == "__main__":
    run()
