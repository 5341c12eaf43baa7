"""Hand-made primitives, cameras, and an independent ray caster for the rasterizer's tests."""

import numpy as np
import trimesh
from scipy.ndimage import maximum_filter, minimum_filter
from trimesh.ray.ray_pyembree import RayMeshIntersector

from swerve.rasterizer import Style
from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.primitives import Face, Primitives, Semantic, cuboids
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z, transform_points

NEAR = 0.05
NUPLAN_LENS = Lens(LensModel.BROWN, (-0.356123, 0.172545, -0.00213, 0.000464, -0.05231))
LENSES = {
    "pinhole": Lens(),
    "brown": NUPLAN_LENS,
    "rational": Lens(LensModel.BROWN, (0.3, -0.1, 0.0005, 0.0002, 0.02, 0.6, -0.05, 0.04)),
    "fisheye": Lens(LensModel.FISHEYE, (-0.02, 0.01, -0.004, 0.0005)),
}


def looking(yaw=0.0, position=(0.0, 0.0, 1.5), lens=Lens(), width=320, height=180, focal=250.0):  # noqa: B008
    """Return a camera that looks along the vehicle's x axis, rotated by `yaw`."""
    pose = rigid_transform(rotation_about_z(float(yaw)) @ FORWARD, np.array(position))
    return Camera("camera", width, height, focal, focal, width / 2, height / 2, pose, lens)


def box(center, size, instance, heading=0.0, semantic=Semantic.VEHICLE):
    return cuboids(
        np.array([center], float),
        np.array([heading], float),
        np.array([size], float),
        np.array([semantic], np.uint8),
        np.array([instance], np.int32),
    )


def polygon(corners, instance=1, semantic=Semantic.CROSSING):
    """Build a convex polygon, counter-clockwise seen from its front, as a fan."""
    fan = [(0, i, i + 1) for i in range(1, len(corners) - 1)]
    return triangles(np.array(corners, float), fan, [instance] * len(fan), semantic)


def triangles(vertices, rows, instances, semantic=Semantic.ROAD):
    return Primitives.from_triangles(
        vertices,
        np.array(rows, np.int32).reshape(-1, 3),
        np.full(len(rows), semantic, np.uint8),
        np.full(len(rows), Face.NONE, np.uint8),
        np.array(instances, np.int32),
    )


def facing_square(center, half, instance=1, semantic=Semantic.CROSSING):
    """Build a square across the x axis that faces -x."""
    x, y, z = center
    corners = [(x, y + half, z - half), (x, y - half, z - half), (x, y - half, z + half), (x, y + half, z + half)]
    return polygon(corners, instance, semantic)


def joined(*parts):
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.concatenate(part)
    return whole


def tiled_ground(half=60.0, step=7.0, height=0.0, first_instance=1):
    """Build a ground of squares, each its own instance, whose triangles share their vertices."""
    count = int(2 * half / step) + 1
    x, y = np.meshgrid(np.linspace(-half, half, count + 1), np.linspace(-half, half, count + 1), indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)
    a = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    b, c, d = a + count + 1, a + count + 2, a + 1
    rows = np.stack([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)], axis=1).reshape(-1, 3)
    return triangles(vertices, rows, first_instance + np.repeat(np.arange(count * count), 2))


def random_scene(seed):
    """Build tiled ground under boxes all around; some overlap the camera's position and the near plane."""
    rng = np.random.default_rng(seed)
    count = 60
    centers = np.concatenate([rng.uniform(-50, 50, (count, 2)), rng.uniform(0.3, 3.0, (count, 1))], axis=1)
    centers[:6, :2] = rng.uniform(-2.5, 2.5, (6, 2))
    boxes = cuboids(
        centers,
        rng.uniform(-np.pi, np.pi, count),
        rng.uniform(0.3, 6.0, (count, 3)),
        rng.integers(Semantic.GENERIC, Semantic.SIGN + 1, count).astype(np.uint8),
        np.arange(10_001, 10_001 + count, dtype=np.int32),
    )
    return boxes.concatenate(tiled_ground())


def cast(primitives, camera, world_from_ego=np.eye(4), depth_limit=120.0):  # noqa: B008
    """Cast each pixel's ray with embree; return the first triangle (-1: none) and depth."""
    camera_from_world = inverse(world_from_ego @ camera.ego_from_camera)
    corners = transform_points(camera_from_world, primitives.vertices)[primitives.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offsets = np.einsum("ij,ij->i", normals, corners[:, 0])
    front = np.flatnonzero(offsets < 0)
    mesh = trimesh.Trimesh(corners[front].reshape(-1, 3), np.arange(3 * len(front)).reshape(-1, 3), process=False)
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u.ravel(), v.ravel()], axis=1))
    seeing = np.flatnonzero(~np.isnan(rays[:, 0]))
    hits = np.full(len(rays), -1)
    found = RayMeshIntersector(mesh, scale_to_box=False).intersects_first(rays[seeing] * NEAR, rays[seeing])
    hits[seeing] = np.where(found >= 0, front[found], -1)
    depth = np.full(len(rays), np.inf)
    hit = np.flatnonzero(hits >= 0)
    depth[hit] = offsets[hits[hit]] / np.einsum("ij,ij->i", normals[hits[hit]], rays[hit])
    hits[depth > depth_limit] = -1
    depth[depth > depth_limit] = np.inf
    return hits.reshape(u.shape), depth.reshape(u.shape)


def seeing(camera):
    """Return the mask of pixels within the lens model."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u.ravel(), v.ravel()], axis=1))
    return ~np.isnan(rays[:, 0]).reshape(u.shape)


def away_from_edges(numbers):
    """Return the mask of pixels whose eight neighbours have the same number."""
    return maximum_filter(numbers, 3) == minimum_filter(numbers, 3)


def flat_style(depth_limit=np.inf, background=(0, 0, 0)):
    """Return RAP's style; without fading unless a limit is given."""
    return Style(background, Style.rap().palette, depth_limit)
