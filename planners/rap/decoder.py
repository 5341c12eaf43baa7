"""Decoder: iterative refinement of proposals by image features at their poses."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swerve.planners.learning.inputs import STATUS, ModelInput
from swerve.planners.learning.layers import SelfAttentionBlock, mlp
from swerve.planners.learning.projection import project, sample
from swerve.planners.rap.rap_config import RapConfig

# Scale of the head's outputs: 10 m/s forward, 4 m/s laterally, 0.3 rad/s.
_USUAL_RATES = (10.0, 4.0, 0.3)
_CORNERS = 4


class Decoder(nn.Module):
    """Queries, one per pose of each proposal, refined in rounds of layers with shared weights.

    A refinement round decodes poses from the queries, then updates the queries by the image features at these poses and
    by self-attention. The poses of all refinement rounds are returned; the returned queries include features at the
    last ones.
    """

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.refinement_rounds, self.proposals, self.poses = config.refinement_rounds, config.proposals, config.poses
        self.activation_checkpointing = config.activation_checkpointing
        self.ego = mlp(STATUS, config.mlp_dim, config.dim)
        self.queries = nn.Parameter(torch.randn(config.proposals * config.poses, config.dim))
        self.head = mlp(config.dim, config.mlp_dim, 3)
        self.pose_embedding = mlp(3, config.mlp_dim, config.dim)
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.refinement_layers)])
        seconds = config.interval * torch.arange(1, config.poses + 1)
        self.register_buffer("scale", seconds[:, None] * torch.tensor(_USUAL_RATES), persistent=False)

    def forward(
        self, features: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "r b n k 3"], Float[Tensor, "b n k d"]]:
        """Return poses (x, y, heading; ego frame) of each refinement round, and the final queries."""
        queries = self.queries + self.ego(inputs.status)[:, None]
        # The same in all rounds, which share their layers.
        values = [layer.cross_attention.values_of(features) for layer in self._layers]
        refinements = []
        for _ in range(self.refinement_rounds):
            raw = self._decoded(queries).unflatten(1, (self.proposals, self.poses))
            refinements.append(raw * self.scale)
            # Sampling locations get no gradient through the poses (Zhu et al., "Deformable DETR", 2021).
            poses, seen_from = refinements[-1].detach().flatten(1, 2), raw.detach().flatten(1, 2)
            queries = queries + self.pose_embedding(seen_from.to(queries.dtype))
            for layer, own in zip(self._layers, values, strict=True):
                queries = self._refined(layer, queries, poses, own, inputs)
        return torch.stack(refinements), queries.unflatten(1, (self.proposals, self.poses))

    @property
    def _layers(self) -> list["DecoderLayer"]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _refined(
        self,
        layer: nn.Module,
        queries: Float[Tensor, "b m d"],
        poses: Float[Tensor, "b m 3"],
        values: Float[Tensor, "b c d p q"],
        inputs: ModelInput,
    ) -> Float[Tensor, "b m d"]:
        """Apply a layer, whose activations are computed again for the gradient if `activation_checkpointing`."""
        if self.activation_checkpointing and self.training and torch.is_grad_enabled():
            again: Float[Tensor, "b m d"] = checkpoint(layer, queries, poses, values, inputs, use_reentrant=False)
            return again
        refined: Float[Tensor, "b m d"] = layer(queries, poses, values, inputs)
        return refined

    def _decoded(self, queries: Float[Tensor, "b m d"]) -> Float[Tensor, "b m 3"]:
        """Decode poses in units of `scale`; in float32, since half precision has steps of decimetres at 40 m."""
        with torch.autocast(queries.device.type, enabled=False):
            decoded: Float[Tensor, "b m 3"] = self.head(queries.float())
            return decoded


class DecoderLayer(nn.Module):
    """Self-attention of queries, and attention to image features at their poses."""

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.cross_attention = PoseAttention(config)
        self.norm = nn.LayerNorm(config.dim)
        self.self_attention = SelfAttentionBlock(config.dim, config.mlp_dim, config.heads, config.dropout)

    def forward(
        self,
        queries: Float[Tensor, "b m d"],
        poses: Float[Tensor, "b m 3"],
        values: Float[Tensor, "b c d p q"],
        inputs: ModelInput,
    ) -> Float[Tensor, "b m d"]:
        """Return the updated queries; `values` are those of `PoseAttention.values_of`."""
        mixed: Float[Tensor, "b m d"] = self.self_attention(
            queries + self.cross_attention(self.norm(queries), poses, values, inputs)
        )
        return mixed


class PoseAttention(nn.Module):
    """Deformable attention of a pose to the images, at points around the ego body at that pose.

    The points are all corners at all heights (the original pairs corner k with height k only), each moved by an offset
    in metres predicted from the query; they are projected into every camera through its lens, and features are sampled
    there bilinearly. Points outside a sample's cameras, and cameras without an image, have no weight; a pose visible in
    no camera gets zeros.
    """

    heights: Tensor

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        points, self.heads = _CORNERS * len(config.heights), config.heads
        self.register_buffer("heights", torch.tensor(config.heights), persistent=False)
        self.visible_queries = config.visible_queries
        self.offsets = nn.Linear(config.dim, points * 3)
        self.weights = nn.Linear(config.dim, config.heads * points)
        self.values, self.output_projection = nn.Linear(config.dim, config.dim), nn.Linear(config.dim, config.dim)
        for layer in (self.offsets, self.weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        queries: Float[Tensor, "b m d"],
        poses: Float[Tensor, "b m 3"],
        values: Float[Tensor, "b c d p q"],
        inputs: ModelInput,
    ) -> Float[Tensor, "b m d"]:
        """Compute the image features of each query, from those of `values_of`."""
        points = body_points(poses, inputs.footprint, self.heights)
        points = points + self.offsets(queries).float().unflatten(-1, (-1, 3))
        count = points.shape[2]
        pixels, _, visible = project(inputs.rig, points.flatten(1, 2))
        visible = (visible & inputs.present[..., None]).unflatten(-1, (-1, count))
        weights = self._weights(queries, visible)
        if self.visible_queries:
            rows = visible_rows(visible)
            placed = torch.gather(pixels.unflatten(2, (-1, count)), 2, _over(rows, (count, 2))).flatten(2, 3)
            own = torch.gather(weights, 3, _over(rows[:, :, None].expand(-1, -1, self.heads, -1), (count,)))
            part = self._mixed(values, placed, own, inputs, "bchemn,bchmn->bcmhe")
            index = _over(rows, part.shape[3:])
            empty = part.new_zeros(*visible.shape[:3], *part.shape[3:])
            mixed = empty.scatter_add(2, index, part).sum(dim=1)
        else:
            mixed = self._mixed(values, pixels, weights, inputs, "bchemn,bchmn->bmhe")
        in_view = visible.any(dim=-1).any(dim=1)[..., None]
        attended: Float[Tensor, "b m d"] = self.output_projection(mixed.flatten(2)) * in_view
        return attended

    def _mixed(
        self,
        values: Float[Tensor, "b c d p q"],
        pixels: Float[Tensor, "b c l 2"],
        weights: Float[Tensor, "b c h m n"],
        inputs: ModelInput,
        sums: str,
    ) -> Float[Tensor, "b *r"]:
        """Sample the features at pixels and add them up by the weights."""
        seen = sample(values, pixels, inputs.rig.size).unflatten(-1, (-1, weights.shape[-1]))
        return torch.einsum(sums, seen.unflatten(2, (self.heads, -1)), weights.to(seen.dtype))

    def values_of(self, features: Float[Tensor, "b c d p q"]) -> Float[Tensor, "b c d p q"]:
        """Project image features to what is sampled."""
        values: Float[Tensor, "b c d p q"] = self.values(features.movedim(2, -1)).movedim(-1, 2)
        return values

    def _weights(self, queries: Float[Tensor, "b m d"], visible: Bool[Tensor, "b c m n"]) -> Float[Tensor, "b c h m n"]:
        """Compute each head's attention weights over all visible points in all cameras; zeros where none is visible."""
        logits = self.weights(queries).float().unflatten(-1, (self.heads, -1)).transpose(1, 2)[:, None]
        known = visible[:, :, None]
        masked = torch.where(known, logits, -1e9).movedim(1, -1)
        shares = masked.flatten(-2).softmax(dim=-1).unflatten(-1, masked.shape[-2:]).movedim(-1, 1)
        weights: Float[Tensor, "b c h m n"] = shares * known
        return weights


