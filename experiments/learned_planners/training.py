"""Training of the arms: one vocabulary, whose exact scores all runs share."""

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save
from torch import Tensor

from experiments.learned_planners.arms import CAMERAS, SIZE, VISITED, Arm, config_of
from swerve.data.storage.files import replaced, write_atomically
from swerve.data.stream import Batch, ImageFit, Part, SampleStream, StreamOptions
from swerve.data.stream.order import PartOrder
from swerve.eval.closed_loop import ClosedLoopOptions
from swerve.eval.context.context_store import ContextStore
from swerve.planners.learning import Process, RunOptions, TrainingOptions, train
from swerve.planners.learning.score_store import NAME as SCORES
from swerve.planners.learning.vocabulary import kmeans_anchors
from swerve.planners.rap import RapConfig
from swerve.round_options import RoundOptions
from swerve.training_rounds import RoundSet, draw_visited

RATE: Final = 1e-3
ANCHORS: Final = "vocabulary.anchors"
ALONE: Final = Process(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class Sets:
    """Paths of the inputs.

    Attributes:
        logged: set of logged viewpoints with photographs; its contexts.
        off_path: set of all other viewpoints, rasters alone; its contexts.
        sources: the logs that are driven on.
        backbone: weights of the tiny backbone.
        runs: folder of the runs.
    """

    logged: RoundSet
    off_path: RoundSet
    sources: tuple[str, ...]
    backbone: Path
    runs: Path

    @property
    def both(self) -> list[RoundSet]:
        """Return both sets."""
        return [self.logged, self.off_path]


class ArmStream(SampleStream):
    """Stream of an arm whose targets are the vocabulary of all runs; images are black if it is blind."""

    def __init__(self, folders: Sequence[Path], options: StreamOptions, vocabulary: Path, arm: Arm) -> None:
        self._vocabulary, self._blind, self._towns = vocabulary, arm.blind, arm.towns
        super().__init__(folders, options)

    def _order(self, part: Part, known: Mapping[str, Int[np.ndarray, "_"]]) -> PartOrder:
        if self._towns is not None:
            kept = set(sorted(self.logs)[: self._towns])
            rows = np.array([row for row in known[part.name] if self._log(int(row)) in kept], int)
            known = {**known, part.name: rows}
        return super()._order(part, known)

    def _log(self, row: int) -> str:
        number, place = self._sets.where(row)
        return Path(self._sets[number].catalogue.where(place)[0]).stem.rpartition("-")[0]

    def targets(self, interval: float, poses: int) -> Float[np.ndarray, "n k 3"]:
        """Return the vocabulary's anchors, which are then their own k-means."""
        anchors: Tensor = load_file(self._vocabulary)[ANCHORS]
        return anchors.double().numpy()

    def batch(self, step: int) -> Batch:
        """Make a batch; black if blind."""
        made = super().batch(step)
        if not self._blind:
            return made
        images = {name: getattr(made, name) for name in ("raster", "photo")}
        return replace(made, **{name: np.zeros_like(one) for name, one in images.items() if one is not None})


def vocabulary_of(base: Sets) -> Path:
    """Return the file of the vocabulary, made at the first call: anchors of the targets of all training viewpoints."""
    path = base.runs / "vocabulary.safetensors"
    if not path.is_file():
        parts = tuple(Part(name) for name in ("paired", "recovery", "cross_agent", "follow_up"))
        options = StreamOptions(parts, ImageFit(SIZE), CAMERAS, len(parts))
        targets = SampleStream([one.dataset for one in base.both], options).targets(0.5, 8)
        write_atomically(path, save({ANCHORS: torch.as_tensor(kmeans_anchors(targets, 64)).float()}))
    return path


def train_arm(arm: Arm, seed: int, steps: int, sets: Sequence[RoundSet], base: Sets, folder: Path) -> Path:
    """Train an arm; return the planner's file.

    Args:
        arm: the recipe.
        seed: of weights and order.
        steps: of the optimizer.
        sets: the sets of the base, and one of visited states.
        base: what all runs share.
        folder: of the run.
    """
    config, vocabulary = config_of(arm, base.backbone), vocabulary_of(base)
    options = StreamOptions(arm.parts, ImageFit(SIZE), config.cameras or CAMERAS, arm.batch, seed)
    stream = ArmStream([one.dataset for one in sets], options, vocabulary, arm)
    store = ContextStore([one.contexts for one in sets if one.contexts], [one.dataset for one in sets])
    # The anchors again, in their order: k-means numbers them by the seed.
    anchored = vocabulary if isinstance(config, RapConfig) else None
    training = TrainingOptions(steps, RATE, RATE / 50, weight_ema_decay=0.99, seed=seed, initial_weights=anchored)
    shared = base.runs / f"{len(sets)}-sets-{SCORES}"
    folder.mkdir(parents=True, exist_ok=True)
    if shared.is_file():
        shutil.copyfile(shared, folder / SCORES)
    path = train(stream, store, config, training, folder, ALONE, RunOptions(workers=0, checkpoint_every=steps))
    if (folder / SCORES).is_file():
        _backed_up(folder / SCORES, shared)
        (folder / SCORES).unlink()
    return path


def visited_by(planner: Path, base: Sets, folder: Path) -> RoundSet:
    """Drive a planner by photographs on training logs, and draw where it got to, as rasters with targets."""
    drive = ClosedLoopOptions(rate=1.0, seconds=8.0, traffic="lane-following")
    options = RoundOptions(2, base.sources, round_interval=8.0, round_views="photo", round_drive=drive)
    return draw_visited(folder, planner, base.off_path, options, 1, None)


def uses_visited(arm: Arm) -> bool:
    """Return whether an arm trains on visited states."""
    return VISITED in arm.parts


def _backed_up(source: Path, target: Path) -> None:
    """Copy a database with what is in its write-ahead log; of several processes at once, the last one's is kept."""
    with replaced(target) as part, closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(part)) as other:
        one.backup(other)
