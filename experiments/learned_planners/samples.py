"""Choice among the vocabulary on samples of training towns and of held-out towns of the same sets.

It tells how much of a planner's choice does not carry over to towns that it has not seen, with the same kinds of
images.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from jaxtyping import Float

from experiments.learned_planners.arms import CAMERAS, SIZE
from experiments.learned_planners.training import Sets
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import PreparedContext, prepare_context, score_prepared
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.learning import TrainingBatch, views_of
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.selection import chosen_proposals
from swerve.scenes import Split

# Photographs of logged viewpoints, rasters of follow-up viewpoints.
PARTS: Final = {"logged": Part("paired", 1.0, "photo"), "follow-up": Part("follow_up", 1.0)}
SPLITS: Final[Mapping[str, tuple[Split, ...]]] = {"training towns": ("train",), "others": ("val", "test")}
_BATCH: Final = 32


class Samples:
    """Views of samples with their contexts, in memory.

    Args:
        base: the sets.
        most: samples of each kind and split, the first ones of an order of their own.
    """

    def __init__(self, base: Sets, most: int) -> None:
        self._views: dict[str, list[TrainingBatch]] = {}
        self._exact: dict[tuple[str, int, bytes], Float[np.ndarray, "n"]] = {}
        self._base, self._most = base, most

    def measures(self, planner: LearnedPlanner) -> dict[str, float]:
        """Return the mean exact score of the chosen proposal and of the best, by kind and towns."""
        found = {}
        for kind in PARTS:
            for towns in SPLITS:
                chosen, best = self._scores(planner, kind, towns)
                found[f"{kind}, {towns}: chosen"], found[f"{kind}, {towns}: best"] = chosen, best
        return found

    def _scores(self, planner: LearnedPlanner, kind: str, towns: str) -> tuple[float, float]:
        name, rows = f"{kind}, {towns}", []
        for number, views in enumerate(self._loaded(planner, name, kind, towns)):
            with torch.inference_mode():
                output = planner.model(views.inputs)
            chosen = chosen_proposals(output.logits, planner.model.config).tolist()
            for row, context in enumerate(views.contexts):
                if context is not None:
                    place = name, number * _BATCH + row
                    poses = output.poses[row].double().numpy()
                    worth = self._exactly(place, context, poses, planner.model.config.interval)
                    rows.append((worth[chosen[row]], worth.max()))
        return float(np.mean([one for one, _ in rows])), float(np.mean([one for _, one in rows]))

    def _exactly(
        self, place: tuple[str, int], context: PreparedContext, poses: Float[np.ndarray, "n k 3"], interval: float
    ) -> Float[np.ndarray, "n"]:
        key = (*place, poses.tobytes())
        if key not in self._exact:
            self._exact[key] = pdm_score(score_prepared(context, poses, interval=interval).metrics)
        return self._exact[key]

    def _loaded(self, planner: LearnedPlanner, name: str, kind: str, towns: str) -> list[TrainingBatch]:
        """Return the views, read at the first call."""
        if name not in self._views:
            self._views[name] = [
                one for split in SPLITS[towns] for one in self._read(planner, PARTS[kind], split, towns)
            ]
        return self._views[name]

    def _read(self, planner: LearnedPlanner, part: Part, split: Split, towns: str) -> list[TrainingBatch]:
        one = self._base.logged if part.name == "paired" else self._base.off_path
        assert one.contexts is not None
        options = StreamOptions((part,), ImageFit(SIZE), CAMERAS, _BATCH, 0, split)
        stream, store = SampleStream(one.dataset, options), ContextStore(one.contexts, one.dataset)
        epoch, wanted = int(stream.steps_per_epoch[part.name]), self._most // len(SPLITS[towns]) // _BATCH
        made = []
        for step in range(min(epoch, wanted)):
            batch = stream.batch(step).to()
            contexts = [prepare_context(own) if own else None for own in store.contexts(batch.provenance)]
            made.append(views_of(batch, contexts, planner.model.config))
        return made
