"""Networks of trained planners: modules that map inputs to proposals, with logits of their sub-scores."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swerve.planners.learning.inputs import ModelInput
from swerve.planners.learning.model_config import ModelConfig

if TYPE_CHECKING:
    from swerve.planners.learning.training_batch import TrainingBatch


@dataclass(frozen=True)
class ModelOutput:
    """Proposals of a batch.

    Attributes:
        refinements: poses (x, y, heading; ego frame) of the learned proposals after each refinement round; the last are
            the final ones.
        logits: logits of the sub-scores of `poses`, columns as in `Metric`.
        features: features of the backbone, for alignment; None without images.
        content: content features of the neck, without position embedding; None without images.
        placed: features of the images with position embedding, which auxiliary heads look at in training; None without.
        anchored: poses of the vocabulary's proposals, with learned residuals if any; none if None.
        extras: whatever the model's own `extra_losses` needs of its forward pass.
    """

    refinements: Float[Tensor, "r b n k 3"]
    logits: Float[Tensor, "b m 8"]
    features: Float[Tensor, "b c f p q"] | None = None
    content: Float[Tensor, "b c d p q"] | None = None
    anchored: Float[Tensor, "b a k 3"] | None = None
    placed: Float[Tensor, "b c d p q"] | None = None
    extras: Any = None

    @property
    def poses(self) -> Float[Tensor, "b m k 3"]:
        """All proposals: the final learned ones, then those of the vocabulary."""
        learned = self.refinements[-1]
        return learned if self.anchored is None else torch.cat([learned, self.anchored], dim=1)


class PlannerModel(nn.Module):
    """Base of all trained networks. A subclass sets `family` and `config_class`, and defines `forward`.

    With images it has `backbone` and `neck`, whose features are then aligned. Its constructor takes the config, and
    whether to read the backbone's weights; `register` makes it known.

    Attributes:
        family: name in planner files.
        config_class: class of its config, with the same `family`.
        config: its config.
    """

    family: ClassVar[str]
    config_class: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig, weights: bool = True) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, inputs: ModelInput) -> ModelOutput:
        """Compute proposals, and logits of their sub-scores."""

    def extra_losses(self, output: ModelOutput, batch: "TrainingBatch") -> Mapping[str, Float[Tensor, ""]]:
        """Compute losses of this model alone, unweighted, by name; the config's `loss_weights` has their weights."""
        return {}
