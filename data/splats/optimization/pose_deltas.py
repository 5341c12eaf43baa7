"""Trainable pose deltas: rotation and translation in the source frame (SO(3) x R^3)."""

import numpy as np
import scipy
from jaxtyping import Float

from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.scenes.transforms import rigid_transform

# Added under the root of a rotation's norm, so that it is differentiable at zero.
_TINY = 1e-24


def apply_pose_deltas(
    target_from_source: Float[np.ndarray, "p 4 4"],
    turns: Float[torch.Tensor, "p 3"],
    shifts: Float[torch.Tensor, "p 3"],
) -> tuple[Float[torch.Tensor, "p 4"], Float[torch.Tensor, "p 3 3"], Float[torch.Tensor, "p 3"]]:
    """Apply deltas to the source frames: target_from_source times (rotation, translation).

    Args:
        target_from_source: initial poses.
        turns: rotation vectors, radians.
        shifts: metres.

    Returns:
        quaternions (w, x, y, z), rotations and translations, float64, on the CPU.
    """
    base = scipy.spatial.transform.Rotation.from_matrix(target_from_source[:, :3, :3]).as_quat(scalar_first=True)
    rotations = torch.from_numpy(np.ascontiguousarray(target_from_source[:, :3, :3]))
    shifts = (rotations @ shifts.cpu().double()[:, :, None])[:, :, 0]
    quaternions = product(torch.from_numpy(base), quaternions_of(turns.cpu().double()))
    return quaternions, rotations_of(quaternions), torch.from_numpy(target_from_source[:, :3, 3].copy()) + shifts


def refined_poses(
    target_from_source: Float[np.ndarray, "p 4 4"],
    turns: Float[torch.Tensor, "p 3"],
    shifts: Float[torch.Tensor, "p 3"],
) -> Float[np.ndarray, "p 4 4"]:
    """Return `apply_pose_deltas` as matrices without gradients; poses without a delta are unchanged bit for bit."""
    _, rotations, translations = apply_pose_deltas(target_from_source, turns.detach(), shifts.detach())
    changed = (turns.detach() != 0).any(dim=1) | (shifts.detach() != 0).any(dim=1)
    made = rigid_transform(rotations.numpy(), translations.numpy())
    return np.where(changed.cpu().numpy()[:, None, None], made, target_from_source)


def quaternions_of(turns: Float[torch.Tensor, "p 3"]) -> Float[torch.Tensor, "p 4"]:
    """Convert rotation vectors to unit quaternions (w, x, y, z)."""
    angles = (turns.square().sum(dim=1, keepdim=True) + _TINY).sqrt()
    return torch.cat([torch.cos(angles / 2), turns * torch.sin(angles / 2) / angles], dim=1)


def product(a: Float[torch.Tensor, "*p 4"], b: Float[torch.Tensor, "*p 4"]) -> Float[torch.Tensor, "*p 4"]:
    """Multiply quaternions: the rotation b, then a."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a.unbind(-1), b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def rotations_of(quaternions: Float[torch.Tensor, "p 4"]) -> Float[torch.Tensor, "p 3 3"]:
    """Convert quaternions of any non-zero length to rotation matrices."""
    w, x, y, z = (quaternions / quaternions.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
