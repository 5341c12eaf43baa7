"""Small scenes of Gaussians with known truth, and photos of them."""

import numpy as np

from swerve.data.splats.optimization.initial_gaussians import gaussians_at_points
from swerve.data.splats.optimization.training_images import Depth, DepthKind, TrainingImage
from swerve.rasterizer.splats import RigidNode, Sky, SplatScene, render_splats
from swerve.scenes import FORWARD, Camera
from swerve.scenes.transforms import rigid_transform, rotation_about_z

CAMERA = Camera("front", 56, 40, 44.0, 44.0, 28.0, 20.0, rigid_transform(FORWARD, np.array([0.2, 0.0, 0.5])))
ORIGIN = np.array([500.0, -300.0, 20.0])


def colored(points, seed=0, pitch=1.0):
    """Return position-dependent colours, 0.1 to 0.9."""
    waves = np.random.default_rng(seed).normal(size=(3, 3)) * pitch
    return 0.5 + 0.4 * np.sin(points @ waves)


def wall(count=220, seed=3, pitch=1.0):
    """Build Gaussians across the view, 5 to 8 m ahead."""
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(5, 8, count), rng.uniform(-6, 6, count), rng.uniform(-4, 5, count)])
    return gaussians_at_points(points, colored(points, seed, pitch), degree=0, opacity=0.9)


def box(count=60, seed=5):
    """Build Gaussians on the surface of a box of 1.6 x 1.2 x 1 m, in its frame."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (count, 3))
    points /= np.abs(points).max(axis=1, keepdims=True)
    points *= [0.8, 0.6, 0.5]
    return gaussians_at_points(points, colored(points, seed, 2.0), degree=0, opacity=0.95)


BOX_SIZE = np.array([1.6, 1.2, 1.0])


def scene(background, nodes=(), sky=None):
    """Build a scene far from the world's origin."""
    return SplatScene(background, tuple(nodes), ORIGIN, sky or Sky.constant((0.3, 0.5, 0.9)))


def crossing(gaussians, times=7, instance=4):
    """Build a node that crosses the view from right to left, rotating; a pose each 100 ms."""
    poses = [
        rigid_transform(rotation_about_z(0.12 * k), ORIGIN + np.array([3.4, -1.5 + 0.5 * k, 0.5])) for k in range(times)
    ]
    return RigidNode("crosser", instance, gaussians, np.arange(times) * 100_000, np.array(poses))


def ego_pose(y, turn=0.0):
    """Return the pose of a vehicle beside the origin that looks ahead."""
    return rigid_transform(rotation_about_z(turn), ORIGIN + np.array([0.15 * y, y, 0.1 * y]))


def shot(true, time_us, world_from_ego, gain=1.0, camera=CAMERA, **more):
    """Return a training image of a scene with depths."""
    view = drawn_from(true, time_us, world_from_ego, camera)
    image = (np.clip(view.color * gain, 0, 1) * 255).round().astype(np.uint8)
    depth = Depth(view.depth, DepthKind.LIDAR)
    return TrainingImage(f"{time_us} us", camera, world_from_ego, time_us, image, depth=depth, **more)


def drawn_from(true, time_us, world_from_ego, camera=CAMERA):
    """Render colours and depths of a scene."""
    return render_splats(true.at(time_us), [camera], world_from_ego[None], ("color", "depth"))[0][0]


def psnr_of(image, truth):
    """Compute the PSNR in dB, of colours of 0 to 1."""
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - np.clip(truth, 0, 1)) ** 2)))
