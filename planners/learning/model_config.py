"""Configuration that all trained planners share: images, backbone, poses, and weights of losses."""

import json
import re
import types
import typing
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Final, Literal, TypeVar

import numpy as np

from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.hidden_state_spec import HiddenStateSpec
from swerve.scenes import SwerveError
from swerve.scenes.past_frames import split_past_name

Direction = Literal["real-to-raster", "raster-to-real", "both"]
Target = Literal["stored", "expert"]
Auxiliary = Literal["agents", "drivable"]
TINY_BACKBONE: Final = "tiny"
TINY_PATCH: Final = 8
HUB: Final = "hub"
_SHORTEST: Final = 4.0
_POSITIVE: Final = (
    "image_height",
    "image_width",
    "dim",
    "mlp_dim",
    "heads",
    "poses",
    "interval",
)
# Bounds of sizes and of numbers of layers: a file could otherwise ask for any amount of memory.
_LARGEST: Final = 2**16
_DEPTHS: Final = ("refinement_layers", "refinement_rounds", "flow_layers", "scorer_layers")
_DEEPEST: Final = 64
_SHARES: Final = (
    "dropout",
    "status_dropout",
    "color_jitter",
    "grid_mask",
    "refinement_decay",
    "teacher_ema_decay",
    "alignment_start",
)
C = TypeVar("C", bound="ModelConfig")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and weights that all trained planners share; a family adds its own. Defaults are those of RAP's paper.

    Attributes:
        cameras: camera names, in the order of the images; none for planners without images. `front@0.5` is camera front
            0.5 s ago, if the set has past frames (`swerve augment --past-frames`).
        image_height: image height, pixels.
        image_width: image width, pixels.
        trim: shares cropped from images before resizing, see `swerve.data.stream.image_fit.ImageFit`.
        backbone: timm model (`vit_huge_plus_patch16_dinov3`, `vit_small_patch14_dinov2`, ...), or `tiny`.
        backbone_weights: a file of timm's weights, `hub` to download them, None for random initialisation.
        freeze_backbone: whether the backbone is excluded from training.
        lora_rank: rank of trained additions to a frozen backbone's attention and MLP layers; 0 for none.
        dim: dimension of queries and image features.
        mlp_dim: dimension of the hidden layers of MLPs.
        heads: number of attention heads.
        poses: number of poses of a proposal.
        interval: seconds between poses.
        dropout: dropout rate of attention blocks.
        status_dropout: share of training samples whose ego status is hidden from the network.
        color_jitter: largest change of brightness, contrast and colours of training images, relative.
        grid_mask: share of training views in which squares of a grid are hidden.
        target: what is imitated: stored, the sample's target, which is a way back where there is one; or expert, the
            pseudo-expert of samples that have one, beside whose target it is stored.
        refinement_decay: weight of a refinement round's imitation loss relative to the next one's.
        imitation_weight: weight of the winner-takes-all imitation loss.
        score_weight: weight of the sub-scores' cross entropy.
        metric_weights: weight of each sub-score in it, columns as in `swerve.eval.Metric`.
        ranking_weight: weight of the pairwise ranking loss of a scene's proposals.
        selection_exponents: exponents of the multiplicative sub-scores when a proposal is chosen; 1 is EPDMS.
        selection_weights: weights of the averaged sub-scores then, relative to those of EPDMS.
        auxiliary: heads that are trained beside the planner, and left out of it: agents, boxes and velocities of road
            users; drivable, drivable area. Both on a grid around the ego, as far as it is seen; they need contexts.
        agents_weight: weight of the loss of the agents' head.
        drivable_weight: weight of the loss of the drivable area's head.
        cross_agent_weight: weight of cross-agent samples in the imitation loss; others have 1.
        importance_weights: whether samples count by the set's `weight`, which makes up for recoveries that were
            rejected, in the imitation and score losses.
        spatial_weight: weight of the distance of features between an image's two domains, over their variance; the
            paper's number is for a plain distance.
        domain_weight: weight of the domain classifier's loss.
        reversal_scale: largest scale of the classifier's reversed gradient.
        domain_classifier_dim: dimension of the domain classifier's two hidden layers.
        direction: domain whose features are aligned to the other's.
        teacher_ema_decay: decay per step of the neck's moving average, the teacher of spatial alignment.
        alignment_start: share of training before alignment begins. A randomly initialised backbone must first be
            trained: uninformative features are aligned at once, and then stay so (docs/learned_planners.md).
    """

    family: ClassVar[str]
    cameras: tuple[str, ...] = ("back", "front", "left", "right")
    image_height: int = 448
    image_width: int = 768
    trim: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    backbone: str = "vit_huge_plus_patch16_dinov3"
    backbone_weights: str | None = HUB
    freeze_backbone: bool = True
    lora_rank: int = 0
    dim: int = 1280
    mlp_dim: int = 1024
    heads: int = 8
    poses: int = 10
    interval: float = 0.5
    dropout: float = 0.1
    status_dropout: float = 0.0
    color_jitter: float = 0.0
    grid_mask: float = 0.0
    target: Target = "stored"
    refinement_decay: float = 0.1
    imitation_weight: float = 1.0
    score_weight: float = 1.0
    metric_weights: tuple[float, ...] = (1.0,) * len(Metric)
    ranking_weight: float = 0.0
    selection_exponents: tuple[float, ...] = (1.0,) * int(Metric.EGO_PROGRESS)
    selection_weights: tuple[float, ...] = (1.0,) * (len(Metric) - int(Metric.EGO_PROGRESS))
    auxiliary: tuple[Auxiliary, ...] = ()
    agents_weight: float = 0.1
    drivable_weight: float = 1.0
    cross_agent_weight: float = 0.1
    importance_weights: bool = False
    spatial_weight: float = 0.002
    domain_weight: float = 0.1
    reversal_scale: float = 0.1
    domain_classifier_dim: int = 512
    direction: Direction = "real-to-raster"
    teacher_ema_decay: float = 0.999
    alignment_start: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_range(field.name, getattr(self, field.name))
        family = self.family
        if self.dim % self.heads:
            raise SwerveError(f"{family}: dim is {self.dim}, it must be a multiple of heads ({self.heads})")
        if self.poses * self.interval < _SHORTEST - 1e-6:
            raise SwerveError(f"{family}: {self.poses} poses every {self.interval} s end before {_SHORTEST:g} s")
        self._check_cameras()
        if self.auxiliary and not self.cameras:
            raise SwerveError(f"{family}: auxiliary heads look at images, and this network has no cameras")
        if len(set(self.auxiliary)) < len(self.auxiliary):
            raise SwerveError(f"{family}: auxiliary is {list(self.auxiliary)}; name each head once")
        lengths = [len(one) for one in (self.metric_weights, self.selection_exponents, self.selection_weights)]
        multiplied = int(Metric.EGO_PROGRESS)
        if lengths != [len(Metric), multiplied, len(Metric) - multiplied]:
            raise SwerveError(
                f"{family}: needs {len(Metric)} metric_weights, {multiplied} selection_exponents and "
                f"{len(Metric) - multiplied} selection_weights, got {lengths}"
            )

    def _check_cameras(self) -> None:
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise SwerveError(
                f"{self.family}: cameras are {list(self.cameras)}; they must be one or more, each named once"
            )
        for name in self.cameras:
            split_past_name(name)

    @property
    def hidden_states(self) -> HiddenStateSpec | None:
        """Return the hidden states that inputs have, see `ModelInput.hidden`; None without."""
        return None

    @property
    def loss_weights(self) -> dict[str, float]:
        """Return the weight of each loss in the total, by the loss's name; those of unlisted losses are 1."""
        names = ("imitation", "score", "spatial", "domain", "ranking", "agents", "drivable")
        return {name: getattr(self, f"{name}_weight") for name in names}

    def _check_range(self, name: str, value: Any) -> None:  # noqa: ANN401 of any field
        """Check ranges: sizes are positive, weights not negative, shares between 0 and 1.

        Raises:
            SwerveError: a value is out of range.
        """
        where = f"{self.family}: {name} is {value}, it must"
        if name in (*_POSITIVE, "domain_classifier_dim") and not value > 0:
            raise SwerveError(f"{where} be above 0")
        if type(value) is int and value < 0 and name != "vlm_layer":
            raise SwerveError(f"{where} not be below 0")
        if type(value) is int and value > (_DEEPEST if name in _DEPTHS else _LARGEST):
            raise SwerveError(f"{where} not be above {_DEEPEST if name in _DEPTHS else _LARGEST}")
        if isinstance(value, (float, tuple)) and not _is_finite(value):
            raise SwerveError(f"{where} be finite")
        if name in _SHARES and not 0 <= value <= 1:
            raise SwerveError(f"{where} be between 0 and 1")
        weighs = name.endswith(("_weight", "_weights", "_scale", "_exponents")) and name != "backbone_weights"
        if weighs and not np.min(value) >= 0:
            raise SwerveError(f"{where} not be below 0")

    @classmethod
    def tiny(cls: "type[C]", **changes: Any) -> "C":  # noqa: ANN401 values of the fields
        """Return a config that trains in seconds on a CPU; any field can be changed."""
        return cls(**{**cls._small(), **changes})

    @classmethod
    def _small(cls) -> dict[str, Any]:
        return {
            "cameras": ("front",),
            "image_height": 48,
            "image_width": 80,
            "backbone": TINY_BACKBONE,
            "backbone_weights": None,
            "freeze_backbone": False,
            "dim": 64,
            "mlp_dim": 128,
            "heads": 4,
            "poses": 8,
            "dropout": 0.0,
            "domain_classifier_dim": 32,
            "teacher_ema_decay": 0.99,
        }

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls: "type[C]", content: object) -> "C":
        """Build the config from the result of `to_json`; fields that an older program did not know get their defaults.

        Raises:
            SwerveError: a field is unknown or of the wrong type.
        """
        own = {field.name: field for field in fields(cls)}
        if not isinstance(content, dict):
            raise SwerveError(f"{cls.family}: the config is not an object with fields")
        if unknown := sorted(set(content) - set(own)):
            near = [one for name in unknown for one in get_close_matches(name, own, 1)]
            hint = f"; perhaps {', '.join(near)}" if near else ""
            raise SwerveError(f"{cls.family}: the config has unknown fields {unknown}{hint}")
        values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in content.items()}
        for name, value in values.items():
            _check_type(cls.family, name, value, own[name].type)
        return cls(**values)

    def __str__(self) -> str:
        return json.dumps(self.to_json(), sort_keys=True)


def patch_of(config: ModelConfig) -> int:
    """Return the side length of the backbone's patches, pixels; 0 if a timm model has no `patch` in its name."""
    found = re.search(r"patch(\d+)", config.backbone)
    return TINY_PATCH if config.backbone == TINY_BACKBONE else int(found[1]) if found else 0


def _is_finite(value: float | tuple[Any, ...]) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(isinstance(one, str) or bool(np.isfinite(one)) for one in numbers)


def _check_type(family: str, name: str, value: object, kind: Any) -> None:  # noqa: ANN401 a type, or what typing makes of one
    """Check that a value has its field's type; integers are accepted as floats.

    Raises:
        SwerveError: the type is wrong.
    """
    if not _fits(value, kind):
        shown = getattr(kind, "__name__", None) if isinstance(kind, type) else None
        raise SwerveError(f"{family}: {name} is {value!r}, it must be {shown or kind}")


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 see _check_type
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        long_enough = inner[-1] is Ellipsis or (isinstance(value, tuple) and len(value) == len(inner))
        return isinstance(value, tuple) and long_enough and all(_fits(one, inner[0]) for one in value)
    if origin is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind
