"""Scorers that see the scene itself instead of a photograph: what is left between the chosen and the best proposal.

    python -m experiments.learned_planners.perception IN RUNS --seeds 0 1 2 3 4 [--steps 600] [--at-poses]

A scorer of the recipe, with its vocabulary, losses, samples of a step and learning rates, attends to patches of a grid
of 64 x 64 m around the car in cells of 2 m: the agents that are there (place, heading, size, velocity), drivable area,
the route and red lights, all at present. With `--at-poses`, the embedding of a plan holds the features of the grid at
its poses, too. In the test it plans from the same grid, so that it is privileged, as PDM-Closed is.

Results are appended to RUNS/open.jsonl and RUNS/closed.jsonl, as those of the arms are.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.learned_planners.arms import ARMS, CAMERAS, RECIPE, SIZE, config_of
from experiments.learned_planners.evaluation import Bench, group_means, open_measures, rank_correlation
from experiments.learned_planners.tables import LOOP
from experiments.learned_planners.training import ANCHORS, RATE, Sets, vocabulary_of
from experiments.learned_planners.work import OPEN, Work, append, noted, opened_work
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.context.context_store import ContextStore
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.scoring.score import prepare_context, score_prepared
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig
from swerve.planners.learning import TrainingOptions, views_of
from swerve.planners.learning.bev_targets import CELL, CHANNELS, CORNER, agent_targets, drivable_targets
from swerve.planners.learning.bev_targets import SIZE as CELLS
from swerve.planners.learning.inputs import ModelInput, inputs_of
from swerve.planners.learning.layers import SelfAttentionBlock, mlp
from swerve.planners.learning.losses import ranking_loss, score_loss
from swerve.planners.learning.plan_scorer import PlanScorer
from swerve.planners.learning.selection import best_proposal, chosen_proposals
from swerve.planners.learning.vocabulary import Vocabulary
from swerve.planners.rap import RapConfig
from swerve.scenes.planning import Observation, Trajectory

# Samples of a step, as the recipe has them.
PARTS: Final = {part.name: round(part.share) for part in RECIPE}
# Of the agents; drivable area, route, direction of the route (cosine, sine), red lights.
GRID: Final = CHANNELS + 5
STATUS_ALONE: Final = EgoMlpConfig.tiny()
_PATCH, _FINE = 4, 32
# Fields of inputs but the rig, which planners without images do not read.
_INPUTS: Final = ("images", "present", "status", "past", "motion", "footprint")


def grid_of(truth: PrivilegedInput) -> Float[np.ndarray, "14 x y"]:
    """Return the scene at present on a grid around the car."""
    found = np.zeros((GRID, CELLS, CELLS), np.float32)
    found[:CHANNELS], found[CHANNELS] = agent_targets(truth), drivable_targets(truth)
    x, y, heading = truth.ego[:3]
    to_ego = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    route = truth.scoring_map.centerline
    turned = route[:, 2] - heading
    _mark(found[CHANNELS + 1 : CHANNELS + 4], (route[:, :2] - (x, y)) @ to_ego.T, np.cos(turned), np.sin(turned))
    lights = truth.lights.polygons.of(np.flatnonzero(truth.lights.active[0])).edges[:, :2]
    _mark(found[CHANNELS + 4 :], (lights - (x, y)) @ to_ego.T)
    return found


def _mark(channels: Float[np.ndarray, "c x y"], points: Float[np.ndarray, "n 2"], *values: np.ndarray) -> None:
    """Write 1 and further values into the cells of points."""
    cells = np.floor((points - CORNER) / CELL).astype(int)
    inside = ((cells >= 0) & (cells < CELLS)).all(axis=1)
    rows, columns = cells[inside].T
    channels[0, rows, columns] = 1.0
    for channel, value in zip(channels[1:], values, strict=True):
        channel[rows, columns] = value[inside]


class GridScorer(nn.Module):
    """Scorer of the vocabulary's proposals by a grid; `at_poses` adds its features at their poses to the plans."""

    def __init__(self, config: RapConfig, anchors: Float[Tensor, "a k 3"], at_poses: bool) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(config, len(anchors), profiles=True, residuals=False)
        self.vocabulary.set_anchors(anchors)
        self.fine = nn.Sequential(
            nn.Conv2d(GRID, _FINE, 3, padding=1), nn.GELU(), nn.Conv2d(_FINE, _FINE, 3, padding=1)
        )
        self.patches = nn.Conv2d(_FINE, config.dim, _PATCH, _PATCH)
        side = CELLS // _PATCH
        self.position = nn.Parameter(0.02 * torch.randn(config.dim, side, side))
        self.block = SelfAttentionBlock(config.dim, config.mlp_dim, config.heads)
        self.scorer = PlanScorer(config, config.scorer_layers)
        self.at_poses = mlp(config.poses * _FINE, config.mlp_dim, config.dim) if at_poses else None

    def forward(self, grids: Float[Tensor, "b g x y"], inputs: ModelInput) -> Float[Tensor, "b n 8"]:
        """Compute the logits of all proposals."""
        fine, proposals = self.fine(grids), self.vocabulary.proposals(inputs.motion)
        tokens = self.patches(functional.gelu(fine)) + self.position
        tokens = self.block(tokens.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, tokens.shape[2:])
        plans = self.scorer.embedding(proposals)
        if self.at_poses is not None:
            corner = torch.tensor(CORNER)
            places = 2 * (proposals[..., :2].float() - corner) / (CELL * CELLS) - 1
            # grid_sample takes the coordinate of the last axis first.
            seen = functional.grid_sample(fine, places.flip(-1), align_corners=False)
            plans = plans + self.at_poses(seen.permute(0, 2, 3, 1).flatten(2))
        all_present = torch.ones(len(grids), 1, dtype=torch.bool)
        return self.scorer(plans, tokens[:, None], replace(inputs, present=all_present))


