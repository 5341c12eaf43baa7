"""Hidden states of a vision-language model for a sample's images: tokens that a network can be conditioned on.

Any model of Hugging Face transformers that takes images and text, from a local folder: nothing is downloaded, no code
of the folder is run, and only weights in safetensors are read.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from swerve.data.storage.files import file_digest
from swerve.planners.learning.hidden_state_spec import HiddenStateSpec
from swerve.planners.learning.import_timm import has_torchvision
from swerve.scenes import MissingExtraError, SwerveError
from swerve.scenes.printable import printable

INSTALL: Final = "pip install 'PATH[vlm]'"
# Folder of the model at test time; planner files have its digest, and no path.
VARIABLE: Final = "SWERVE_VLM"
PROMPT: Final = "You drive this car. Describe what decides how to drive in the next seconds."
# Nothing is downloaded, and no code of the folder is run.
_SAFE: Final = {"local_files_only": True, "trust_remote_code": False}
# Files that determine what a model computes.
_FILES: Final = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


class HiddenStates:
    """A vision-language model that computes tokens of views.

    Args:
        folder: of the model: config, weights, tokenizer and image processor, as `save_pretrained` writes them.
        layer: see `HiddenStateSpec`.
        tokens: see `HiddenStateSpec`.
        prompt: see `HiddenStateSpec`.
        device: where it computes; the GPU if there is one, if None.

    Raises:
        MissingExtraError: transformers is not installed.
        SwerveError: the folder holds no such model, or it cannot be read.
    """

    def __init__(
        self,
        folder: str | Path,
        layer: int = -1,
        tokens: int = 16,
        prompt: str = PROMPT,
        device: torch.device | None = None,
    ) -> None:
        self._device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.spec = spec_of(Path(folder), layer, tokens, prompt)
        self._processor, self._model = _loaded(str(folder), self.spec.digest, self._device)

    @torch.no_grad()
    def tokens(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Float[np.ndarray, "t e"]:
        """Compute the tokens of one view, as float16.

        Raises:
            SwerveError: the model has no such layer.
        """
        given = self._processor(text=[self._text(len(images))], images=list(images), return_tensors="pt")
        output = self._model(**given.to(self._device), output_hidden_states=True, use_cache=False)
        states, layer = output.hidden_states, self.spec.layer
        if not -len(states) <= layer < len(states):
            raise SwerveError(f"layer is {layer}, the model has {len(states)}, the embeddings included")
        pooled = functional.adaptive_avg_pool1d(states[layer].float().mT, self.spec.tokens)[0].T
        found: Float[np.ndarray, "t e"] = pooled.cpu().numpy().astype(np.float16)
        if not np.isfinite(found).all():
            raise SwerveError("a hidden state is not finite in float16. Choose another layer")
        return found

    def _text(self, images: int) -> str:
        """Return the prompt with a place for each image, in the model's own form where it has one."""
        if getattr(self._processor, "chat_template", None):
            content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": self.spec.prompt}]
            messages = [{"role": "user", "content": content}]
            return str(self._processor.apply_chat_template(messages, add_generation_prompt=True))
        place = getattr(self._processor, "image_token", None) or "<image>"
        return " ".join([*(str(place) for _ in range(images)), self.spec.prompt])


def require_transformers() -> Any:  # noqa: ANN401 a module that mypy does not see
    """Import transformers.

    Raises:
        MissingExtraError: it is not installed.
    """
    # A torchvision that was built for another torch counts as missing, for which transformers has image processors.
    if not has_torchvision():
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # so that it cannot be imported
    try:
        import transformers
        from transformers.utils.import_utils import is_torchvision_available
    except ImportError as error:
        raise MissingExtraError("transformers", INSTALL) from error
    is_torchvision_available()  # it remembers the answer
    return transformers


def model_digest(folder: Path) -> str:
    """Return a SHA-256 of the files of a model that determine what it computes."""
    content = sha256()
    for path in sorted({path for pattern in _FILES for path in folder.glob(pattern)}):
        content.update(f"{path.name} {file_digest(path)}\n".encode())
    return content.hexdigest()


def spec_of(folder: Path, layer: int, tokens: int, prompt: str) -> HiddenStateSpec:
    """Return the specification of what a model computes; its weights are not loaded.

    Raises:
        MissingExtraError: transformers is not installed.
        SwerveError: the folder holds no such model, or its config cannot be read.
    """
    transformers = require_transformers()
    if not (folder / "config.json").is_file():
        raise SwerveError(f"{folder}: no config.json: not a local folder of a Hugging Face model")
    with _told(folder):
        config = transformers.AutoConfig.from_pretrained(folder, **_SAFE)
        width = int(config.get_text_config().hidden_size)
    return HiddenStateSpec(model_digest(folder), layer, tokens, prompt, width)


@contextmanager
def _told(folder: str | Path) -> Iterator[None]:
    """Convert what transformers raises for a model that it cannot read."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as error:
        reason = printable(str(error))[:200]
        raise SwerveError(f"{folder}: cannot be read as a vision-language model ({reason})") from error


@lru_cache(1)
def _loaded(folder: str, digest: str, device: torch.device) -> tuple[Any, Any]:
    """Read processor and model: once for all layers, numbers of tokens and prompts, while the files are the same.

    Raises:
        SwerveError: the model cannot be read.
    """
    transformers = require_transformers()
    with _told(folder):
        processor = transformers.AutoProcessor.from_pretrained(folder, **_SAFE)
        model = transformers.AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, **_SAFE)
    return processor, model.float().to(device).eval().requires_grad_(False)


@lru_cache(16)
def encoder_of(folder: str, layer: int, tokens: int, prompt: str) -> HiddenStates:
    """Return the model in a folder, which a process reads once."""
    return HiddenStates(folder, layer, tokens, prompt)


def require_model(spec: HiddenStateSpec) -> str:
    """Return the folder that `SWERVE_VLM` names, after checking that it holds the model of a spec; nothing is loaded.

    Raises:
        MissingExtraError: transformers is not installed.
        SwerveError: the variable is not set, or the model there is not the one of the spec.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SwerveError(
            "this planner is conditioned on hidden states of a vision-language model: set "
            f"{VARIABLE} to its local folder"
        )
    if not (Path(folder) / "config.json").is_file():
        raise SwerveError(f"{VARIABLE}: {folder}: no config.json: not a local folder of a Hugging Face model")
    if _known_digest(folder) != spec.digest:
        raise SwerveError(f"{VARIABLE}: {folder} holds another model than the one that this planner was trained with")
    require_transformers()
    return folder


@lru_cache(4)
def _known_digest(folder: str) -> str:
    return model_digest(Path(folder))


def hidden_states_of(images: UInt8[Tensor, "b c 3 h w"], spec: HiddenStateSpec) -> Float[Tensor, "b t e"]:
    """Compute the tokens of observations' images, by the model in the folder that `SWERVE_VLM` names.

    Raises:
        SwerveError: see `require_model`.
    """
    encoder = encoder_of(require_model(spec), spec.layer, spec.tokens, spec.prompt)
    views = images.movedim(2, -1).cpu().numpy()
    return torch.as_tensor(np.stack([encoder.tokens(list(view)) for view in views]).astype(np.float32))
