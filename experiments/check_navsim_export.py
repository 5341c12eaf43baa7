"""Compare NAVSIM's own scores on an exported benchmark with Swerve's direct ones, scene by scene.

In NAVSIM's environment, which needs no Swerve, with the variables of ROOT/README.txt:

    python experiments/check_navsim_export.py score ROOT scores.json

then in Swerve's:

    python -m experiments.check_navsim_export compare BENCHMARK ROOT scores.json

Each scene's plan goes straight ahead at the current speed; traffic is replayed.
"""

import argparse
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, INTERVAL, STEPS, STEP = 8, 0.5, 40, 0.1
METRICS = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=("score", "compare"))
    parser.add_argument("paths", nargs="+", type=Path, help="ROOT and FILE; BENCHMARK, ROOT and FILE")
    given = parser.parse_args(arguments)
    score_with_navsim(*given.paths) if given.step == "score" else compare(*given.paths)


def straight(velocity: Any) -> np.ndarray:
    """Return the poses of a plan straight ahead."""
    forward = float((np.asarray(velocity, np.float32) ** 2).sum() ** 0.5)
    along = forward * INTERVAL * np.arange(1, FRAMES + 1)
    return np.stack([along, 0 * along, 0 * along], axis=1)


def score_with_navsim(root: Path, file: Path) -> None:
    """Score all scenes of the split with NAVSIM's metric cache and scorer; write the sub-scores by token."""
    from navsim.common.dataclasses import Trajectory
    from navsim.evaluate.pdm_score import pdm_score
    from navsim.planning.metric_caching.metric_cache_processor import MetricCacheProcessor
    from navsim.planning.scenario_builder.navsim_scenario import NavSimScenario
    from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_scorer import PDMScorer, PDMScorerConfig
    from navsim.planning.simulation.planner.pdm_planner.simulation.pdm_simulator import PDMSimulator
    from navsim.traffic_agents_policies.log_replay_traffic_agents import LogReplayTrafficAgents
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    loader, found = _loader(root), {}
    steps = TrajectorySampling(num_poses=STEPS, interval_length=STEP)
    sampling = TrajectorySampling(num_poses=FRAMES, interval_length=INTERVAL)
    cache = MetricCacheProcessor(str(file.parent), True, steps)
    scorer = PDMScorer(steps, PDMScorerConfig(human_penalty_filter=True))
    simulator, traffic = PDMSimulator(steps), LogReplayTrafficAgents(steps)
    for token in (*loader.tokens_stage_one, *loader.reactive_tokens_stage_two):
        scene = loader.get_scene_from_token(token)
        scenario = NavSimScenario(scene, map_root=os.environ["NUPLAN_MAPS_ROOT"], map_version="nuplan-maps-v1.0")
        current = scene.frames[scene.scene_metadata.num_history_frames - 1].ego_status
        plan = Trajectory(straight(current.ego_velocity), sampling)
        result = pdm_score(cache.compute_metric_cache(scenario), plan, steps, simulator, scorer, traffic)
        row = (result[0] if isinstance(result, tuple) else result).iloc[0]
        found[token] = [float(row[metric]) for metric in METRICS]
    file.write_text(json.dumps(found))


def _loader(root: Path) -> Any:
    """Return NAVSIM's loader of the export's split, without sensors."""
    import yaml
    from navsim.common.dataclasses import SceneFilter, SensorConfig
    from navsim.common.dataloader import SceneLoader

    (split,) = (root / "config/common/train_test_split").glob("*.yaml")
    fields = yaml.safe_load((split.parent / "scene_filter" / split.name).read_text())
    given = SceneFilter(**{key: value for key, value in fields.items() if not key.startswith("_")})
    second, sensors = root / split.stem, SensorConfig.build_no_sensors()
    folders = second / "sensor_blobs", second / "synthetic_scene_pickles"
    return SceneLoader(root / "navsim_logs/test", root / "sensor_blobs/test", given, *folders, sensors)


class Straight:
    """Planner that drives straight ahead at the current speed."""

    cameras = ()

    def plan(self, observation: Any) -> Any:
        """Return the plan."""
        from swerve.scenes.planning import Trajectory

        return Trajectory(straight(observation.history.velocity[-1]), INTERVAL)


def compare(benchmark: Path, root: Path, file: Path) -> None:
    """Print the largest difference of each sub-score."""
    from swerve.eval.benchmark.benchmark_store import open_benchmark
    from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group

    opened, official = open_benchmark(benchmark), json.loads(file.read_text())
    with open(root / "tokens.csv", newline="") as rows:
        tokens = {row["scene"]: row["token"] for row in csv.DictReader(rows)}
    differences = []
    for log in opened.logs:
        for name in opened.scene_groups(log):
            (result,) = evaluate_group(opened.scene_group(name), {"straight": Straight()}, "log-replay")
            theirs = np.array([official[tokens[scene]] for scene in result.scenes.tokens])
            differences.append(np.abs(result.scenes.metrics - theirs))
    print(f"{len(official)} scenes of NAVSIM's, {sum(map(len, differences))} of Swerve's")
    for metric, largest in zip(METRICS, np.concatenate(differences).max(axis=0), strict=True):
        print(f"{metric:<32} {largest:.1e}")


if __name__ == "__main__":
    main()
