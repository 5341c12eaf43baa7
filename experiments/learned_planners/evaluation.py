"""Evaluation of a planner on a benchmark: two stages, closed loop, and its choice among its proposals."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float

from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.closed_loop.rollout_views import RolloutViews
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.aggregate import COLUMNS, two_stage
from swerve.eval.scoring.score import score
from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric, pdm_score
from swerve.planners.learning.calibration import calibration_of
from swerve.planners.learning.inputs import ModelInput, inputs_of
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.selection import chosen_proposals
from swerve.scenes import SwerveError
from swerve.scenes.planning import Observation, Planner, Trajectory

Kind = Literal["photo", "raster"]
KINDS: Final[tuple[Kind, ...]] = ("photo", "raster")
TRAFFIC: Final = "lane-following"
LOOP: Final = ClosedLoopOptions(rate=1.0, seconds=8.0, traffic=TRAFFIC)
_AT_ONCE: Final = 32
_SCORE = COLUMNS.index("score")


@dataclass(frozen=True)
class CachedScene(BenchmarkScene):
    """A scene that keeps its context, which takes longer to build than a plan to score."""

    kept: dict[bool, Context] = field(default_factory=dict, compare=False)

    def context(self, lane_following: bool = True) -> Context:
        """Build the context, or return it."""
        if lane_following not in self.kept:
            self.kept[lane_following] = super().context(lane_following)
        return self.kept[lane_following]


@dataclass(frozen=True)
class BlindPlanner:
    """A planner whose images are black."""

    planner: LearnedPlanner

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return self.planner.cameras

    def plan(self, observation: Observation) -> Trajectory:
        """Plan without images."""
        black = {name: np.zeros_like(image) for name, image in observation.images.items()}
        return self.planner.plan(replace(observation, images=black))


class Bench:
    """Benchmarks in memory: scene groups, contexts, inputs of networks, and exact scores of proposals.

    Args:
        folders: of the benchmarks, with photographs and rasters of the networks' size.
        most: scene groups of a log that are used, the first ones.
        driven: scene groups of a log that are driven from in closed loop, the first ones.
        every: of the logs, every so many is driven on.
        offset: number of the first log that is driven on.
    """

    def __init__(self, folders: Sequence[Path], most: int, driven: int, every: int = 1, offset: int = 0) -> None:
        self._opened = {kind: [open_benchmark(one, kind) for one in folders] for kind in KINDS}
        self._owners: dict[str, int] = {}
        self._driven: set[str] = set()
        self.logs: list[str] = []
        for number, benchmark in enumerate(self._opened["photo"]):
            for log in benchmark.logs:
                names = benchmark.scene_groups(log)[:most]
                self._owners |= dict.fromkeys(names, number)
                self._driven |= set(names[:driven] if len(self.logs) % every == offset else ())
                self.logs.append(log)
        self.names = list(self._owners)
        self._groups: dict[str, dict[str, SceneGroup]] = {kind: {} for kind in KINDS}
        self._inputs: dict[tuple[str, tuple[str, ...]], ModelInput] = {}
        self._exact: dict[str, Float[np.ndarray, "n 8"]] = {}
        self._loops: dict[str, ClosedLoopScene] = {}
        self._renderers: dict[str, RolloutViews] = {}

    def group(self, name: str, kind: Kind = "photo") -> SceneGroup:
        """Return a scene group with its photographs, or its rasters."""
        kept = self._groups[kind]
        if name not in kept:
            group = self._opened[kind][self._owners[name]].scene_group(name)
            if kind == "photo":
                scenes = {token: CachedScene(**vars(one)) for token, one in group.scenes.items()}
            else:
                scenes = dict(self.group(name).scenes)
            kept[name] = replace(group, scenes=scenes)
        return kept[name]

    @cached_property
    def follow_ups(self) -> list[tuple[str, str]]:
        """Return the scene group and token of each follow-up scene."""
        return [(name, token) for name in self.names for pair in self.group(name).group.follow_ups for token in pair]

    def inputs(self, planner: LearnedPlanner, kind: Kind) -> ModelInput:
        """Return a network's inputs in all follow-up scenes."""
        key = kind, planner.cameras
        if key not in self._inputs:
            seen = []
            for name, token in self.follow_ups:
                group = self.group(name, kind)
                scene = group.scenes[token]
                seen.append(observation_of(scene, scene.context(), planner, group.views))
            self._inputs[key] = inputs_of(seen, planner.model.config)
        return self._inputs[key]

    def exact(self, name: str, token: str, poses: Float[np.ndarray, "n k 3"], interval: float) -> np.ndarray:
        """Return the exact sub-scores of proposals under log replay, as in training."""
        key = f"{name} {token} {hashlib.sha256(poses.tobytes()).hexdigest()}"
        if key not in self._exact:
            self._exact[key] = score(self.group(name).scenes[token].context(), poses, interval=interval).metrics
        return self._exact[key]

    def closed_loop(self, name: str, planner: Planner) -> float:
        """Return the closed-loop score from a scene group's initial scene; NaN where it is not driven from."""
        if name not in self._driven:
            return float("nan")
        group = self.group(name)
        if name not in self._loops:
            scene = group.scenes[group.group.now]
            options = replace(LOOP, traffic_seed=scene.traffic_seed)
            self._loops[name] = build_closed_loop_scene(scene.viewpoint, options, scene.token)
        if group.log not in self._renderers:
            self._renderers[group.log] = RolloutViews(
                *self._opened["photo"][self._owners[name]].log_renderer(group.log)
            )
        rollout = drive_prepared(self._loops[name], planner, self._renderers[group.log])
        if rollout.error:
            raise SwerveError(f"{name}: {rollout.error}")
        return float(rollout.score)


