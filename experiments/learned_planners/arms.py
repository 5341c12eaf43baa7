"""Arms of the experiment: training recipes and networks, with the samples of a step of each kind."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from swerve.data.stream import Part
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig
from swerve.planners.chainflow import ChainFlowConfig
from swerve.planners.learning import ModelConfig
from swerve.planners.rap import RapConfig

CAMERAS: Final = ("front",)
SIZE: Final = (80, 48)
REFERENCES: Final = ("constant-velocity", "stationary", "pdm-closed")


@dataclass(frozen=True)
class Arm:
    """A training recipe.

    Attributes:
        name: name in tables.
        parts: samples of a step; shares are numbers of samples.
        changes: changes to the config.
        family: network.
        blind: whether all images are black, in training and evaluation.
        towns: of the training towns, how many are used, the first ones; None for all.
    """

    name: str
    parts: tuple[Part, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    family: str = "rap"
    blind: bool = False
    towns: int | None = None

    @property
    def batch(self) -> int:
        """Return the samples of a step."""
        return round(sum(part.share for part in self.parts))


LOGGED, PAIRED = Part("paired", 8.0, "photo"), Part("paired", 8.0, "both")
RECOVERY, CROSS, FOLLOW_UP, VISITED = (
    Part("recovery", 4.0),
    Part("cross_agent", 4.0),
    Part("follow_up", 8.0),
    Part("visited", 8.0),
)
ALIGNED: Final = {"spatial_weight": 0.1, "domain_weight": 0.1, "reversal_scale": 1.0}
RECIPE: Final = (PAIRED, RECOVERY, CROSS, FOLLOW_UP)

ARMS: Final = (
    Arm("photographs", (LOGGED,)),
    Arm("photographs, 3x", (Part("paired", 24.0, "photo"),)),
    Arm("+ recovery", (PAIRED, RECOVERY)),
    Arm("+ cross-agent", (PAIRED, RECOVERY, CROSS)),
    Arm("+ alignment", (PAIRED, RECOVERY, CROSS), ALIGNED),
    Arm("+ follow-up", RECIPE, ALIGNED),
    Arm("+ follow-up, 40 towns", RECIPE, ALIGNED, towns=40),
    Arm("follow-up, blind", RECIPE, blind=True),
    Arm("+ visited", (PAIRED, RECOVERY, CROSS, FOLLOW_UP, VISITED), ALIGNED),
    Arm("ChainFlow", RECIPE, ALIGNED, family="chainflow"),
    Arm("ego-MLP", RECIPE, family="ego-mlp"),
)
# Not of the rules: what stands in the way, and the two parts of alignment for docs/alignment.md.
DIAGNOSIS: Final = (
    Arm("+ follow-up, 10 towns", RECIPE, ALIGNED, towns=10),
    Arm("+ follow-up, trained backbone", RECIPE, {**ALIGNED, "freeze_backbone": False}),
    Arm("+ follow-up, at poses", RECIPE, {**ALIGNED, "scorer_at_poses": True}),
    Arm("+ spatial alignment", (PAIRED, RECOVERY, CROSS), {**ALIGNED, "domain_weight": 0.0}),
    Arm("+ domain alignment", (PAIRED, RECOVERY, CROSS), {**ALIGNED, "spatial_weight": 0.0}),
)
# Arm, and the arm that it is compared with.
COMPARED: Final = (
    ("photographs, 3x", "photographs"),
    ("+ recovery", "photographs"),
    ("+ cross-agent", "+ recovery"),
    ("+ alignment", "+ cross-agent"),
    ("+ follow-up", "+ alignment"),
    ("+ follow-up", "photographs"),
    ("+ follow-up", "photographs, 3x"),
    ("+ follow-up", "+ follow-up, 40 towns"),
    ("+ follow-up", "follow-up, blind"),
    ("+ visited", "+ follow-up"),
    ("+ visited", "photographs, 3x"),
    ("+ follow-up", "ChainFlow"),
    ("+ follow-up", "ego-MLP"),
    ("photographs", "constant-velocity"),
    ("photographs, 3x", "constant-velocity"),
    ("+ follow-up", "constant-velocity"),
    ("+ visited", "constant-velocity"),
    ("ChainFlow", "constant-velocity"),
    ("ego-MLP", "constant-velocity"),
    ("+ follow-up", "pdm-closed"),
    ("+ visited", "pdm-closed"),
)


def config_of(arm: Arm, backbone: Path) -> ModelConfig:
    """Return an arm's network: RAP with a scored vocabulary, or another family with as many weights."""
    scored = {"ranking_weight": 0.5, "spatial_weight": 0.0, "domain_weight": 0.0}
    images = {"cameras": CAMERAS, "image_width": SIZE[0], "image_height": SIZE[1]}
    images |= {"backbone_weights": str(backbone), "freeze_backbone": True}
    if arm.family == "ego-mlp":
        return EgoMlpConfig.tiny(**scored, mlp_dim=184, proposals=16)
    if arm.family == "chainflow":
        own = {"modes": 16, "flow_layers": 1, "scorer_layers": 1, "dim": 40, "mlp_dim": 96}
        return ChainFlowConfig.tiny(**{**scored, **images, **own, **arm.changes})
    vocabulary = {"proposals": 0, "anchors": 64, "profiles": True, "scorer_layers": 2, "imitation_weight": 0.0}
    return RapConfig.tiny(**{**scored, **images, **vocabulary, **arm.changes})
