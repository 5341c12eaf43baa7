"""Trainable scene graph: background, posed nodes, sky, exposures and poses, rendered together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int64

from swerve.data.splats.optimization.fit_options import FitOptions, LearningRates
from swerve.data.splats.optimization.parameters import (
    Parameters,
    Tensors,
    gaussians_of,
    tensors_of,
    trainable_gaussians,
)
from swerve.data.splats.optimization.pose_deltas import apply_pose_deltas, product, refined_poses
from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.rasterizer.optics import lens_table
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats, torch
from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, rotation_of_harmonics, sh_basis
from swerve.rasterizer.splats.splat_scene import RigidNode, Sky, SplatScene
from swerve.scenes import Camera, LensModel
from swerve.scenes.transforms import inverse


@dataclass(eq=False)
class TrainableGraph:
    """Trainable scene.

    Attributes:
        initial: initial scene: its nodes' names, times and poses are constant.
        static: Gaussians of the background.
        dynamic: Gaussians of the nodes, one node after the other, in their frames.
        node_indices: index of each one's node, increasing.
        shared: sky; exposures by image; ego_rotations and ego_translations by time; box_rotations and box_translations
            by pose, one node after the other.
        time_indices: index of each image's time among the distinct ones; the first is kept fixed.
    """

    initial: SplatScene
    static: Parameters
    dynamic: Parameters
    node_indices: Int64[np.ndarray, "m"]
    shared: Parameters
    time_indices: Int64[np.ndarray, "s"]

    def __len__(self) -> int:
        return len(self.static["means"]) + len(self.dynamic["means"])


@dataclass(frozen=True, eq=False)
class Rendering:
    """Rendering of a graph, before the exposure map.

    Attributes:
        color: colour, including the sky.
        depth: sum of weight x depth.
        alpha: sum of weight.
        log_scales: logarithms of the scales of all rendered Gaussians.
        centers: tensor whose gradient is that by the projected centres: the background's, then those of `rows`.
        rows: rows of the moving Gaussians that were present.
    """

    color: Float32[torch.Tensor, "h w 3"]
    depth: Float32[torch.Tensor, "h w"]
    alpha: Float32[torch.Tensor, "h w"]
    log_scales: Float32[torch.Tensor, "n 3"]
    centers: Float32[torch.Tensor, "n 2"]
    rows: Int64[np.ndarray, "r"]


def graph_of(
    start: SplatScene, shots: Sequence[TrainingImage], extents: tuple[float, float], rates: LearningRates, device: str
) -> TrainableGraph:
    """Build a trainable scene.

    Args:
        start: initial scene, whose Gaussians all get the highest degree of harmonics among them.
        shots: training images.
        extents: extents of the background and of nodes, metres.
        rates: learning rates.
        device: torch device.
    """
    parts = [node.gaussians for node in start.nodes]
    degree = max(part.degree for part in (start.background, *parts))
    moving = Gaussians.empty(degree).concatenate(*parts)
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    times, moments = np.unique([shot.time_us for shot in shots], return_inverse=True)
    poses = sum(len(node.times_us) for node in start.nodes)
    values = {
        "sky": torch.from_numpy(start.sky.sh_coefficients.copy()),
        "exposures": torch.zeros((len(shots), 3, 4)),
        **{f"ego_{what}": torch.zeros((len(times), 3)) for what in ("rotations", "translations")},
        **{f"box_{what}": torch.zeros((poses, 3)) for what in ("rotations", "translations")},
    }
    return TrainableGraph(
        start,
        trainable_gaussians(start.background.with_sh_degree(degree), extents[0], rates, device),
        trainable_gaussians(moving, extents[1], rates, device),
        owners,
        Parameters(
            {name: value.to(device) for name, value in values.items()}, {name: getattr(rates, name) for name in values}
        ),
        moments,
    )


def scene_of(graph: TrainableGraph) -> SplatScene:
    """Return the current scene, copied."""
    moving, start = gaussians_of(graph.dynamic), graph.initial
    firsts = _first_poses(start.nodes)
    nodes = []
    for number, node in enumerate(start.nodes):
        rows = slice(firsts[number], firsts[number + 1])
        turns, shifts = graph.shared["box_rotations"][rows], graph.shared["box_translations"][rows]
        poses = refined_poses(node.world_from_node, turns, shifts)
        nodes.append(replace(node, gaussians=moving.select(graph.node_indices == number), world_from_node=poses))
    sky = Sky(graph.shared["sky"].detach().cpu().numpy().copy())
    return SplatScene(gaussians_of(graph.static), tuple(nodes), start.origin, sky)


def ego_poses(graph: TrainableGraph, shots: Sequence[TrainingImage]) -> Float[np.ndarray, "s 4 4"]:
    """Return the refined ego poses of the images."""
    poses = np.array([shot.world_from_ego for shot in shots])
    rows = torch.from_numpy(graph.time_indices)
    return refined_poses(poses, graph.shared["ego_rotations"].cpu()[rows], graph.shared["ego_translations"].cpu()[rows])


def exposures_of(graph: TrainableGraph) -> Float32[torch.Tensor, "s 3 4"]:
    """Return the affine colour maps by image, whose mean is the identity.

    Otherwise the scene could become darker and all maps brighter, and be wrong for other images.
    """
    maps = graph.shared["exposures"]
    return maps - maps.mean(dim=0) + torch.eye(3, 4, device=maps.device)


def render_graph(graph: TrainableGraph, shot: TrainingImage, time_index: int, options: FitOptions) -> Rendering:
    """Render the graph at an image's pose and time.

    Harmonics of nodes rotate with their poses, but do not contribute to the poses' gradients; nor does the sky.

    Args:
        graph: scene graph.
        shot: image with pose and time.
        time_index: index of the image's time, see `TrainableGraph`.
        options: options of the fit.
    """
    tensors, rows = _placed(graph, shot.time_us, options)
    centers = tensors[0].new_zeros((len(tensors[0]), 2)).requires_grad_()
    camera_from_local = _camera_pose(graph, shot, time_index, options)
    color, depth, alpha = differentiable_splats(
        *tensors, shot.camera, camera_from_local, centers, options.threads, options.backend
    )
    sky = sky_seen(graph.shared["sky"], shot.camera, camera_from_local.detach().numpy())
    return Rendering(color + (1 - alpha[..., None]) * sky, depth, alpha, tensors[2], centers, rows)


def sky_seen(
    harmonics: Float32[torch.Tensor, "k 3"], camera: Camera, camera_from_local: Float[np.ndarray, "4 4"]
) -> Float32[torch.Tensor, "..."]:
    """Compute the sky's colour in every pixel, or once for all; it may be negative, where a rendering clips it."""
    if len(harmonics) == 1:
        return 0.5 + harmonics[0] * float(sh_basis(np.array([[0.0, 0.0, 1.0]]), 0)[0, 0])
    directions = _rays(camera) @ camera_from_local[:3, :3]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = torch.from_numpy(sh_basis(directions, SIZES.index(len(harmonics))).astype(np.float32)).to(harmonics.device)
    return 0.5 + (values @ harmonics).reshape(camera.height, camera.width, 3)


