"""Every size and weight of RAP, in one place."""

import json
import types
import typing
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

import numpy as np

from swerve.eval.scoring.sub_scores import Metric
from swerve.scenes import SwerveError

Direction = Literal["real-to-raster", "raster-to-real", "both"]
TINY_BACKBONE: Final = "tiny"
HUB: Final = "hub"
_SHORTEST: Final = 4.0
_POSITIVE: Final = ("height", "width", "dim", "hidden", "heads", "layers", "rounds", "proposals", "poses", "interval")
_SHARES: Final = ("dropout", "round_decay", "teacher_decay", "align_from")


@dataclass(frozen=True)
class RapConfig:
    """The planner and its losses. Defaults are those of the paper (Feng et al., "RAP", arXiv 2510.04333).

    Where the paper and its released code differ, it is the paper's number, but for what is not published (heights of
    the sampled points, share of earlier rounds), which is the code's.

    Attributes:
        cameras: names, in the order in which images are given.
        height: pixels of every image.
        width: pixels of every image.
        trim: shares cut off from images before they are resized, see `swerve.data.stream.image_fit.ImageFit`.
        backbone: a model of timm (`vit_huge_plus_patch16_dinov3`, `vit_small_patch14_dinov2`, ...), or `tiny`.
        backbone_weights: a file of timm's weights, `hub` to download them, None to begin at random.
        frozen: whether the backbone stays as it is.
        dim: width of queries and image features.
        hidden: width of the layers within.
        heads: of attention.
        layers: of attention per round.
        rounds: of refinement; all share their weights. The poses of the first do not depend on the images, so that a
            planner of a single round drives blind, and only scores what it sees.
        proposals: trajectories that are proposed.
        poses: of each.
        interval: seconds between poses.
        heights: metres above ground of the points at which a pose looks, at each corner of the body.
        dropout: in the decoder.
        round_decay: weight of a round's imitation loss against the next one's.
        imitation_weight: of winner-takes-all imitation.
        score_weight: of the sub-scores' cross entropy.
        metric_weights: of each sub-score in it, columns as in `swerve.eval.Metric`.
        cross_agent_weight: of the imitation loss of cross-agent samples; others have 1.
        spatial_weight: of the distance of features between an image's two looks, over their spread; the paper's number
            is for a plain distance.
        global_weight: of the domain classifier.
        reversal_scale: largest factor by which the classifier's gradient is reversed.
        classifier_hidden: widths of the classifier's two hidden layers.
        direction: which look's features are moved towards the other's.
        teacher_decay: share of the neck's slow copy that stays at each step.
        align_from: share of training that is over before alignment begins. A backbone that starts at random must have
            learned to see: features that say nothing are alike at once, and then stay so (docs/ablation.md).
    """

    cameras: tuple[str, ...] = ("back", "front", "left", "right")
    height: int = 448
    width: int = 768
    trim: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    backbone: str = "vit_huge_plus_patch16_dinov3"
    backbone_weights: str | None = HUB
    frozen: bool = True
    dim: int = 1280
    hidden: int = 1024
    heads: int = 8
    layers: int = 2
    rounds: int = 4
    proposals: int = 64
    poses: int = 10
    interval: float = 0.5
    heights: tuple[float, ...] = (-2.0, 2.0 / 3.0, 10.0 / 3.0, 6.0)
    dropout: float = 0.1
    round_decay: float = 0.1
    imitation_weight: float = 1.0
    score_weight: float = 1.0
    metric_weights: tuple[float, ...] = (1.0,) * len(Metric)
    cross_agent_weight: float = 0.1
    spatial_weight: float = 0.002
    global_weight: float = 0.1
    reversal_scale: float = 0.1
    classifier_hidden: int = 512
    direction: Direction = "real-to-raster"
    teacher_decay: float = 0.999
    align_from: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_range(field.name, getattr(self, field.name))
        if self.dim % self.heads:
            raise SwerveError(f"rap: dim is {self.dim}, it must be a multiple of heads ({self.heads})")
        if self.poses * self.interval < _SHORTEST - 1e-6:
            raise SwerveError(f"rap: {self.poses} poses every {self.interval} s end before {_SHORTEST:g} s")
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise SwerveError(f"rap: cameras are {list(self.cameras)}; they must be one or more, each named once")
        if len(self.metric_weights) != len(Metric) or not self.heights:
            raise SwerveError(f"rap: needs {len(Metric)} metric_weights, and a height")

    @classmethod
    def tiny(cls, **changes: Any) -> "RapConfig":  # noqa: ANN401 values of the fields
        """A planner that trains in seconds on a processor; any field can be changed."""
        small: dict[str, Any] = {
            "cameras": ("front",),
            "height": 48,
            "width": 80,
            "backbone": TINY_BACKBONE,
            "backbone_weights": None,
            "frozen": False,
            "dim": 64,
            "hidden": 128,
            "heads": 4,
            "layers": 1,
            "rounds": 2,
            "proposals": 8,
            "poses": 8,
            "heights": (0.0, 1.5),
            "dropout": 0.0,
            "classifier_hidden": 32,
            "teacher_decay": 0.99,
        }
        return cls(**{**small, **changes})

    def to_json(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: object) -> "RapConfig":
        """The config that `to_json` wrote.

        Raises:
            SwerveError: a field is missing, unknown or of the wrong type.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            given = set(content) if isinstance(content, dict) else set()
            raise SwerveError(f"rap: the config lacks {sorted(names - given)}, does not know {sorted(given - names)}")
        values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in content.items()}
        for field in fields(cls):
            _check_type(field.name, values[field.name], field.type)
        return cls(**values)

    def __str__(self) -> str:
        return json.dumps(self.to_json(), sort_keys=True)


def _check_range(name: str, value: Any) -> None:  # noqa: ANN401 of any field
    """Sizes are positive, weights not negative, shares between 0 and 1.

    Raises:
        SwerveError: a number is outside.
    """
    if name in (*_POSITIVE, "classifier_hidden") and not value > 0:
        raise SwerveError(f"rap: {name} is {value}, it must be above 0")
    if name in _SHARES and not 0 <= value <= 1:
        raise SwerveError(f"rap: {name} is {value}, it must be between 0 and 1")
    if name.endswith(("_weight", "_weights", "_scale")) and name != "backbone_weights" and not np.min(value) >= 0:
        raise SwerveError(f"rap: {name} is {value}, it must not be below 0")


def _check_type(name: str, value: object, kind: Any) -> None:  # noqa: ANN401 a type, or what typing makes of one
    """A value must be of its field's type; whole numbers pass for real ones.

    Raises:
        SwerveError: it is not.
    """
    if not _fits(value, kind):
        shown = getattr(kind, "__name__", None) if isinstance(kind, type) else None
        raise SwerveError(f"rap: {name} is {value!r}, it must be {shown or kind}")


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