def visible_rows(visible: Bool[Tensor, "b c m n"]) -> Int[Tensor, "b c v"]:
    """Return each camera's queries with a visible point, filled up with others to the largest number of them."""
    seen = visible.any(dim=-1)
    most = max(int(seen.sum(dim=-1).max()), 1)
    return seen.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., :most]


def _over(rows: Int[Tensor, "..."], sizes: Sequence[int]) -> Int[Tensor, "..."]:
    """Expand indices over further axes of these sizes."""
    return rows.reshape(*rows.shape, *(1,) * len(sizes)).expand(*rows.shape, *sizes)


def body_points(
    poses: Float[Tensor, "b m 3"], footprint: Float[Tensor, "b 4 2"], heights: Float[Tensor, "z"]
) -> Float[Tensor, "b m n 3"]:
    """Compute the corners of a body at each pose, every corner at every height; n = 4 z, corner by corner."""
    cos, sin = poses[..., 2].cos()[..., None], poses[..., 2].sin()[..., None]
    x, y = footprint[:, None, :, 0], footprint[:, None, :, 1]
    corners = torch.stack([poses[..., :1] + cos * x - sin * y, poses[..., 1:2] + sin * x + cos * y], dim=-1)
    corners = corners[..., None, :].expand(-1, -1, -1, len(heights), -1)
    levels = heights[:, None].expand(*corners.shape[:-1], 1)
    return torch.cat([corners, levels.to(corners)], dim=-1).flatten(2, 3)
