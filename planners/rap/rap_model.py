"""RAP network: backbone, neck, decoder and scorer."""

from typing import ClassVar

from swerve.planners.learning.backbone import build_backbone
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.model import ModelOutput, PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.neck import Neck
from swerve.planners.rap.decoder import Decoder
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.scorer import Scorer


class RapModel(PlannerModel):
    """RAP network.

    A sample's output does not depend on what else is in its batch, except for the order of floating-point sums.

    Args of the constructor: config; whether to read the backbone's weights.
    """

    family: ClassVar[str] = "rap"
    config_class: ClassVar[type[ModelConfig]] = RapConfig
    config: RapConfig

    def __init__(self, config: RapConfig, weights: bool = True) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config, weights)
        self.neck = Neck(config, self.backbone.width, self.backbone.patch)
        self.decoder = Decoder(config)
        self.scorer = Scorer(config)

    def forward(self, inputs: ModelInput) -> ModelOutput:
        """Compute proposals and their sub-scores."""
        features = self.backbone(inputs.images.flatten(0, 1)).unflatten(0, inputs.images.shape[:2])
        content, placed = self.neck(features, inputs.rig)
        rounds, queries = self.decoder(placed, inputs)
        return ModelOutput(rounds, self.scorer(queries), features, content)
