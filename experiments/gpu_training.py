"""Step time, memory and samples per second of training on a GPU, with data that lie in its memory.

    python -m experiments.gpu_training --backbones vit_small_patch16_dinov3 vit_huge_plus_patch16_dinov3 --batches 16 64

Images are noise and weights random: neither changes the cost. Sub-scores are not computed, being the CPUs' work:
`python -m benchmarks.run train` measures them. On a CPU: `--backbones tiny --size 80x48 --batches 4`.
"""

import argparse
import time
from dataclasses import replace

import torch

from swerve.data.sources.town.rig import town_rig
from swerve.data.stream import camera_arrays
from swerve.planners.chainflow import ChainFlowConfig
from swerve.planners.learning import ModelConfig, ModelInput, TrainingBatch, TrainingOptions
from swerve.planners.learning.inputs import PAST, STATUS
from swerve.planners.learning.model_config import patch_of
from swerve.planners.learning.projection import CameraRig
from swerve.planners.learning.training_step import Training
from swerve.planners.rap import RapConfig

WARM, MEASURED = 3, 10
CAMERAS = ("front", "left", "right")
# What the arms change of the paper's sizes.
ARMS: dict[str, tuple[type[ModelConfig], dict[str, object]]] = {
    "rap": (RapConfig, {}),
    "rap, recomputed": (RapConfig, {"activation_checkpointing": True}),
    "vocabulary 256": (RapConfig, {"proposals": 0, "anchors": 256, "scorer_layers": 2}),
    "chainflow": (ChainFlowConfig, {}),
}


def batch_of(config: ModelConfig, count: int) -> TrainingBatch:
    """Return a batch of noise."""
    known = {camera.name: camera.resized(config.image_width, config.image_height) for camera in town_rig()}
    rig = CameraRig.of(camera_arrays([[known[name] for name in config.cameras]] * count)).with_rays(patch_of(config))
    shape = (count, len(config.cameras), 3, config.image_height, config.image_width)
    motion = torch.tensor([8.0, 0.0]).expand(count, 2)
    footprint = torch.tensor([[4.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [4.0, -1.0]]).expand(count, 4, 2)
    inputs = ModelInput(
        torch.randint(0, 256, shape, dtype=torch.uint8),
        rig,
        torch.ones(shape[:2], dtype=torch.bool),
        torch.zeros(count, STATUS),
        torch.zeros(count, len(PAST), 3),
        motion,
        footprint,
    )
    nobody, yes = torch.full((count,), -1), torch.ones(count, config.poses, dtype=torch.bool)
    no, targets = torch.zeros(count, dtype=torch.bool), torch.rand(count, config.poses, 3)
    return TrainingBatch(inputs, no, nobody, targets, yes, no, torch.ones(count), (None,) * count)


def measured(config: ModelConfig, options: TrainingOptions, count: int, device: torch.device) -> str:
    """Train some steps and return a line of results; memory that does not suffice is one."""
    try:
        training, batch = Training(config, options, device), batch_of(config, count).to(device)
        for _ in range(WARM):
            training.train_step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        for _ in range(MEASURED):
            training.train_step(batch)  # which waits for the device, for its metrics
        taken = (time.perf_counter() - began) / MEASURED
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        return "memory does not suffice"
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
    return f"{1e3 * taken:8.1f} ms a step, {count / taken:8.1f} samples/s, {memory:6.2f} GiB"


def main() -> None:
    """Print a line per backbone, arm and batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=["vit_small_patch16_dinov3"])
    parser.add_argument("--batches", type=int, nargs="+", default=[16])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--size", default="768x448")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options = TrainingOptions(1000, precision=args.precision, tf32=True, compile=args.compile)
    torch.set_float32_matmul_precision("high")
    for backbone in args.backbones:
        sizes = {"backbone": backbone, "backbone_weights": None, "image_width": width, "image_height": height}
        for arm in args.arms:
            kind, changes = ARMS[arm]
            config = replace(kind(), **sizes, cameras=CAMERAS, score_weight=0.0, **changes)
            if backbone == "tiny":
                config = replace(config, dim=64, mlp_dim=64, freeze_backbone=False)
            for count in args.batches:
                print(f"{backbone}, {arm}, batch {count}: {measured(config, options, count, device)}", flush=True)


if __name__ == "__main__":
    main()