@dataclass(frozen=True)
class Rows:
    """Training rows of a kind of viewpoint: grids, inputs, and exact sub-scores of the vocabulary."""

    grids: Float[Tensor, "b g x y"]
    inputs: ModelInput
    exact: Float[Tensor, "b n 8"]


def read_rows(base: Sets, part: str, vocabulary: Vocabulary) -> Rows:
    """Read the training rows of a kind, and score the vocabulary in each; those that cannot be scored drop out."""
    one = base.logged if part == "paired" else base.off_path
    assert one.contexts is not None
    options = StreamOptions((Part(part, 1.0, "photo" if part == "paired" else "raster"),), ImageFit(SIZE), CAMERAS, 8)
    stream, store = SampleStream(one.dataset, options), ContextStore(one.contexts, one.dataset)
    grids, inputs, exact = [], [], []
    for step in range(int(stream.steps_per_epoch[part])):
        batch = stream.batch(step).to()
        contexts = store.contexts(batch.provenance)
        known = torch.tensor([context is not None for context in contexts])
        views = views_of(batch, [None] * len(contexts), STATUS_ALONE).inputs.rows(known)
        plans = vocabulary.proposals(views.motion).double().numpy()
        there = [context for context in contexts if context is not None]
        grids += [torch.as_tensor(grid_of(context.privileged_input)) for context in there]
        exact += [
            score_prepared(prepare_context(context), own, interval=vocabulary.interval).metrics
            for context, own in zip(there, plans, strict=True)
        ]
        inputs.append(views)
    return Rows(torch.stack(grids), _joined(inputs), torch.as_tensor(np.stack(exact)).float())


def _joined(parts: Sequence[ModelInput]) -> ModelInput:
    """Concatenate inputs without images; of the rig, which nothing reads, the first is kept."""
    return replace(parts[0], **{name: torch.cat([getattr(one, name) for one in parts]) for name in _INPUTS})


