"""Configuration of RAP: all sizes and weights."""

from dataclasses import dataclass
from typing import Any, ClassVar

from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class RapConfig(ModelConfig):
    """Sizes of RAP and weights of its losses. Defaults are the paper's (Feng et al., arXiv 2510.04333).

    Where the paper and its released code differ, the paper's number is used, except for unpublished ones (heights of
    the sampled points, weight of earlier refinements), which are the code's. `ModelConfig` has the fields that
    all families share.

    Attributes:
        refinement_layers: number of attention layers per refinement round.
        refinement_rounds: number of refinement rounds; all share their weights. The poses of the first do not depend on
            the images, so that a planner with a single one plans blind, and uses images for scoring only.
        proposals: number of proposed trajectories.
        heights: metres above ground of the sampling points of a pose, at each corner of the body.
        activation_checkpointing: whether activations of the refinement layers are computed again for the gradient
            instead of kept: less memory, more time, the same result.
        visible_queries: whether each camera is sampled only for the queries that it shows: less memory with several
            cameras, the same result but for the order of sums; it waits for the GPU and breaks graphs of torch.compile.
        anchors: number of proposals of a vocabulary beside them: k-means of the set's target trajectories.
        profiles: whether the vocabulary has speed profiles along the present curve as well, from an emergency stop on.
        residuals: whether the vocabulary's proposals are refined. They are then scored in every step; else their exact
            sub-scores are computed once per sample, and stored.
        scorer_layers: attention layers of a scorer of plans, which attends to the images for each proposal; 0 for the
            paper's, which sees the queries of learned proposals alone. A vocabulary needs one.
        scorer_at_poses: whether that scorer also gets the image features at each pose of a plan, as the decoder's
            queries do; the attention layers alone must find out where in the images a plan leads.
    """

    family: ClassVar[str] = "rap"
    refinement_layers: int = 2
    refinement_rounds: int = 4
    proposals: int = 64
    heights: tuple[float, ...] = (-2.0, 2.0 / 3.0, 10.0 / 3.0, 6.0)
    activation_checkpointing: bool = False
    visible_queries: bool = False
    anchors: int = 0
    profiles: bool = False
    residuals: bool = False
    scorer_layers: int = 0
    scorer_at_poses: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("refinement_layers", "refinement_rounds", *(() if self.has_vocabulary else ("proposals",)))
        for name in names:
            if not getattr(self, name) > 0:
                raise SwerveError(f"rap: {name} is {getattr(self, name)}, it must be above 0")
        if self.has_vocabulary and not self.scorer_layers:
            raise SwerveError("rap: a vocabulary (anchors, profiles) needs scorer_layers above 0")
        if self.scorer_at_poses and not self.scorer_layers:
            raise SwerveError("rap: scorer_at_poses needs scorer_layers above 0; the paper's scorer has these features")
        if not (self.proposals or self.residuals or self.score_weight or self.ranking_weight):
            raise SwerveError(
                "rap: a fixed vocabulary alone learns from sub-scores only: give contexts, and score_weight or "
                "ranking_weight above 0"
            )
        if self.residuals and not self.has_vocabulary:
            raise SwerveError("rap: residuals refine a vocabulary: set anchors, profiles or both")
        if not self.heights:
            raise SwerveError("rap: needs a height")

    @property
    def has_vocabulary(self) -> bool:
        """Return whether there are proposals of a vocabulary."""
        return self.anchors > 0 or self.profiles

    @property
    def loss_weights(self) -> dict[str, float]:
        """Return the weights of the losses; residuals imitate, too."""
        return {**super().loss_weights, "residual": self.imitation_weight}

    @classmethod
    def _small(cls) -> dict[str, Any]:
        own = {"refinement_layers": 1, "refinement_rounds": 2, "proposals": 8, "heights": (0.0, 1.5)}
        return {**super()._small(), **own}
