"""Options of `swerve hidden-states`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from swerve.options.shared import Config, Dataset, On, OutFolder, Part, ProgressForm
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import ImageSize

_WORKERS = "Worker processes, each with the model in memory: on one GPU, or one core where this machine has no GPU."


@dataclass(frozen=True)
class HiddenStates:
    """Compute hidden states of a vision-language model for a training set: what ChainFlow can be conditioned on.

    The model is any of Hugging Face transformers that takes images and text, in a local folder (config.json, weights in
    safetensors, tokenizer, image processor); nothing is downloaded. Each view of each sample gets some tokens, stored
    beside the set. A job that was stopped or killed is resumed by the same command. Needs the extras `torch` and `vlm`.

    Exit code: 0; 1 if a log failed; 2 if the job could not run.

    Example: swerve hidden-states sets/town sets/town-states --vlm ~/models/vlm --cameras front --size 448x256

    Attributes:
        dataset: Training set.
        out: Output folder.
        vlm: Folder of the model.
        cameras: Cameras that it sees, in this order: those of the network.
        size: Size of the images, in pixels: that of the network.
        trim: Shares that are cropped from the images first: left, top, right, bottom; those of the network.
        images: Images of a sample that are views: raster, photo, or both.
        layer: Layer whose states are taken: 0 for the embeddings, -1 for the last.
        tokens: Tokens of a view; the states along the sequence are averaged in so many parts.
        prompt: Text that follows the images; with none: a question about how to drive.
        workers: Worker processes, each with the model in memory.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    dataset: Dataset
    out: OutFolder
    vlm: Annotated[Path, arg(metavar="FOLDER")]
    cameras: tuple[str, ...]
    size: ImageSize = None
    trim: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    images: Literal["raster", "photo", "both"] = "both"
    layer: int = -1
    tokens: int = 16
    prompt: Annotated[str | None, arg(metavar="TEXT")] = None
    workers: Annotated[int, arg(metavar="COUNT", help=_WORKERS)] = 1
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None

    def __post_init__(self) -> None:
        if self.size is None or not self.cameras:
            raise SwerveError("hidden-states: needs --cameras and --size, those of the network")
        if not 1 <= self.tokens <= 4096:
            raise SwerveError(f"tokens is {self.tokens}, it must be between 1 and 4096")
