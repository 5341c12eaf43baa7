"""Image backbones: those of timm by name, and a small vision transformer for tests and processors."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from swerve.planners.rap.config import HUB, TINY_BACKBONE, RapConfig
from swerve.planners.rap.layers import SelfAttentionBlock, sines
from swerve.scenes import MissingExtraError, SwerveError

INSTALL: Final = "pip install 'PATH[timm]', with PATH Swerve's folder"
# Colours of ImageNet, to which all of timm's DINO models are used.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TINY_WIDTH, _TINY_PATCH, _TINY_DEPTH, _TINY_HEADS = 48, 8, 2, 4


class Backbone(nn.Module):
    """From pixels to one feature vector per patch.

    A frozen backbone stays in evaluation mode, whatever mode the model is in, and keeps no gradients.

    Attributes:
        width: of the features.
        patch: pixels of a patch's side.
        frozen: whether it is never trained.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: nn.Module, width: int, patch: int, frozen: bool) -> None:
        super().__init__()
        self.body, self.width, self.patch, self.frozen = body, width, patch, frozen
        self.register_buffer("mean", 255 * torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", 255 * torch.tensor(_DEVIATION)[:, None, None], persistent=False)
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Sets the mode, but for what is frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Features of the images' patches, rows from the top, columns from the left."""
        values = (images.to(self.mean.dtype) - self.mean) / self.deviation
        if self.frozen:
            with torch.no_grad():
                return self.body(values)
        return self.body(values)


def build_backbone(config: RapConfig, weights: bool = True) -> Backbone:
    """The backbone that a config names.

    Args:
        config: names the model, its weights, and the size of the images.
        weights: whether to read `config.backbone_weights`; not needed where a trained planner's are loaded afterwards.

    Raises:
        MissingExtraError: timm is not installed.
        SwerveError: timm knows no such model, its weights are not to be had, or images are no whole number of patches.
    """
    if config.backbone == TINY_BACKBONE:
        body: nn.Module = TinyVit(_TINY_WIDTH, _TINY_PATCH, _TINY_DEPTH, _TINY_HEADS)
        width, patch = _TINY_WIDTH, _TINY_PATCH
        if weights and config.backbone_weights is not None:
            _read_tiny(body, config.backbone_weights)
        _check_size(config, patch)
    else:
        body, width, patch = _timm_body(config, config.backbone_weights if weights else None)
    return Backbone(body, width, patch, config.frozen)


class TinyVit(nn.Module):
    """A plain vision transformer (Dosovitskiy et al., 2021) without class token; positions are sines.

    Args of the constructor: width of the tokens, pixels of a patch's side, blocks, heads.
    """

    def __init__(self, width: int, patch: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.blocks = nn.ModuleList([SelfAttentionBlock(width, 2 * width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.place = nn.Linear(width, width)
        self.width = width

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Features of patches."""
        maps = self.embed(images)
        _, _, rows, columns = maps.shape
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(maps)
        tokens = maps.flatten(2).transpose(1, 2) + self.place(sines(grid / 8.0, self.width // 4))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, (rows, columns))


class TimmBody(nn.Module):
    """A vision transformer of timm: its last block's normalised patch tokens, without class and register tokens."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 timm's vision transformers share no class
        super().__init__()
        self.model = model

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n f p q"]:
        """Features of patches."""
        maps = self.model.forward_intermediates(
            images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        return maps[0]


def _read_tiny(body: nn.Module, path: str) -> None:
    """Fills the small transformer with the tensors of a safetensors file, names as in its `state_dict`.

    Raises:
        SwerveError: there is no such file, or it holds something else.
    """
    try:
        body.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise SwerveError(
            f"rap: backbone_weights: {path} cannot be read as weights of backbone {TINY_BACKBONE} "
            f"({str(error).splitlines()[0]}). There are none to download: give a file of your own, or null"
        ) from error


def _timm_body(config: RapConfig, weights: str | None) -> tuple[nn.Module, int, int]:
    """The model with its weights, its width and its patches' side."""
    timm = require_timm()
    name = config.backbone
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('_')[-1]}*")[:5]) or "timm.list_models('*dino*')"
        raise SwerveError(f"rap: timm has no backbone {name!r}. Among its models: {close}")
    if weights is not None and weights != HUB and not Path(weights).is_file():
        raise SwerveError(
            f"rap: backbone_weights: there is no file {weights}. Give timm's weights of {name} (model.safetensors of "
            f"huggingface.co/timm), `{HUB}` to download them, or null to begin at random"
        )
    patch = int(found[1]) if (found := re.search(r"patch(\d+)", name)) else 0
    if not patch:
        raise SwerveError(f"rap: backbone {name} is no vision transformer with square patches")
    _check_size(config, patch)
    more: dict[str, Any] = {"num_classes": 0, "img_size": (config.height, config.width)}
    if weights == HUB:
        more["pretrained"] = True
    elif weights is not None:
        more.update(pretrained=True, pretrained_cfg_overlay={"file": weights})
    model = _told_where(config, lambda: timm.create_model(name, **more))
    return TimmBody(model), int(model.embed_dim), patch


def _told_where(config: RapConfig, made: Callable[[], Any]) -> Any:  # noqa: ANN401 see TimmBody
    """What timm makes; what the hub or a file refuses becomes one error that says what to do."""
    try:
        return made()
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise SwerveError(
            f"rap: backbone {config.backbone} with weights {config.backbone_weights!r} cannot be made "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}). Where the hub cannot be reached, "
            "download timm's weights elsewhere and set backbone_weights to the file"
        ) from error


def require_timm() -> ModuleType:
    """Timm.

    Raises:
        MissingExtraError: it is not installed.
        SwerveError: the torchvision that it needs was built for another torch.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", INSTALL) from error
    except RuntimeError as error:
        raise SwerveError(
            f"timm cannot be used: torchvision does not fit torch {torch.__version__} ({error}). Install the "
            "torchvision of the same release and build (CPU or CUDA) as torch"
        ) from error
    return timm


def _check_size(config: RapConfig, patch: int) -> None:
    if config.height % patch or config.width % patch:
        raise SwerveError(
            f"rap: images of {config.width}x{config.height} are no whole number of the {patch}x{patch} patches of "
            f"{config.backbone}"
        )