def open_measures(bench: Bench, planner: Planner) -> dict[str, list[float]]:
    """Evaluate any planner in open loop: by scene group the scores of both stages, NC and DAC of the follow-ups."""
    found: dict[str, list[float]] = {}
    for name in bench.names:
        group = bench.group(name)
        (result,) = evaluate_group(group, {"": planner}, TRAFFIC)
        if error := next(filter(None, result.errors), ""):
            raise SwerveError(f"{name}: {error}")
        table = two_stage(result.scenes, [group.group])
        row = {"two stages": float(table.score), "stage one": float(table.stage_one[_SCORE])}
        metrics = result.scenes.metrics[2:]
        row["stage two"] = float(table.values[2:, _SCORE].mean())
        row["NC"] = float(metrics[:, Metric.NO_AT_FAULT_COLLISIONS].mean())
        row["DAC"] = float(metrics[:, Metric.DRIVABLE_AREA_COMPLIANCE].mean())
        for measure, value in row.items():
            found.setdefault(measure, []).append(value)
    return found


def choice_measures(bench: Bench, planner: LearnedPlanner, blind: bool) -> tuple[dict[str, list[float]], Any]:
    """Evaluate the choice among proposals on follow-ups, in log replay: by scene group, and the calibration errors."""
    outputs = {kind: _output(planner, bench.inputs(planner, kind), blind) for kind in KINDS}
    photos = bench.inputs(planner, "photo")
    others = replace(photos, images=photos.images.roll(len(photos) // 2, 0))
    outputs["swapped"] = _output(planner, others, blind)
    rows, predicted, true = [], [], []
    for place, (name, token) in enumerate(bench.follow_ups):
        exact = {
            kind: bench.exact(name, token, poses[place], planner.model.config.interval)
            for kind, (_, poses, _) in outputs.items()
        }
        worth = {kind: pdm_score(one) for kind, one in exact.items()}
        logits, _, chosen = outputs["photo"]
        row = {"chosen": worth["photo"][chosen[place]], "best": worth["photo"].max(), "mean": worth["photo"].mean()}
        row["chosen, rasters"] = worth["raster"][outputs["raster"][2][place]]
        row["chosen, other photographs"] = worth["swapped"][outputs["swapped"][2][place]]
        row["rank correlation"] = rank_correlation(pdm_score(logits[place]), worth["photo"])
        rows.append(row)
        predicted.append(logits[place])
        true.append(exact["photo"])
    errors = calibration_of(np.concatenate(predicted), np.concatenate(true)).error
    calibration = {METRIC_NAMES[metric]: float(errors[metric]) for metric in Metric}
    return group_means(bench, rows), calibration


def _output(planner: LearnedPlanner, inputs: ModelInput, blind: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return predicted sub-scores, poses, and the chosen proposal of each scene."""
    logits, poses, chosen = [], [], []
    if blind:
        inputs = replace(inputs, images=torch.zeros_like(inputs.images))
    with torch.inference_mode():
        for first in range(0, len(inputs), _AT_ONCE):
            rows = torch.arange(first, min(first + _AT_ONCE, len(inputs)))
            made = planner.model(inputs.rows(rows))
            chosen.append(chosen_proposals(made.logits, planner.model.config).numpy())
            logits.append(made.logits.sigmoid().double().numpy())
            poses.append(made.poses.double().numpy())
    return np.concatenate(logits), np.concatenate(poses), np.concatenate(chosen)


def rank_correlation(predicted: Float[np.ndarray, "n"], true: Float[np.ndarray, "n"]) -> float:
    """Return Spearman's rank correlation; NaN where either is constant."""
    if min(np.ptp(predicted), np.ptp(true)) < 1e-12:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(predicted, true).statistic)


def group_means(bench: Bench, rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Average the follow-ups of each scene group."""
    owners = np.array([name for name, _ in bench.follow_ups])
    columns: Mapping[str, np.ndarray] = {one: np.array([row[one] for row in rows]) for one in rows[0]}
    found = {}
    for measure, values in columns.items():
        known = [values[(owners == name) & np.isfinite(values)] for name in bench.names]
        found[measure] = [float(one.mean()) if len(one) else float("nan") for one in known]
    return found
