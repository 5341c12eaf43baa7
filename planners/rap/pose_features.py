"""Image features at the poses of plans, for a scorer of any plans."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.layers import mlp
from swerve.planners.rap.decoder import PoseAttention
from swerve.planners.rap.rap_config import RapConfig


class PoseFeatures(nn.Module):
    """Embeddings of plans with the image features around the ego body at each of their poses.

    Each pose attends to the images as a pose of the decoder does (`PoseAttention`), with the embedding of its plan as
    the query; a pose that no camera sees adds zeros. Plans are detached, and do not see each other.
    """

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.attention = PoseAttention(config)
        self.step = nn.Parameter(0.02 * torch.randn(config.poses, config.dim))
        self.joined = mlp(config.poses * config.dim, config.mlp_dim, config.dim)

    def forward(
        self,
        plans: Float[Tensor, "b n d"],
        poses: Float[Tensor, "b n k 3"],
        features: Float[Tensor, "b c d p q"],
        inputs: ModelInput,
    ) -> Float[Tensor, "b n d"]:
        """Add to the embeddings of plans what the images show at their poses.

        Args:
            plans: embeddings of the plans.
            poses: the plans, ego frame.
            features: image features with position embedding.
            inputs: inputs, for the cameras and the size of the ego body.
        """
        queries = (plans[:, :, None] + self.step).flatten(1, 2)
        values = self.attention.values_of(features)
        seen = self.attention(queries, poses.detach().flatten(1, 2), values, inputs)
        added: Float[Tensor, "b n d"] = self.joined(seen.unflatten(1, poses.shape[1:3]).flatten(2))
        return plans + added