def _rays(camera: Camera) -> Float[np.ndarray, "p 3"]:
    """Return points at depth one of all pixels; straight ahead outside the lens model."""
    rays = np.ones((camera.height, camera.width, 3))
    if camera.lens.model == LensModel.PINHOLE:
        rays[..., 0] = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
        rays[..., 1] = (np.arange(camera.height)[:, None] + 0.5 - camera.cy) / camera.fy
    else:
        table = lens_table(camera)
        rays[..., 0], rays[..., 1] = np.nan_to_num(table.rays_x), np.nan_to_num(table.rays_y)
    return rays.reshape(-1, 3)


def _camera_pose(
    graph: TrainableGraph, shot: TrainingImage, time_index: int, options: FitOptions
) -> Float[torch.Tensor, "4 4"]:
    """Compute camera_from_local, with a gradient if ego poses are refined."""
    local_from_ego = shot.world_from_ego.copy()
    local_from_ego[:3, 3] -= graph.initial.origin
    if not options.refine_egos or time_index == 0:
        return torch.from_numpy(inverse(local_from_ego @ shot.camera.ego_from_camera))
    rows = slice(time_index, time_index + 1)
    _, (rotation,), (shift,) = apply_pose_deltas(
        local_from_ego[None], graph.shared["ego_rotations"][rows], graph.shared["ego_translations"][rows]
    )
    ego_from_local = torch.cat([rotation.T, -(rotation.T @ shift)[:, None]], dim=1)
    bottom = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    return torch.from_numpy(inverse(shot.camera.ego_from_camera)) @ torch.cat([ego_from_local, bottom])


