"""The scorer: what each proposal is worth, sub-score by sub-score, as the network sees it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.thresholds import HISTORY_COMFORT_WEIGHT, LANE_KEEPING_WEIGHT, PROGRESS_WEIGHT, TTC_WEIGHT
from swerve.planners.rap.layers import perceptron
from swerve.planners.rap.rap_config import RapConfig

_WEIGHTS = (PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT)


class Scorer(nn.Module):
    """From the queries of a proposal's poses to its sub-scores, columns as in `Metric`.

    The poses' queries are joined by their largest values, as in the original; unlike it, no further output stands for
    the score as a whole: that follows from the sub-scores.
    """

    def __init__(self, config: RapConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.head = perceptron(config.dim, config.hidden, config.hidden, len(Metric))

    def forward(self, queries: Float[Tensor, "b n k d"]) -> Float[Tensor, "b n 8"]:
        """Logits of the sub-scores."""
        return self.head(self.norm(queries).amax(dim=2)).float()


def expected_score(metrics: Float[Tensor, "*b 8"]) -> Float[Tensor, "*b"]:
    """EPDMS without extended comfort, of sub-scores between 0 and 1: `scoring.sub_scores.pdm_score` in torch."""
    split = int(Metric.EGO_PROGRESS)
    weights = metrics.new_tensor(_WEIGHTS)
    return metrics[..., :split].prod(dim=-1) * (metrics[..., split:] @ weights) / weights.sum()


def best(logits: Float[Tensor, "b n 8"], poses: Float[Tensor, "b n k 3"]) -> Float[Tensor, "b k 3"]:
    """Of each sample's proposals, the one with the highest expected score."""
    chosen = expected_score(logits.sigmoid()).argmax(dim=1)
    return poses[torch.arange(len(poses), device=poses.device), chosen]
