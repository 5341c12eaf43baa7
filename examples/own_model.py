"""Train a network of your own with Swerve's trainer: python examples/own_model.py SET CONTEXTS BENCHMARK RUN.

SET is of `swerve augment`, CONTEXTS of `swerve contexts`, BENCHMARK of `swerve build`. The same command resumes RUN.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.planners import learning
from swerve.planners.learning.validation import validate

load = learning.load_learned  # For --planners own_model:load,path=RUN/planner.safetensors


@dataclass(frozen=True)
class Config(learning.ModelConfig):  # noqa: D101
    family: ClassVar[str] = "own"
    proposals: int = 6


@learning.register
class OwnModel(learning.PlannerModel):  # noqa: D101
    family, config_class = "own", Config

    def __init__(self, config: Config, weights: bool = True) -> None:
        super().__init__(config)
        self.images = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        outputs = config.proposals * (config.poses * 3 + 8)
        self.plan = nn.Sequential(nn.Linear(64 * len(config.cameras) + 9, 64), nn.GELU(), nn.Linear(64, outputs))

    def forward(self, inputs: learning.ModelInput) -> learning.ModelOutput:  # noqa: D102
        images = self.images(inputs.images.flatten(0, 1) / 255.0).unflatten(0, inputs.images.shape[:2]).flatten(1)
        out = self.plan(torch.cat([images, inputs.status], dim=1)).unflatten(1, (self.config.proposals, -1))
        poses = 10.0 * out[..., 8:].unflatten(-1, (-1, 3)).cumsum(dim=2)
        return learning.ModelOutput(refinements=poses[None], logits=out[..., :8])


def main(dataset: str, contexts: str, benchmark: str, run: str, steps: int = 200) -> None:  # noqa: D103
    config = Config.tiny(image_width=80, image_height=48)
    parts = (Part("raster_only", 0.5), Part("recovery", 0.5))
    stream = SampleStream(dataset, StreamOptions(parts, ImageFit((80, 48)), config.cameras, batch_size=8))
    store, options = ContextStore(contexts, dataset), learning.TrainingOptions(steps, learning_rate=1e-3)
    with learning.processes() as process:
        path = learning.train(stream, store, config, options, run, process, learning.RunOptions(workers=0))
    print(validate(learning.load_learned(path), open_benchmark(Path(benchmark))))


if __name__ == "__main__":
    main(*sys.argv[1:])