def _placed(graph: TrainableGraph, time_us: int, options: FitOptions) -> tuple[Tensors, Int64[np.ndarray, "r"]]:
    """Return the tensors of all Gaussians present at a time, in the scene's frame, and the rows of the moving ones."""
    nodes = graph.initial.nodes
    poses = [node.pose_at(time_us) for node in nodes]
    there = [number for number, pose in enumerate(poses) if pose is not None and (graph.node_indices == number).any()]
    rows = np.flatnonzero(np.isin(graph.node_indices, there))
    still = tensors_of(graph.static)
    if not len(rows):
        return still, rows
    local = np.array([poses[number] for number in there])
    local[:, :3, 3] -= graph.initial.origin
    turns, shifts = _box_changes(graph, there, time_us) if options.refine_boxes else (torch.zeros((len(there), 3)),) * 2
    counts = np.bincount(graph.node_indices, minlength=len(nodes))[there]
    chosen = torch.from_numpy(rows).to(still[0].device)
    moved = _moved(tuple(tensor[chosen] for tensor in tensors_of(graph.dynamic)), local, turns, shifts, counts)
    joined = [torch.cat([a, b]) for a, b in zip(still, moved, strict=True)]
    return (joined[0], joined[1], joined[2], joined[3], joined[4]), rows


def _moved(
    tensors: Sequence[torch.Tensor],
    local_from_node: Float[np.ndarray, "p 4 4"],
    turns: Float[torch.Tensor, "p 3"],
    shifts: Float[torch.Tensor, "p 3"],
    counts: Int64[np.ndarray, "p"],
) -> list[torch.Tensor]:
    """Transform Gaussians of nodes, `counts` per node, to the scene's frame."""
    means, own, log_scales, opacity_logits, harmonics = tensors
    repeats = torch.from_numpy(counts).to(means.device)
    quaternions, rotations, translations = (
        pose.to(means).repeat_interleave(repeats, dim=0) for pose in apply_pose_deltas(local_from_node, turns, shifts)
    )
    if harmonics.shape[1] > 1:
        degree = SIZES.index(harmonics.shape[1])
        mixes = [torch.from_numpy(rotation_of_harmonics(pose[:3, :3], degree)) for pose in local_from_node]
        parts = harmonics.split(counts.tolist())
        harmonics = torch.cat([mix.to(part) @ part for mix, part in zip(mixes, parts, strict=True)])
    means = (rotations @ means[:, :, None])[:, :, 0] + translations
    return [means, product(quaternions, own), log_scales, opacity_logits, harmonics]


def _box_changes(
    graph: TrainableGraph, there: Sequence[int], time_us: int
) -> tuple[Float[torch.Tensor, "p 3"], Float[torch.Tensor, "p 3"]]:
    """Interpolate the pose deltas of nodes at a time linearly between those of their poses.

    Poses are interpolated first and the deltas applied then, which for rotations of 0.2 rad between two poses and
    translations of 5 cm is off by 0.3 mm.
    """
    firsts, rows, shares = _first_poses(graph.initial.nodes), [], []
    for number in there:
        times = graph.initial.nodes[number].times_us
        after = min(max(int(np.searchsorted(times, time_us)), 1), len(times) - 1)
        before = max(after - 1, 0)
        share = (time_us - times[before]) / (times[after] - times[before]) if after > before else 0.0
        rows.append([firsts[number] + before, firsts[number] + after])
        shares.append([1 - share, share])
    pairs = torch.tensor(rows)
    weights = torch.tensor(shares, dtype=torch.float32)[:, :, None]
    turns, shifts = (
        (graph.shared[name][pairs.to(graph.shared[name].device)] * weights.to(graph.shared[name].device)).sum(dim=1)
        for name in ("box_rotations", "box_translations")
    )
    return turns, shifts


def _first_poses(nodes: Sequence[RigidNode]) -> list[int]:
    """Return the row of each node's first pose in the tables of poses, with the total at the end."""
    return [0, *np.cumsum([len(node.times_us) for node in nodes]).tolist()]