def train_scorer(rows: dict[str, Rows], model: GridScorer, config: RapConfig, options: TrainingOptions) -> nn.Module:
    """Train a scorer as the arms are trained; return the moving average of its weights."""
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(options.weight_ema_decay))
    generator, orders = torch.Generator().manual_seed(options.seed), dict[str, Tensor]()
    for step in range(options.steps):
        chosen = {part: _next(orders, part, len(rows[part].grids), count, generator) for part, count in PARTS.items()}
        grids = torch.cat([rows[part].grids[own] for part, own in chosen.items()])
        exact = torch.cat([rows[part].exact[own] for part, own in chosen.items()])
        inputs = _joined([_selected(rows[part].inputs, own) for part, own in chosen.items()])
        known, importance = torch.ones(len(grids), dtype=torch.bool), torch.ones(len(grids))
        logits = model(grids, inputs)
        loss = score_loss(logits, exact, known, importance, torch.tensor(config.metric_weights))
        loss = config.score_weight * loss + config.ranking_weight * ranking_loss(logits, exact, known, importance)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate_at(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.step()
        average.update_parameters(model)
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return average.module.eval()


def _selected(inputs: ModelInput, rows: Tensor) -> ModelInput:
    return replace(inputs, **{name: getattr(inputs, name)[rows] for name in _INPUTS})


def _next(orders: dict[str, Tensor], part: str, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Return the next rows of a part's random order, which begins anew when it has ended."""
    left = orders.get(part, torch.empty(0, dtype=torch.long))
    while len(left) < count:
        left = torch.cat([left, torch.randperm(size, generator=generator)])
    orders[part] = left[count:]
    return left[:count]


@dataclass(frozen=True)
class GridPlanner:
    """Planner that is told the scene at present."""

    privileged: ClassVar[bool] = True
    cameras: ClassVar[tuple[str, ...]] = ()
    model: GridScorer

    def plan(self, observation: Observation) -> Trajectory:
        """Return the proposal with the highest predicted score."""
        assert isinstance(observation.privileged, PrivilegedInput)
        inputs = inputs_of([observation], STATUS_ALONE)
        with torch.inference_mode():
            logits = self.model(torch.as_tensor(grid_of(observation.privileged))[None], inputs)
            poses = best_proposal(logits, self.model.vocabulary.proposals(inputs.motion))[0]
        return Trajectory(poses.double().numpy(), self.model.vocabulary.interval)


def choices(bench: Bench, planner: GridPlanner) -> dict[str, list[float]]:
    """Evaluate the choice among the vocabulary on follow-ups, in log replay, by scene group."""
    rows = []
    for name, token in bench.follow_ups:
        group = bench.group(name)
        scene = group.scenes[token]
        observation = observation_of(scene, scene.context(), planner, group.views)
        inputs = inputs_of([observation], STATUS_ALONE)
        with torch.inference_mode():
            logits = planner.model(torch.as_tensor(grid_of(scene.context().privileged_input))[None], inputs)
        poses = planner.model.vocabulary.proposals(inputs.motion)[0].double().numpy()
        worth = pdm_score(bench.exact(name, token, poses, planner.model.vocabulary.interval))
        predicted = pdm_score(logits[0].sigmoid().double().numpy())
        chosen = int(chosen_proposals(logits)[0])
        row = {"chosen": worth[chosen], "best": worth.max(), "mean": worth.mean()}
        rows.append(row | {"rank correlation": rank_correlation(predicted, worth)})
    return group_means(bench, rows)


def run(work: Work, seeds: Sequence[int], steps: int, at_poses: bool) -> None:
    """Train and evaluate the scorers of all seeds; a finished one is left as it is."""
    name = f"grid{' at poses' if at_poses else ''}, {steps} steps"
    config = config_of(next(arm for arm in ARMS if arm.name == "+ follow-up"), work.sets.backbone)
    assert isinstance(config, RapConfig)
    anchors = load_file(vocabulary_of(work.sets))[ANCHORS]
    rows = dict[str, Rows]()
    for seed in (one for one in seeds if not noted(work.runs / OPEN, name, one)):
        torch.manual_seed(seed)
        model, began = GridScorer(config, anchors, at_poses), time.process_time()
        rows = rows or {part: read_rows(work.sets, part, model.vocabulary) for part in PARTS}
        options, read = TrainingOptions(steps, RATE, RATE / 50, weight_ema_decay=0.99, seed=seed), time.process_time()
        planner = GridPlanner(train_scorer(rows, model, config, options))  # type: ignore[arg-type] the same class
        cpu = {"reading": read - began, "training": time.process_time() - read}
        values = open_measures(work.bench, planner) | choices(work.bench, planner)
        weights = sum(one.numel() for one in model.parameters())
        append(
            work, OPEN, {"arm": name, "seed": seed, "steps": steps, "weights": weights, "cpu": cpu, "values": values}
        )
        loops = {LOOP: [work.bench.closed_loop(group, planner) for group in work.bench.names]}
        append(work, work.closed, {"arm": name, "seed": seed, "values": loops})


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--at-poses", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    run(opened_work(args.inputs, args.runs, args.steps), args.seeds, args.steps, args.at_poses)


if __name__ == "__main__":
    main()
