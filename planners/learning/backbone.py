"""Image backbones: timm models by name, and a small vision transformer for tests and CPUs."""

import pickle
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from swerve.planners.learning.import_timm import require_timm
from swerve.planners.learning.layers import SelfAttentionBlock, fourier_features
from swerve.planners.learning.lora import adapt
from swerve.planners.learning.model_config import HUB, TINY_BACKBONE, TINY_PATCH, ModelConfig, patch_of
from swerve.scenes import SwerveError

# ImageNet's colour mean and standard deviation.
_COLORS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SOME = ("vit_small_patch16_dinov3", "vit_small_patch14_dinov2")
# Exceptions of libraries for invalid weight files.
_REFUSALS = (
    *(AttributeError, EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(pickle.UnpicklingError, safetensors.SafetensorError),
)
# Maximum length of a quoted foreign error message; some name all tensors of a network.
_TOLD = 200
_SAFE: Final = ".safetensors"
_TINY_WIDTH, _TINY_DEPTH, _TINY_HEADS = 48, 2, 4


Colors = tuple[tuple[float, float, float], tuple[float, float, float]]


class Backbone(nn.Module):
    """Image encoder: one feature vector per patch.

    A frozen backbone always stays in evaluation mode and has no gradients.

    Attributes:
        width: dimension of the features.
        patch: side length of a patch, pixels.
        frozen: whether it is excluded from training.
        adapted: whether it is frozen but for low-rank additions, see `adapt`.

    Args of the constructor: the network, then as above, then mean and standard deviation of the colours (0 to 1) that
    the network expects.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: nn.Module, width: int, patch: int, frozen: bool, colors: Colors = _COLORS) -> None:
        super().__init__()
        self.body, self.width, self.patch, self.frozen, self.adapted = body, width, patch, frozen, False
        for name, values in zip(("mean", "deviation"), colors, strict=True):
            self.register_buffer(name, 255 * torch.tensor(values)[:, None, None], persistent=False)
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode, except for frozen backbones."""
        return super().train(mode and not self.frozen)

    def forward(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Compute features of the images' patches, rows from the top, columns from the left."""
        values = (images.to(self.mean.dtype) - self.mean) / self.deviation
        features: Float[Tensor, "n f p q"]
        if self.frozen and not self.adapted:
            with torch.no_grad():
                features = self.body(values)
        else:
            features = self.body(values)
        return features


def build_backbone(config: ModelConfig, weights: bool = True) -> Backbone:
    """Build the backbone named by a config, with its low-rank additions if any; see `plain_backbone`."""
    backbone = plain_backbone(config, weights)
    if config.lora_rank:
        if not config.freeze_backbone:
            raise SwerveError(
                f"{config.family}: lora_rank is for frozen backbones: set freeze_backbone, or lora_rank to 0"
            )
        adapt(backbone.body, config.lora_rank)
        backbone.adapted = True
    return backbone


def plain_backbone(config: ModelConfig, weights: bool = True) -> Backbone:
    """Build the backbone named by a config.

    Args:
        config: config with the model, its weights, and the size of the images.
        weights: whether to read `config.backbone_weights`; not needed if a trained planner's are loaded afterwards.

    Raises:
        MissingExtraError: timm is not installed.
        SwerveError: the model is unknown, its weights are unavailable, or images are not a multiple of the patch size.
    """
    if config.backbone == TINY_BACKBONE:
        body = TinyVit(_TINY_WIDTH, TINY_PATCH, _TINY_DEPTH, _TINY_HEADS)
        if weights and config.backbone_weights is not None:
            _read_tiny(body, config.backbone_weights, config.family)
        _check_size(config, TINY_PATCH)
        return Backbone(body, _TINY_WIDTH, TINY_PATCH, config.freeze_backbone)
    return _of_timm(config, config.backbone_weights if weights else None)


class TinyVit(nn.Module):
    """Plain vision transformer (Dosovitskiy et al., 2021) without class token; sinusoidal position embeddings.

    Args of the constructor: token dimension, side length of a patch in pixels, blocks, heads.
    """

    def __init__(self, width: int, patch: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.blocks = nn.ModuleList([SelfAttentionBlock(width, 2 * width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.position_embedding = nn.Linear(width, width)
        self.width = width

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Compute features of patches."""
        maps = self.embed(images)
        _, _, rows, columns = maps.shape
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(maps)
        positions = self.position_embedding(fourier_features(grid / 8.0, self.width // 4))
        tokens = maps.flatten(2).transpose(1, 2) + positions
        for block in self.blocks:
            tokens = block(tokens)
        features: Float[Tensor, "n f p q"] = self.norm(tokens).transpose(1, 2).unflatten(2, (rows, columns))
        return features


class TimmBody(nn.Module):
    """Vision transformer of timm: its last block's normalised patch tokens, without class and register tokens."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 timm's vision transformers share no class
        super().__init__()
        self.model = model

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Compute features of patches."""
        maps: list[Float[Tensor, "n f p q"]] = self.model.forward_intermediates(
            images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return maps[0]


def _read_tiny(body: nn.Module, path: str, family: str) -> None:
    """Load the small transformer's weights from a safetensors file, with the names of its `state_dict`.

    Raises:
        SwerveError: the file is missing, or holds other tensors.
    """
    try:
        body.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise SwerveError(
            f"{family}: backbone_weights: {path} cannot be read as weights of backbone {TINY_BACKBONE} "
            f"({str(error).splitlines()[0]}). There are none to download: give a file of your own, or null"
        ) from error


def _of_timm(config: ModelConfig, weights: str | None) -> Backbone:
    """Build a timm model with its weights."""
    timm, name = require_timm(), config.backbone
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models("*patch*"), 5, 0.6)
        raise SwerveError(
            f"{config.family}: timm has no backbone {name!r}. Similar models: {', '.join(close or _SOME)}"
        )
    if weights is not None and weights != HUB:
        _check_file(config, weights)
    patch = patch_of(config)
    if patch:
        _check_size(config, patch)
    model = _made(timm, config, weights) if patch else None
    if model is None or model.feature_info[-1]["reduction"] != patch:
        raise SwerveError(f"{config.family}: backbone {name} is not a vision transformer with square patches")
    # The weights read would otherwise stay in memory twice.
    model.pretrained_cfg.pop("state_dict", None)
    colors = tuple(model.pretrained_cfg["mean"]), tuple(model.pretrained_cfg["std"])
    return Backbone(TimmBody(model), model.embed_dim, patch, config.freeze_backbone, colors)


def _check_file(config: ModelConfig, weights: str) -> None:
    """Check that a file of weights exists, and is named as safetensors.

    Raises:
        SwerveError: otherwise.
    """
    where, instead = f"{config.family}: backbone_weights:", _instead(config.backbone)
    if not Path(weights).is_file():
        raise SwerveError(f"{where} there is no file {weights}. {instead}")
    if Path(weights).suffix != _SAFE:
        raise SwerveError(
            f"{where} {weights} is no {_SAFE} file: other formats are pickles, which can run a program when they are "
            f"opened. {instead}"
        )


def _made(timm: ModuleType, config: ModelConfig, weights: str | None) -> Any:  # noqa: ANN401 see TimmBody
    """Create the timm model.

    Raises:
        SwerveError: the hub cannot be reached, or the file does not hold exactly the model's weights.
    """
    more: dict[str, Any] = {"num_classes": 0, "img_size": (config.image_height, config.image_width)}
    try:
        if weights == HUB:
            more["pretrained"] = True
        elif weights is not None:
            more.update(pretrained=True, pretrained_cfg_overlay=_held(weights))
        return timm.create_model(config.backbone, **more)
    except (OSError, *_REFUSALS) as error:
        reason = " ".join(str(error).split())[:_TOLD] or type(error).__name__
        if weights in (None, HUB):
            raise SwerveError(
                f"{config.family}: backbone {config.backbone} with weights {weights!r} cannot be created ({reason}). "
                "Where the hub cannot be reached, download its weights elsewhere and set backbone_weights to the file"
            ) from error
        raise SwerveError(
            f"{config.family}: backbone_weights: {weights} cannot be read as weights of {config.backbone} ({reason}). "
            f"{_instead(config.backbone)}"
        ) from error


def _held(path: str) -> dict[str, Any]:
    """Return timm's arguments for loading a safetensors file's tensors into a model without classifier.

    Other formats (.pth, .bin, .pt) are pickles, which can run a program when they are opened, and are refused.
    Timm requires every tensor of the model only if the number of classes is that of its own weights, and would
    otherwise accept a file with none of them: hence num_classes=0, and the tensors without their classifier.
    """
    tensors = safetensors.torch.load_file(path)
    body = {name: one for name, one in tensors.items() if not name.startswith("head")}
    if not body:
        raise ValueError("it is empty")
    return {"state_dict": body, "num_classes": 0}


def _instead(name: str) -> str:
    return (
        f"Give timm's weights of {name} (model.safetensors of huggingface.co/timm), `{HUB}` to download them, or null "
        "for random initialisation"
    )


def _check_size(config: ModelConfig, patch: int) -> None:
    if config.image_height % patch or config.image_width % patch:
        raise SwerveError(
            f"{config.family}: images of {config.image_width}x{config.image_height} are not a multiple of "
            f"the {patch}x{patch} patches of {config.backbone}"
        )
