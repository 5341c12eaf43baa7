"""RAP's scorer: predicted sub-scores of each proposal from its own queries."""

from jaxtyping import Float
from torch import Tensor, nn

from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.layers import mlp
from swerve.planners.rap.rap_config import RapConfig


class Scorer(nn.Module):
    """Prediction of a proposal's sub-scores from its poses' queries, columns as in `Metric`.

    The poses' queries are max-pooled, as in the original; unlike it, there is no output for the total score, which is
    computed from the sub-scores.
    """

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.head = mlp(config.dim, config.mlp_dim, config.mlp_dim, len(Metric))

    def forward(self, queries: Float[Tensor, "b n k d"]) -> Float[Tensor, "b n 8"]:
        """Compute logits of the sub-scores."""
        logits: Float[Tensor, "b n 8"] = self.head(self.norm(queries).amax(dim=2)).float()
        return logits
