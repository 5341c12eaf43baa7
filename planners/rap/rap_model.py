"""RAP network: backbone, neck, decoder and scorer."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from swerve.planners.rap.backbone import build_backbone
from swerve.planners.rap.decoder import Decoder
from swerve.planners.rap.inputs import RapInput
from swerve.planners.rap.neck import Neck
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.scorer import Scorer


@dataclass(frozen=True)
class RapOutput:
    """Network output of a batch.

    Attributes:
        rounds: poses (x, y, heading; ego frame) of the proposals after each round; the last are the final ones.
        logits: logits of the final proposals' sub-scores, columns as in `Metric`.
        features: features of the backbone.
        content: content features of the neck, without position embedding.
    """

    rounds: Float[Tensor, "r b n k 3"]
    logits: Float[Tensor, "b n 8"]
    features: Float[Tensor, "b c f p q"]
    content: Float[Tensor, "b c d p q"]

    @property
    def poses(self) -> Float[Tensor, "b n k 3"]:
        """Final proposals."""
        return self.rounds[-1]


class RapModel(nn.Module):
    """RAP network.

    A sample's output does not depend on what else is in its batch, except for the order of floating-point sums.

    Args of the constructor: config; whether to read the backbone's weights.
    """

    def __init__(self, config: RapConfig, weights: bool = True) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config, weights)
        self.neck = Neck(config, self.backbone.width, self.backbone.patch)
        self.decoder = Decoder(config)
        self.scorer = Scorer(config)

    def forward(self, inputs: RapInput) -> RapOutput:
        """Compute proposals and their sub-scores."""
        features = self.backbone(inputs.images.flatten(0, 1)).unflatten(0, inputs.images.shape[:2])
        content, placed = self.neck(features, inputs.rig)
        rounds, queries = self.decoder(placed, inputs)
        return RapOutput(rounds, self.scorer(queries), features, content)
