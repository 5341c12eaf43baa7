"""Scored vocabulary on held-out logs: best, chosen and constant velocity on the follow-up scenes of a benchmark.

    python -m experiments.scored_vocabulary SET CONTEXTS BENCHMARK RUNS --steps 600 --seeds 0 1

SET is of `swerve augment` (rasters of one camera of 80x48), CONTEXTS of `swerve contexts`, BENCHMARK of `swerve build`
on other logs. Every plan is scored by the scorer of training: agents replay the log.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.data.stream.catalogue import read_catalogue
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import score
from swerve.eval.scoring.sub_scores import Metric, pdm_score
from swerve.planners.learning import Process, RunOptions, TrainingOptions, load_learned, train
from swerve.planners.learning.calibration import calibration_of
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.rap import RapConfig
from swerve.planners.rap.proposals import Proposals, proposals_in

ALONE = Process(0, 1, torch.device("cpu"))
PARTS = (Part("raster_only", 0.5), Part("recovery", 0.25), Part("cross_agent", 0.25))


def config_of(anchors: int) -> RapConfig:
    """Return the network: a fixed vocabulary and its scorer, without learned proposals."""
    return RapConfig.tiny(
        proposals=0,
        anchors=anchors,
        profiles=True,
        scorer_layers=2,
        imitation_weight=0.0,
        ranking_weight=0.5,
        spatial_weight=0.0,
        domain_weight=0.0,
    )


def trained(args: argparse.Namespace, seed: int) -> LearnedPlanner:
    """Train with a seed, or go on."""
    config = config_of(args.anchors)
    there = read_catalogue(args.dataset, "train").parts
    parts = tuple(part for part in PARTS if len(there[part.name]))
    fit = ImageFit((config.image_width, config.image_height))
    stream = SampleStream(args.dataset, StreamOptions(parts, fit, config.cameras, batch_size=16, seed=seed))
    options = TrainingOptions(args.steps, learning_rate=1e-3, weight_ema_decay=0.99, seed=seed)
    folder = args.runs / f"vocabulary-{args.anchors}-{seed}"
    run = RunOptions(workers=0, checkpoint_every=100)
    return load_learned(train(stream, ContextStore(args.contexts, args.dataset), config, options, folder, ALONE, run))


def measured(planner: LearnedPlanner, benchmark: Path) -> list[tuple[Proposals, float]]:
    """Return the proposals in all follow-up scenes, each with the score of constant velocity."""
    opened, found = open_benchmark(benchmark, "raster"), []
    for name in [name for log in opened.logs for name in opened.scene_groups(log)]:
        group = opened.scene_group(name)
        for token, _ in group.group.follow_ups:
            made, context = proposals_in(group.scenes[token], group, name, planner)
            steady = np.zeros((1, 8, 3))
            steady[0, :, 0] = np.hypot(*context.ego[3:5]) * 0.5 * np.arange(1, 9)
            found.append((made, float(pdm_score(score(context, steady).metrics)[0])))
    return found


def main() -> None:
    """Train and print a line per seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "contexts", "benchmark", "runs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--anchors", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    shared = set(open_benchmark(args.benchmark, "raster").logs) & read_catalogue(args.dataset, "train").logs
    if shared:
        parser.error(f"log {min(shared)} is in the set and in the benchmark")
    for seed in args.seeds:
        found = measured(trained(args, seed), args.benchmark)
        best = np.mean([one.true_score[one.best] for one, _ in found])
        chosen = np.mean([one.true_score[one.chosen] for one, _ in found])
        steady, mean = np.mean([one for _, one in found]), np.mean([one.true_score.mean() for one, _ in found])
        fixed = np.mean([one.true_score for one, _ in found], axis=0).max()
        predicted, true = (np.concatenate([getattr(one, kind) for one, _ in found]) for kind in ("predicted", "true"))
        errors = calibration_of(predicted, true).error
        calibration = ", ".join(f"{metric.name.lower()} {errors[metric]:.3f}" for metric in Metric)
        ranks = np.nanmean([one.rank_correlation for one, _ in found])
        print(
            f"seed {seed}: {len(found)} follow-ups; best of vocabulary {best:.3f}, chosen {chosen:.3f}, best single "
            f"row {fixed:.3f}, mean {mean:.3f}, constant velocity {steady:.3f}; rank correlation {ranks:.2f}; "
            f"calibration error: {calibration}",
            flush=True,
        )


if __name__ == "__main__":
    main()
