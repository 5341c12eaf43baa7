"""Vocabulary of proposals: k-means of target trajectories, and speed profiles along the present curve."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swerve.planners.learning.layers import begin_at_zero, fourier_features, mlp
from swerve.planners.learning.losses import pose_distances
from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError
from swerve.scenes.randomness import keyed_generator

# Accelerations of the profiles, m/s^2: from an emergency stop to a brisk start.
PROFILES: Final = (-6.0, -4.0, -2.5, -1.25, -0.5, 0.0, 1.0, 2.0)
# A radian of heading counts as much as so many metres in the distance of two trajectories.
_METRES_PER_RADIAN = 5.0
_ROUNDS = 30
_CHUNK = 4096
_MOST_TARGETS = 50_000
# Curvature is yaw rate over speed, at least this, m/s; and at most a car's, 1/m.
_LEAST_SPEED = 1.0
_TIGHTEST = 0.2
_WAVES = 4
_SCALE = (40.0, 10.0, torch.pi)


def kmeans_anchors(targets: Float[np.ndarray, "n k 3"], size: int, seed: int = 0) -> Float[np.ndarray, "a k 3"]:
    """Compute the anchors of target trajectories: centres of k-means, from k-means++ (Arthur & Vassilvitskii, 2007).

    Args:
        targets: trajectories (x, y, heading; ego frame); of very many, a random choice is used.
        size: number of anchors.
        seed: seed of the choice and of the first centres.

    Raises:
        SwerveError: there are fewer distinct trajectories than anchors.
    """
    random = keyed_generator(seed, "vocabulary", size)
    rows = np.sort(random.permutation(len(targets))[:_MOST_TARGETS])
    points = _points(targets[rows])
    if len(np.unique(points, axis=0)) < size:
        raise SwerveError(
            f"vocabulary: {size} anchors need as many distinct targets; the set has {len(targets)} in all"
        )
    centres = _first_centres(points, size, random)
    for _ in range(_ROUNDS):
        labels, distances = _nearest(points, centres)
        counts = np.bincount(labels, minlength=size)
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, points)
        moved = sums / np.maximum(counts, 1)[:, None]
        # A centre without points takes the one that is worst represented.
        empty = np.flatnonzero(counts == 0)
        moved[empty] = points[np.argsort(-distances, kind="stable")[: len(empty)]]
        if np.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    anchors = centres.reshape(size, -1, 3).astype(np.float64)
    anchors[..., 2] /= _METRES_PER_RADIAN
    return anchors


def profile_poses(motion: Float[Tensor, "b 2"], poses: int, interval: float) -> Float[Tensor, "b a k 3"]:
    """Compute trajectories along the present curve at the accelerations of `PROFILES`; none drives backwards.

    Args:
        motion: forward speed, m/s, and yaw rate, rad/s.
        poses: number of poses.
        interval: seconds between them.
    """
    speed, yaw_rate = motion[:, 0].clamp(min=0.0), motion[:, 1]
    curvature = (yaw_rate / speed.clamp(min=_LEAST_SPEED)).clamp(-_TIGHTEST, _TIGHTEST)[:, None, None]
    seconds = interval * torch.arange(1, poses + 1, device=motion.device, dtype=motion.dtype)
    rates = motion.new_tensor(PROFILES)[None, :, None]
    start = speed[:, None, None]
    driven = torch.where(rates < 0, torch.minimum(seconds, -start / rates.clamp(max=-1e-6)), seconds)
    length = start * driven + rates * driven**2 / 2
    turned = curvature * length
    half = turned / 2
    chord = length * torch.sinc(half / torch.pi)
    return torch.stack([chord * half.cos(), chord * half.sin(), turned.expand_as(chord)], dim=-1)


class Vocabulary(nn.Module):
    """Anchors and profiles as proposals of every sample, with learned residuals if the config asks for them.

    The anchors are part of the network's file. Until `set_anchors` they are zero.
    """

    anchors: Tensor

    def __init__(self, config: ModelConfig, anchors: int, profiles: bool, residuals: bool) -> None:
        super().__init__()
        self.poses, self.interval, self.profiles = config.poses, config.interval, profiles
        self.register_buffer("anchors", torch.zeros(anchors, config.poses, 3))
        self.residual = mlp(2 * config.dim, config.mlp_dim, config.poses * 3) if residuals else None
        if self.residual is not None:
            begin_at_zero(self.residual[-1])

    def __len__(self) -> int:
        return len(self.anchors) + len(PROFILES) * self.profiles

    @property
    def is_fixed(self) -> bool:
        """Return whether the proposals depend on the sample's motion alone, so that their scores can be stored."""
        return self.residual is None

    @torch.no_grad()
    def set_anchors(self, anchors: Float[Tensor, "a k 3"]) -> None:
        """Set the anchors."""
        self.anchors.copy_(anchors)

    def proposals(self, motion: Float[Tensor, "b 2"]) -> Float[Tensor, "b a k 3"]:
        """Return the proposals without residuals: the anchors, then the profiles."""
        anchors = self.anchors.expand(len(motion), -1, -1, -1)
        if not self.profiles:
            return anchors
        return torch.cat([anchors, profile_poses(motion.float(), self.poses, self.interval)], dim=1)

    def refined(
        self, proposals: Float[Tensor, "b a k 3"], plans: Float[Tensor, "b a d"], scene: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b a k 3"]:
        """Add the learned residuals, from embeddings of the plans and of the scene; they begin at zero."""
        if self.residual is None:
            return proposals
        seen = scene[:, None].expand(-1, plans.shape[1], -1)
        with torch.autocast(plans.device.type, enabled=False):
            moved: Tensor = self.residual(torch.cat([plans, seen], dim=-1).float())
        refined: Float[Tensor, "b a k 3"] = proposals + moved.unflatten(-1, (self.poses, 3))
        return refined


def plan_features(poses: Float[Tensor, "*b k 3"]) -> Float[Tensor, "*b f"]:
    """Compute features of trajectories for an embedding: sines and cosines of all coordinates."""
    return fourier_features(poses / poses.new_tensor(_SCALE), _WAVES).flatten(-2)


def features_per_plan(poses: int) -> int:
    """Return the number of `plan_features`."""
    return poses * 3 * 2 * _WAVES


def residual_loss(
    proposals: Float[Tensor, "b a k 3"],
    refined: Float[Tensor, "b a k 3"],
    targets: Float[Tensor, "b k 3"],
    valid: Bool[Tensor, "b k"],
) -> Float[Tensor, "b"]:
    """Compute the distance of the target to the refinement of its nearest proposal (before refinement), per sample."""
    nearest = pose_distances(proposals[None], targets, valid)[0].argmin(dim=1)
    rows = torch.arange(len(nearest), device=nearest.device)
    return pose_distances(refined[rows, nearest][None, :, None], targets, valid)[0, :, 0]


def _points(trajectories: Float[np.ndarray, "n k 3"]) -> Float[np.ndarray, "n d"]:
    scaled: Float[np.ndarray, "n k 3"] = trajectories.astype(np.float64) * np.array([1.0, 1.0, _METRES_PER_RADIAN])
    return scaled.reshape(len(trajectories), -1)


def _first_centres(
    points: Float[np.ndarray, "n d"], size: int, random: np.random.Generator
) -> Float[np.ndarray, "a d"]:
    """Choose the first centres: each next with a probability by its squared distance to the nearest chosen."""
    centres = np.empty((size, points.shape[1]))
    centres[0] = points[random.integers(len(points))]
    squared = np.full(len(points), np.inf)
    for row in range(1, size):
        squared = np.minimum(squared, ((points - centres[row - 1]) ** 2).sum(axis=1))
        centres[row] = points[random.choice(len(points), p=squared / squared.sum())]
    return centres


def _nearest(
    points: Float[np.ndarray, "n d"], centres: Float[np.ndarray, "a d"]
) -> tuple[np.ndarray, Float[np.ndarray, "n"]]:
    """Return the nearest centre of each point, and the squared distance to it."""
    labels, distances = np.empty(len(points), np.int64), np.empty(len(points))
    squares = (centres**2).sum(axis=1)
    for first in range(0, len(points), _CHUNK):
        part = points[first : first + _CHUNK]
        offset = squares - 2 * part @ centres.T
        labels[first : first + _CHUNK] = offset.argmin(axis=1)
        distances[first : first + _CHUNK] = offset.min(axis=1) + (part**2).sum(axis=1)
    return labels, distances
