"""RAP network: backbone, neck, decoder and scorer, and a vocabulary beside the decoder's proposals."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from swerve.planners.learning.backbone import build_backbone
from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.model import ModelOutput, PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.neck import Neck
from swerve.planners.learning.plan_scorer import PlanScorer
from swerve.planners.learning.reduction import averaged_over
from swerve.planners.learning.training_batch import TrainingBatch
from swerve.planners.learning.vocabulary import Vocabulary, residual_loss
from swerve.planners.rap.decoder import Decoder
from swerve.planners.rap.pose_features import PoseFeatures
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
        self.decoder = Decoder(config) if config.proposals else None
        self.scorer = PlanScorer(config, config.scorer_layers) if config.scorer_layers else Scorer(config)
        self.pose_features = PoseFeatures(config) if config.scorer_at_poses else None
        self.vocabulary = (
            Vocabulary(config, config.anchors, config.profiles, config.residuals) if config.has_vocabulary else None
        )

    def forward(self, inputs: ModelInput) -> ModelOutput:
        """Compute proposals and their sub-scores."""
        features = self.backbone(inputs.images.flatten(0, 1)).unflatten(0, inputs.images.shape[:2])
        content, placed = self.neck(features, inputs.rig)
        if isinstance(self.scorer, Scorer):
            assert self.decoder is not None
            refinements, queries = self.decoder(placed, inputs)
            return ModelOutput(refinements, self.scorer(queries), features, content, placed=placed)
        if self.decoder is None:
            refinements = placed.new_zeros(1, len(inputs), 0, self.config.poses, 3, dtype=torch.float32)
        else:
            refinements, _ = self.decoder(placed, inputs)
        base, anchored = self._anchored(self.scorer, placed, inputs)
        poses = refinements[-1] if anchored is None else torch.cat([refinements[-1], anchored], dim=1)
        plans = self.scorer.embedding(poses)
        if self.pose_features is not None:
            plans = self.pose_features(plans, poses.float(), placed, inputs)
        logits = self.scorer(plans, placed, inputs)
        return ModelOutput(refinements, logits, features, content, anchored, placed, base)

    def extra_losses(self, output: ModelOutput, batch: TrainingBatch) -> Mapping[str, Float[Tensor, ""]]:
        """Compute the imitation loss of the vocabulary's residuals."""
        if not (self.config.residuals and self.config.imitation_weight):
            return {}
        assert output.anchored is not None
        weight = torch.where(batch.cross_agent, self.config.cross_agent_weight, 1.0) * batch.valid.any(dim=1)
        if self.config.importance_weights:
            weight = weight * batch.weight
        distances = residual_loss(output.extras, output.anchored, batch.targets, batch.valid)
        return {"residual": averaged_over((distances * weight).sum(), weight.sum())}

    def _anchored(
        self, scorer: PlanScorer, placed: Float[Tensor, "b c d p q"], inputs: ModelInput
    ) -> tuple[Float[Tensor, "b a k 3"] | None, Float[Tensor, "b a k 3"] | None]:
        """Return the vocabulary's proposals without and with residuals; None without a vocabulary."""
        if self.vocabulary is None:
            return None, None
        base = self.vocabulary.proposals(inputs.motion)
        if self.vocabulary.is_fixed:
            return base, base
        scene = placed.mean(dim=(1, 3, 4)) + scorer.status(inputs.status)
        return base, self.vocabulary.refined(base, scorer.embedding(base), scene)
