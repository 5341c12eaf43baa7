"""Scorer: predicted sub-scores of each proposal."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.thresholds import HISTORY_COMFORT_WEIGHT, LANE_KEEPING_WEIGHT, PROGRESS_WEIGHT, TTC_WEIGHT
from swerve.planners.rap.layers import mlp
from swerve.planners.rap.rap_config import RapConfig

_WEIGHTS = (PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT)


class Scorer(nn.Module):
    """Prediction of a proposal's sub-scores from its poses' queries, columns as in `Metric`.

    The poses' queries are max-pooled, as in the original; unlike it, there is no output for the total score, which is
    computed from the sub-scores.
    """

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.head = mlp(config.dim, config.hidden, config.hidden, len(Metric))

    def forward(self, queries: Float[Tensor, "b n k d"]) -> Float[Tensor, "b n 8"]:
        """Compute logits of the sub-scores."""
        logits: Float[Tensor, "b n 8"] = self.head(self.norm(queries).amax(dim=2)).float()
        return logits


def expected_score(metrics: Float[Tensor, "*b 8"]) -> Float[Tensor, "*b"]:
    """Compute the EPDMS without extended comfort from sub-scores: `scoring.sub_scores.pdm_score` in torch."""
    split = int(Metric.EGO_PROGRESS)
    weights = metrics.new_tensor(_WEIGHTS)
    return metrics[..., :split].prod(dim=-1) * (metrics[..., split:] @ weights) / weights.sum()


def best_proposal(logits: Float[Tensor, "b n 8"], poses: Float[Tensor, "b n k 3"]) -> Float[Tensor, "b k 3"]:
    """Select each sample's proposal with the highest predicted score."""
    chosen = expected_score(logits.sigmoid()).argmax(dim=1)
    return poses[torch.arange(len(poses), device=poses.device), chosen]
