"""Curves of a training run for Weights & Biases."""

import uuid
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from swerve.data.storage.files import write_atomically
from swerve.scenes import MissingExtraError

INSTALL_WANDB: Final = "pip install 'PATH[wandb]'"
RUN_ID: Final = "wandb-run.txt"


class WandbRun:
    """A run of Weights & Biases, which a resumed training goes on with; the environment's WANDB_MODE applies.

    Args:
        folder: folder of the training; it gets the run's id and wandb's own files.
        project: name of the project.
        config: what the run's page shows as its config, JSON values.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        wandb, path = require_wandb(), folder / RUN_ID
        if not path.is_file():
            write_atomically(path, uuid.uuid4().hex[:8].encode())
        known = {"id": path.read_text(), "name": folder.resolve().name, "resume": "allow"}
        self._run = wandb.init(project=project, dir=str(folder), config=dict(config), **known)

    def add(self, group: str, row: Mapping[str, int | float]) -> None:
        """Add the values of a step, which is the row's first value."""
        step, *rest = row.items()
        self._run.log({f"{group}/{name}": value for name, value in rest}, step=step[1])

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def require_wandb() -> ModuleType:
    """Import wandb.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        found = import_module("wandb")
    except ImportError as error:
        raise MissingExtraError("wandb", INSTALL_WANDB) from error
    return found
