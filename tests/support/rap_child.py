"""Worker process started by torchrun: RAP on a small set. `rap_child.py FOLDER RUN STEP [fsdp]`.

FOLDER holds a set, its contexts and a benchmark. It trains in RUN, and the first process kills itself at STEP (never if
0); each process writes a digest of its training state to RUN/rank-N.txt.
"""

import hashlib
import os
import signal
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.planners.learning.train import RunOptions, processes, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.validation import Validation
from swerve.planners.rap import RapConfig

CONFIG = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3, image_height=40, image_width=72, dropout=0.1)
PARTS = (Part("paired", images="both"), Part("raster_only"), Part("recovery"), Part("cross_agent"))
OPTIONS = TrainingOptions(4, learning_rate=1e-3)


def stream_of(folder, config=CONFIG, seed=0, batch_size=4, rank=0, world=1):
    fit = ImageFit((config.image_width, config.image_height), config.trim)
    options = StreamOptions(PARTS, fit, cameras=("front",), batch_size=batch_size, seed=seed)
    return SampleStream(folder / "set", options, rank, world)


def digest(training):
    content = hashlib.sha256()
    for name, one in sorted(training.state_dict().items()):
        content.update(name.encode() + one.detach().numpy().tobytes())
    return content.hexdigest()


def main(folder, out, step, fsdp=False):
    torch.set_num_threads(1)
    made = []

    class Recorded(Training):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    def told(noted):
        if noted["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    # Its package exports a function of the module's name.
    import_module("swerve.planners.learning.train").Training = Recorded
    run = RunOptions(workers=0, checkpoint_every=2, validation=Validation(open_benchmark(folder / "benchmark"), 2))
    with processes() as process:
        stream = stream_of(folder, rank=process.rank, world=process.world)
        # Each process has a disk of its own.
        disk = out if process.rank == 0 else out / f"disk-{process.rank}"
        options = replace(OPTIONS, fsdp=fsdp)
        train(stream, ContextStore(folder / "contexts", folder / "set"), CONFIG, options, disk, process, run, told)
        (out / f"rank-{process.rank}.txt").write_text(digest(made[0]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), "fsdp" in sys.argv[4:])
