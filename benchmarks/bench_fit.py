"""Benchmark of a fit's training step on one core, and of its memory, on the synthetic street of `bench_splats`."""

import resource
import sys
import time

import numpy as np
import torch

from benchmarks.bench_splats import street
from benchmarks.measure import report
from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions
from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.memory_estimate import memory_of
from swerve.data.splats.optimization.training_images import Depth, DepthKind, TrainingImage
from swerve.rasterizer.splats import Sky, SplatScene
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.rasterizer.splats.render_splats import cloud_of
from swerve.scenes import FORWARD, Camera
from swerve.scenes.transforms import inverse, rigid_transform

SIZES = ((310, 94), (620, 188))
COUNTS = ((30_000, 1), (100_000, 1), (100_000, 3))
STEPS = 8


def run():
    """Print and write the table."""
    torch.set_num_threads(1)
    rows = []
    for count, degree in COUNTS:
        for width, height in SIZES:
            before = _taken()
            scene, shots = _made(count, degree, width, height)
            times, growth = (
                [],
                DensificationOptions(start_step=STEPS // 2, interval=STEPS // 2 + 1, max_gaussians=count),
            )
            fit_scene(
                scene, shots, FitOptions(steps=STEPS, densification=growth), report=lambda _, t=times: t.append(_now())
            )
            rows.append(
                {
                    "Gaussians": count,
                    "degree": degree,
                    "image": f"{width}x{height}",
                    "step ms": 1e3 * float(np.min(np.diff(times))),
                    "forward and backward ms": 1e3 * min(_drawing(scene, shots[0]) for _ in range(4)),
                    "grew by MB": (_taken() - before) / 1e6,
                    "memory_of MB": memory_of(count, degree, shots) / 1e6,
                }
            )
    report("fit", "A step of a fit, one thread", rows, ["CPU time. Peak memory never decreases."])


def _now() -> float:
    return time.process_time()


def _taken() -> int:
    """Return this process's peak memory in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _made(count: int, degree: int, width: int, height: int) -> tuple[SplatScene, list[TrainingImage]]:
    rng = np.random.default_rng(0)
    camera = Camera(
        "front", width, height, *[0.58 * width] * 2, width / 2, height / 2, rigid_transform(FORWARD, np.zeros(3))
    )
    shots = []
    for k in range(2):
        pose = rigid_transform(np.eye(3), np.array([0.5 * k, 0.0, 1.5]))
        depth = Depth(rng.uniform(3, 50, (height, width)).astype(np.float32), DepthKind.LIDAR)
        image = rng.integers(0, 255, (height, width, 3), np.uint8)
        shots.append(TrainingImage(f"{k}", camera, pose, k, image, depth=depth))
    gaussians = street(count, np.random.default_rng(0)).with_sh_degree(degree)
    return SplatScene(gaussians, (), np.zeros(3), Sky.constant()), shots


def _drawing(scene: SplatScene, shot: TrainingImage) -> float:
    """Measure the seconds of the forward and backward pass only."""
    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in cloud_of(scene.background)]
    pose = torch.from_numpy(inverse(shot.world_from_ego @ shot.camera.ego_from_camera))
    before = _now()
    color, depth, alpha = differentiable_splats(*tensors, shot.camera, pose, backend="numba")
    (color.sum() + depth.sum() + alpha.sum()).backward()
    return _now() - before


if __name__ == "__main__":
    run()
