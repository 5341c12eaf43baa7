"""Compares scores with the tables that NAVSIM's scripts wrote (`answers/cli/*.csv`)."""

import csv
import gzip
import json

import numpy as np

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group, evaluate_scenes
from swerve.eval.benchmark.evaluate.results import groups_of, result_rows, scores_of
from swerve.eval.benchmark.navsim_benchmark import open_navsim_benchmark
from swerve.eval.scoring.aggregate import aggregate_two_stage, one_stage
from swerve.eval.scoring.score_tables import one_stage_rows, two_stage_rows
from swerve.planners import load_planner
from swerve.scenes.planning import Trajectory

TOLERANCE = 1e-6
# Planners of ours that plan what the official agents do.
PLANNERS = {"constant_velocity_agent": "constant-velocity", "human_agent": "human"}
# Tables: how their names begin, the split, and the traffic policy.
TABLES = (
    ("one_stage", "oracle_one_stage", "log-replay"),
    ("two_stage_log_replay", "oracle_two_stage", "log-replay"),
    ("two_stage_small", "oracle_two_stage_small", "navsim-reactive"),
    ("two_stage", "oracle_two_stage", "navsim-reactive"),
    ("from_submission_log_replay", "oracle_two_stage", "log-replay"),
)
# Of scenes, all columns but these are 0, 0.5 or 1.
CONTINUOUS = ("ego_progress", "score")


def check(folder, root, tally):
    """Compares all tables whose agent we have or whose plans are among the answers."""
    answered = _answered_plans(folder)
    for file in sorted((folder / "answers" / "cli").glob("*.csv")):
        kind, split, policy = next(one for one in TABLES if file.stem.startswith(one[0]))
        agent = file.stem.removeprefix(f"{kind}_")
        benchmark = open_navsim_benchmark(
            navsim_folders(str(root)), read_split(folder / "config" / "train_test_split" / f"{split}.yaml")
        )
        planner = _planner(agent, benchmark, answered.get(split, {}))
        if planner is not None:
            rows = (_one_stage if kind == "one_stage" else _two_stage)(benchmark, planner, policy)
            _check_table(file, rows, tally)


class Replayed:
    """Planner that returns stored plans in the order of the scenes that it is asked for, by their times and logs."""

    cameras = ()
    privileged = True

    def __init__(self, plans):
        self.plans = plans

    def plan(self, observation):
        key = observation.time_us, tuple(np.round(observation.privileged.ego[3:7], 6))
        return Trajectory(np.array(self.plans[key], dtype=np.float64), 0.5)


def _planner(agent, benchmark, answered):
    if agent in PLANNERS:
        return load_planner(PLANNERS[agent]).planner
    tokens = [*benchmark.index.logged, *benchmark.index.synthetic]
    if any(token not in answered for token in tokens):
        return None
    plans = {}
    for token in tokens:
        frame = benchmark.index.load(token).current
        motion = np.concatenate([frame.ego_velocity, frame.ego_acceleration]).astype(np.float64)
        plans.setdefault((frame.timestamp_us, tuple(np.round(motion, 6))), answered[token]["poses"])
    return Replayed(plans) if len(plans) == len(tokens) else None


def _answered_plans(folder):
    """Returns the plans of the camera agent by split and token."""
    file = folder / "answers" / "navsim.json.gz"
    if not file.is_file():
        return {}
    with gzip.open(file, "rt") as stream:
        answers = json.load(stream)
    return {split: known["camera_agent"] for split, known in answers.items() if "camera_agent" in known}


def _two_stage(benchmark, planner, policy):
    names = [name for log in benchmark.logs for name in benchmark.scene_groups(log)]
    results = [one for name in names for one in evaluate_group(benchmark.scene_group(name), {"it": planner}, policy)]
    rows = result_rows(results, "navsim-exact")
    groups = groups_of(rows)
    table = aggregate_two_stage(scores_of(rows), groups, "navsim-exact")
    return two_stage_rows(table, {token for group in groups for token in (group.now, group.before)})


def _one_stage(benchmark, planner, policy):
    scenes = [benchmark.scene(token, benchmark.origin_of(token)) for token in benchmark.index.logged]
    return one_stage_rows(one_stage(evaluate_scenes(scenes, {"it": planner}, policy)[0].scenes))


def _check_table(file, rows, tally):
    mine = {row["token"]: row for row in rows}
    with open(file) as stream:
        known = {row["token"]: row for row in csv.DictReader(stream)}
    tally.equal(f"{file.stem}: tokens", file.name, sorted(mine), sorted(known))
    columns = [column for column in next(iter(known.values())) if column]
    tally.equal(f"{file.stem}: columns", file.name, list(rows[0]), columns)
    for token in mine.keys() & known.keys():
        for column in columns[2:]:
            value = np.nan if mine[token][column] is None else mine[token][column]
            discrete = not column.startswith(CONTINUOUS) and len(token) <= 17
            where, golden = f"{token}, {column}", float(known[token][column] or "nan")
            what = "discrete" if discrete else "continuous"
            tally.close(f"{file.stem}: {what}", where, value, golden, 0.0 if discrete else TOLERANCE)
