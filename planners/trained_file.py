"""Files of trained networks: safetensors with a JSON header of ours, read without believing or unpickling anything."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from swerve.data.storage.checked_json import parse_json
from swerve.data.storage.store import url_of
from swerve.data.storage.stored_folder import source_files
from swerve.scenes import LogError, MissingExtraError, SwerveError
from swerve.scenes.printable import printable

HEADER: Final = "swerve"
INSTALL: Final = "pip install 'PATH[torch]', where PATH is Swerve's folder"
# Safetensors are as safe as their library; these are what it and the frameworks raise for damaged files.
_DAMAGE: Final = (OSError, ValueError, TypeError, AttributeError, RuntimeError, KeyError, OverflowError, MemoryError)


def trained_path(place: str) -> Path:
    """Return the path of a trained planner's file; one at a URL is copied to the cache, anew where it has changed.

    Raises:
        SwerveError: there is nothing at the URL, or the store does not answer.
    """
    return source_files(place) if url_of(place) else Path(place)


def require_safetensors() -> ModuleType:
    """Import safetensors with its numpy module.

    Raises:
        MissingExtraError: safetensors is not installed.
    """
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtraError("safetensors", INSTALL) from error
    return safetensors


def require_torch() -> ModuleType:
    """Import torch.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", INSTALL) from error
    return torch


def read_header(path: str | Path, what: str) -> dict[str, Any]:
    """Return the header of a file; empty if it is another program's.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        MissingExtraError: safetensors is not installed.
        SwerveError: the file is missing, damaged or no safetensors, or its header is no JSON.
    """
    return read_tensors(path, what, "numpy", only_header=True)[0]


def read_tensors_of(content: bytes, path: str | Path, what: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the header and the torch tensors of a file's content.

    Args:
        content: content of the file.
        path: the file, for messages.
        what: what it should be, for messages.

    Raises:
        MissingExtraError: safetensors is not installed.
        SwerveError: see `read_header`.
    """
    safetensors = require_safetensors()
    import safetensors.torch as torch_format

    try:
        size = int.from_bytes(content[:8], "little")
        metadata = parse_json(content[8 : 8 + size].decode(), path) if 0 < size <= len(content) - 8 else None
        tensors = torch_format.load(content)
        text = metadata.get("__metadata__", {}).get(HEADER, "{}") if isinstance(metadata, dict) else "{}"
        header = parse_json(text, path)
    except (safetensors.SafetensorError, LogError, *_DAMAGE) as error:
        reason = printable(str(error))[:200] or type(error).__name__
        raise SwerveError(f"{path}: cannot be read as {what} ({reason})") from error
    return header if isinstance(header, dict) else {}, tensors


def read_tensors(
    path: str | Path, what: str, framework: str, only_header: bool = False
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the header and the tensors of a file.

    Args:
        path: the file.
        what: what it should be, for messages.
        framework: "numpy" or "pt".
        only_header: leave the tensors out.

    Raises:
        MissingExtraError: safetensors is not installed.
        SwerveError: see `read_header`, or a tensor is of a type that the framework lacks.
    """
    safetensors = require_safetensors()
    if Path(path).is_dir():
        inside = sorted(one.name for one in Path(path).glob("*.safetensors"))
        hint = f"; in it are {', '.join(inside[:5])}" if inside else ""
        raise SwerveError(f"{path}: is a folder, not a file of {what}{hint}")
    try:
        with safetensors.safe_open(str(path), framework=framework) as file:
            text = (file.metadata() or {}).get(HEADER, "{}")
            tensors = {} if only_header else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, *_DAMAGE) as error:
        reason = printable(str(error))[:200] or type(error).__name__
        raise SwerveError(f"{path}: cannot be read as {what} ({reason})") from error
    try:
        header = parse_json(text, path)
    except LogError as error:
        raise SwerveError(f"{path}: cannot be read as {what} (its header {error.problem})") from error
    return header if isinstance(header, dict) else {}, tensors
