"""Benchmark of rendering a synthetic street of Gaussians at 960x540, with gradients, on one core and with gsplat.

The street has 130 m of road, house fronts, trees and parked cars, of uniform density; a fitted scene is denser near the
cameras, so these Gaussians are larger in the image than most.
"""

from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from scipy.spatial import cKDTree

from benchmarks.measure import report, timed
from swerve.rasterizer.backends import device_name, unavailable_reason
from swerve.rasterizer.splats import Gaussians, SplatSnapshot, render_splats
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.rasterizer.splats.gsplat import GsplatScene, load_library, render_unscented
from swerve.rasterizer.splats.gsplat import draw as draw_with_gsplat
from swerve.rasterizer.splats.pipeline import camera_arrays, project_and_tile
from swerve.rasterizer.splats.render_splats import cloud_of
from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.transforms import inverse, rigid_transform

COUNTS = (100_000, 300_000, 500_000, 1_000_000)
HERE, ALL = np.eye(4)[None], ("rgb", "depth", "alpha", "instance")
# Milliseconds of an earlier prototype, on another scene.
TRIAL = {100_000: 105.0, 300_000: 326.0, 500_000: 540.0, 1_000_000: 1030.0}


def run():
    """Print and write the table."""
    camera = Camera("front", 960, 540, 550.0, 550.0, 480.0, 270.0, rigid_transform(FORWARD, np.array([0.0, 0.0, 1.5])))
    camera_from_local = inverse(camera.ego_from_camera)
    rows = []
    for count in COUNTS:
        frame = SplatSnapshot.of(street(count, np.random.default_rng(0)))
        cloud, view = cloud_of(frame.gaussians), camera_arrays(camera, camera_from_local)
        layout = project_and_tile(cloud, view, 1)
        tensors = [torch.from_numpy(array).requires_grad_() for array in cloud]
        loss = sum(
            image.sum() for image in differentiable_splats(*tensors, camera, torch.from_numpy(camera_from_local))
        )
        rows.append(
            {
                "Gaussians": count,
                "in the image": len(layout.rows),
                "per tile": len(layout.members) / (len(layout.starts) - 1),
                "project and sort ms": timed(lambda c=cloud, v=view: project_and_tile(c, v, 1), 5).cpu_ms,
                "rgb ms": timed(lambda f=frame: render_splats(f, [camera], np.eye(4)[None]), 5).cpu_ms,
                "all outputs ms": timed(
                    lambda f=frame: render_splats(f, [camera], np.eye(4)[None], ("rgb", "depth", "alpha", "instance")),
                    5,
                ).cpu_ms,
                "gradients ms": timed(lambda total=loss: total.backward(retain_graph=True), 3).cpu_ms,
                "trial, rgb ms": TRIAL[count],
            }
        )
    report("splats", "Gaussians at 960x540, one thread", rows, ["Harmonics of degree 3."])
    if reason := unavailable_reason("gsplat"):
        Console().print(f"gsplat: {reason}", highlight=False)
    else:
        run_on_gpu(camera)


def run_on_gpu(camera):
    """Print and write the same for gsplat: images left on the device, copied to the host as views, and gradients."""
    pose, library = torch.from_numpy(inverse(camera.ego_from_camera)).cuda(), load_library()
    rows = []
    for count in (100_000, 500_000):
        frame = SplatSnapshot.of(street(count, np.random.default_rng(0)))
        scene = GsplatScene(*(library.upload(array).requires_grad_() for array in cloud_of(frame.gaussians)))
        bent = replace(camera, lens=Lens(LensModel.BROWN, (-0.05, 0.01, 0.0, 0.0)))
        row = {"Gaussians": count}
        for name, draw, shot in (
            ("", draw_with_gsplat, camera),
            ("lens ", draw_with_gsplat, bent),
            ("ut lens ", render_unscented, bent),
        ):
            row |= {
                f"{name}draw ms": timed(
                    lambda d=draw, c=shot, s=scene: _finished(d, s, c, pose, library, False)
                ).wall_ms,
                f"{name}draw and gradients ms": timed(
                    lambda d=draw, c=shot, s=scene: _finished(d, s, c, pose, library, True)
                ).wall_ms,
            }
        for backend in ("gsplat", "numba"):
            row[f"{backend} views ms"] = timed(
                lambda b=backend, f=frame: render_splats(f, [camera], HERE, ALL, backend=b), 5
            ).wall_ms
        rows.append(row)
    notes = [f"On {device_name('gsplat')}. Views: {' '.join(ALL)}, Gaussians uploaded, images on the host."]
    report("splats_gpu", "Gaussians at 960x540, gsplat", rows, notes)


def _finished(draw, scene, camera, pose, library, wants_gradients):
    """Render, and synchronize the device."""
    with torch.set_grad_enabled(wants_gradients):
        images = draw(scene, camera, pose, library)
    if wants_gradients:
        sum(image.sum() for image in images).backward()
    torch.cuda.synchronize()


def street(count, rng):
    """Build Gaussians sized by their spacing, flat on surfaces, 60 % of them nearly opaque."""
    road, fronts, trees = (int(count * share) for share in (0.35, 0.35, 0.2))
    x = rng.uniform(-20, 110, count)
    means = np.column_stack([x, rng.uniform(-12, 12, count), rng.normal(0, 0.02, count)])
    rest = means[road:]
    rest[:fronts, 1] = rng.choice([-13, 13], fronts) + rng.normal(0, 0.05, fronts)
    rest[:fronts, 2] = rng.uniform(0, 12, fronts)
    rows = rng.integers(0, 36, trees)
    trunks = np.column_stack([rows // 2 * 7.0 - 15, np.where(rows % 2, 9, -9), np.full(trees, 5.0)])
    rest[fronts : fronts + trees] = trunks + rng.normal(0, 1.2, (trees, 3))
    cars = count - road - fronts - trees
    rows, sides = rng.integers(0, 30, cars), rng.normal(size=(cars, 3))
    sides *= np.array([2.2, 0.9, 0.75]) / np.abs(sides).max(axis=1, keepdims=True)
    parked = np.column_stack([rows // 2 * 8.0 - 10, np.where(rows % 2, 5.0, -5.0), np.full(cars, 0.8)])
    rest[fronts + trees :] = parked + sides
    apart = cKDTree(means).query(means, 4)[0][:, 1:].mean(axis=1)
    log_scales = np.log(apart[:, None]) + rng.normal(0, 0.4, (count, 3))
    log_scales[: road + fronts, 2] -= 1.5
    quaternions = rng.normal(size=(count, 4))
    quaternions[:road, 1:3] = 0
    quaternions[road : road + fronts] = [1, 1, 0, 0]
    logits = np.where(rng.random(count) < 0.6, rng.normal(2.5, 1.5, count), rng.normal(-1.5, 1.0, count))
    harmonics = rng.normal(0, 0.05, (count, 16, 3))
    harmonics[:, 0] = rng.normal(0, 0.8, (count, 3))
    arrays = (means, quaternions, log_scales, logits, harmonics)
    return Gaussians(*(array.astype(np.float32) for array in arrays))
