"""Scorer of any proposals: what the network sees of the scene, asked about each plan."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.inputs import STATUS, ModelInput
from swerve.planners.learning.layers import mlp
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.vocabulary import features_per_plan, plan_features


class PlanScorer(nn.Module):
    """Prediction of the sub-scores of plans by cross-attention of their embeddings to image features.

    Plans are detached: scores move no pose. They do not see each other, so that a plan's logits do not depend on the
    other proposals.

    Args of the constructor: config; number of layers.
    """

    def __init__(self, config: ModelConfig, layers: int) -> None:
        super().__init__()
        self.embed = mlp(features_per_plan(config.poses), config.mlp_dim, config.dim)
        self.status = mlp(STATUS, config.mlp_dim, config.dim)
        self.layers = nn.ModuleList([CrossAttentionBlock(config) for _ in range(layers)])
        self.norm = nn.LayerNorm(config.dim)
        self.head = mlp(config.dim, config.mlp_dim, len(Metric))

    def embedding(self, poses: Float[Tensor, "b n k 3"]) -> Float[Tensor, "b n d"]:
        """Return the embeddings of plans; their poses get no gradient."""
        embedded: Float[Tensor, "b n d"] = self.embed(plan_features(poses.detach().float()))
        return embedded

    def forward(
        self, plans: Float[Tensor, "b n d"], features: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> Float[Tensor, "b n 8"]:
        """Compute logits of the sub-scores.

        Args:
            plans: embeddings of the plans.
            features: image features with position embedding.
            inputs: inputs, for status and available images.
        """
        queries = plans + self.status(inputs.status)[:, None]
        tokens, seen = image_tokens(features, inputs.present)
        for layer in self.layers:
            queries = layer(queries, tokens, seen)
        logits: Float[Tensor, "b n 8"] = self.head(self.norm(queries)).float()
        return logits


class CrossAttentionBlock(nn.Module):
    """Pre-norm block: attention of queries to tokens, then an MLP per query, both with residual connections."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.dropout, width = config.heads, config.dropout, config.dim
        self.norm, self.mlp_norm, self.token_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key_value, self.output_projection = (nn.Linear(width, size * width) for size in (1, 2, 1))
        self.mlp = mlp(width, config.mlp_dim, width)

    def forward(
        self, queries: Float[Tensor, "b n d"], tokens: Float[Tensor, "b t d"], seen: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b n d"]:
        """Return the updated queries; tokens that are not `seen` have no weight."""
        asked = self.query(self.norm(queries)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        keys, values = self.key_value(self.token_norm(tokens)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(asked, keys, values, seen[:, None, None])
        queries = queries + self._dropped(self.output_projection(mixed.transpose(1, 2).flatten(2)))
        return queries + self._dropped(self.mlp(self.mlp_norm(queries)))

    def _dropped(self, values: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return functional.dropout(values, self.dropout, self.training)


def image_tokens(
    features: Float[Tensor, "b c d p q"], present: Bool[Tensor, "b c"]
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
    """Return the features of all patches of all cameras as tokens, and the mask of those of available images.

    The first token is zero and always seen, so that attention is defined without any image.
    """
    tokens = features.permute(0, 1, 3, 4, 2).flatten(1, 3)
    seen = present[..., None].expand(-1, -1, features.shape[3] * features.shape[4]).flatten(1)
    nothing = tokens.new_zeros(len(tokens), 1, tokens.shape[2])
    return torch.cat([nothing, tokens], dim=1), torch.cat([seen.new_ones(len(seen), 1), seen], dim=1)
