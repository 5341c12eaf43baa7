"""Configuration of ChainFlow."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from swerve.planners.learning.hidden_state_spec import HiddenStateSpec
from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError

Conditioning = Literal["none", "pooled", "hidden_states"]
_MOST_STEPS = 12


@dataclass(frozen=True)
class ChainFlowConfig(ModelConfig):
    """Sizes of ChainFlow and weights of its losses, after ChainFlow-VLA; `ModelConfig` has the shared fields.

    Attributes:
        modes: number of proposed trajectories.
        flow_layers: blocks of the flow.
        flow_steps: Euler steps in which the flow refines a trajectory, 12 at most.
        flow_noise: standard deviation of the noise that is added to the flow's input, in units of usual distances.
        flow_weight: weight of the flow matching loss.
        conditioning: what the flow attends to: none; pooled image features; or hidden_states, of a vision-language
            model for the same images (`swerve hidden-states`).
        vlm_digest: SHA-256 of the files of that model; this and the following are taken from the store in training.
        vlm_layer: layer whose states are taken.
        vlm_tokens: number of tokens.
        vlm_prompt: text that follows the images.
        vlm_width: dimension of the states.
        pooled: rows and columns of the pooled features of an image.
        scorer_layers: attention layers of the scorer.
    """

    family: ClassVar[str] = "chainflow"
    refinement_decay: float = 1.0
    modes: int = 64
    flow_layers: int = 4
    flow_steps: int = 4
    flow_noise: float = 0.05
    flow_weight: float = 1.0
    conditioning: Conditioning = "pooled"
    vlm_digest: str = ""
    vlm_layer: int = -1
    vlm_tokens: int = 16
    vlm_prompt: str = ""
    vlm_width: int = 0
    pooled: int = 4
    scorer_layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conditioning == "hidden_states" and not (self.vlm_width and self.vlm_tokens and self.vlm_digest):
            raise SwerveError(
                "chainflow: conditioning is hidden_states, of which there are none. Give --hidden-states FOLDER"
            )
        for name in ("modes", "flow_layers", "flow_steps", "pooled", "scorer_layers"):
            if not getattr(self, name) > 0:
                raise SwerveError(f"chainflow: {name} is {getattr(self, name)}, it must be above 0")
        if self.flow_steps > _MOST_STEPS or self.flow_noise < 0:
            raise SwerveError(
                f"chainflow: flow_steps is {self.flow_steps}, at most {_MOST_STEPS}; flow_noise is {self.flow_noise}, "
                "0 or more"
            )

    @property
    def hidden_states(self) -> HiddenStateSpec | None:
        """Return the hidden states that the flow attends to, if any."""
        if self.conditioning != "hidden_states":
            return None
        return HiddenStateSpec(self.vlm_digest, self.vlm_layer, self.vlm_tokens, self.vlm_prompt, self.vlm_width)

    @property
    def loss_weights(self) -> dict[str, float]:
        """Return the weights of the losses, with that of the flow."""
        return {**super().loss_weights, "flow": self.flow_weight}

    @classmethod
    def _small(cls) -> dict[str, Any]:
        own = {"modes": 4, "flow_layers": 1, "flow_steps": 2, "pooled": 2, "scorer_layers": 1}
        return {**super()._small(), **own}
