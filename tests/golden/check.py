"""Compares Swerve with what the official NAVSIM code answered: `python tests/golden/check.py FILE...`.

Files are those of the golden folder (see its README) or others of the same form; their logs are looked for in `logs/`
beside them. Prints one line per quantity and ends with exit code 1 where anything differs.
"""

import csv
import gzip
import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from tally import Tally

from swerve.data.sources.neutral.neutral_log import parse_log
from swerve.data.sources.neutral.neutral_source import NeutralSource, read_document, scene_of
from swerve.eval import METRIC_NAMES, Context, build_context, score, score_scenes, simulate, simulate_navsim_idm
from swerve.eval.context.map_polygons import Layer
from swerve.eval.scoring.aggregate import (
    COLUMNS,
    GroupTokens,
    ScoredScenes,
    consecutive_pairs,
    one_stage,
    proximity_weights,
    two_stage,
)
from swerve.eval.scoring.comfort import extended_comfort, plan_differences
from swerve.eval.scoring.score_tables import one_stage_rows, two_stage_rows
from swerve.eval.scoring.sub_scores import Metric
from swerve.eval.scoring.trajectories import references_of

STATES, TOTALS, TRACKS = 1e-8, 1e-6, 2e-6  # the golden files round states to 1e-9, reactive tracks to 1e-6
POLICIES = {
    "non_reactive": "log-replay",
    "constant_velocity": "constant-velocity",
    "reactive": "navsim-reactive",
}
PRODUCT_ORDER = [Metric.NO_AT_FAULT_COLLISIONS, Metric.DRIVABLE_AREA_COMPLIANCE, Metric.TRAFFIC_LIGHT_COMPLIANCE]
PRODUCT_ORDER += [Metric.DRIVING_DIRECTION_COMPLIANCE]


def check_file(path: Path, tally: Tally) -> None:
    """Checks whatever the file holds."""
    golden = read(path)
    if isinstance(golden, list):
        check_extended_comfort(path, golden, tally)
    elif golden["schema"] == "ps-golden-aggregation/1":
        check_aggregation(golden, tally)
    elif golden["schema"] == "ps-golden/1":
        check_scenes(path, golden, tally)
    elif golden["schema"] == "ps-neutral-two-stage/1":
        check_command_line(path, tally)
    else:
        raise SystemExit(f"{path}: unknown schema {golden['schema']!r}")


def read(path):
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as stream:
        return json.load(stream)


@lru_cache(maxsize=8)
def log_of(folder: Path, name: str):
    files = [file for file in sorted((folder / "logs").glob("*.json*")) if read_document(file)["log_name"] == name]
    if not files:
        raise SystemExit(f"{folder / 'logs'}: no log {name!r}")
    document = read_document(files[0])
    return files[0], document, parse_log(document, files[0])


def check_scenes(path, golden, tally):
    file, document, log = log_of(path.parent, golden["log"])
    policy = POLICIES[golden["policy"]]
    for item in golden["scenes"]:
        entry = scene_of(document, item["scene"], file, log)
        context = build_context(entry.scene, entry.token, entry.follow_up)
        check_context(context, item["derived"], tally)
        poses = np.array([trajectory["poses"] for trajectory in item["trajectories"]])
        scores = score(context, poses, policy=policy)
        check_scores(entry.token, scores, item["trajectories"], tally)
        if "batch" in item:
            check_batch(context, poses, item["batch"], tally)
        if "human_reactive_tracks" in item:
            check_reactive(context, item["human_reactive_tracks"], item["trajectories"], tally)


def check_context(context: Context, derived, tally):
    where = context.token
    reference_us = context.start_us + 100_000 * np.arange(51)
    tally.close("context: ego state", where, context.ego[:7], derived["ego_state"], STATES)
    if derived["human_trajectory"] is not None and context.human is not None:
        tally.close("context: human trajectory", where, context.human, derived["human_trajectory"], STATES)
    tally.close("context: PDM reference", where, context.reference, derived["pdm_reference"], STATES)
    tally.equal("context: PDM reference times", where, reference_us, derived["pdm_reference_t_us"])
    tally.close("context: centreline", where, context.scoring_map.centerline, derived["centerline"], STATES)
    tally.equal("context: route lanes", where, context.route_lanes, derived["route_lane_ids"])
    surfaces = context.scoring_map.surfaces
    layers = [Layer(layer).name for layer in surfaces.layers]
    mine = [list(pair) for pair in zip(surfaces.ids, layers, strict=True)]
    tally.equal("context: drivable map, in order", where, mine, derived["drivable_map"])
    present, lights = context.traffic.present, context.lights.active
    counts = present.sum(axis=1)
    names = [f"red_light_{lane}" for lane in context.lights.lane_ids]
    for step in (0, 40):
        tokens = [track for track, here in zip(context.traffic.ids, present[step], strict=True) if here]
        tokens += [name for name, on in zip(names, lights[step], strict=True) if on]
        known = derived[f"tokens_step{step}"]
        with_lights = any(token.startswith("red_light") for token in known)
        tokens = tokens if with_lights else [token for token in tokens if not token.startswith("red_light")]
        tally.equal(f"context: tracks at step {step}", where, sorted(tokens), sorted(known))
    known = np.array(derived["num_tracks_per_step"])
    counts = counts + lights.sum(axis=1) if len(derived["tokens_step0"]) == known[0] and names else counts
    tally.equal("context: number of tracks", where, counts, known)


def check_scores(where, scores, trajectories, tally):
    for kind, mine in (("raw", scores.raw), ("filtered", scores.metrics)):
        golden = [trajectory[kind] for trajectory in trajectories]
        for column, name in enumerate(METRIC_NAMES):
            tolerance = TOTALS if name == "ego_progress" else 0.0
            tally.close(f"{kind}: {name}", where, mine[:, column], [one[name] for one in golden], tolerance)
        product = mine[:, PRODUCT_ORDER].prod(axis=1)
        tally.close(f"{kind}: product", where, product, [one["multiplicative_metrics_prod"] for one in golden])
        weighted = [one["weighted_metrics"][:4] for one in golden]
        tally.close(f"{kind}: weighted metrics", where, mine[:, Metric.EGO_PROGRESS :], weighted, TOTALS)
    raw = [trajectory["raw"] for trajectory in trajectories]
    tally.close("raw: pdm_score", where, scores.raw_pdm_score, [one["pdm_score"] for one in raw], TOTALS)
    progress = np.column_stack([scores.reference_sub_scores.progress, scores.sub_scores.progress])
    tally.close("raw: metres of progress", where, progress, [one["progress_raw"] for one in raw], TOTALS)
    reference_sub_scores = [one["reference"]["multiplicative"] for one in raw]
    tally.close(
        "reference: multiplicative", where, scores.reference_sub_scores.metrics[:, PRODUCT_ORDER], reference_sub_scores
    )
    reference_sub_scores = [one["reference"]["weighted"][1:4] for one in raw]
    tally.close(
        "reference: TTC, LK, HC",
        where,
        scores.reference_sub_scores.metrics[:, Metric.EGO_PROGRESS + 1 :],
        reference_sub_scores,
    )
    for key, steps in (("collision", scores.sub_scores.collision), ("ttc", scores.sub_scores.ttc)):
        golden = [-1 if one[f"{key}_time_idx"] is None else one[f"{key}_time_idx"] for one in raw]
        tally.close(f"raw: step of {key}", where, steps[:, 0], golden)
    for row, bit in enumerate((1, 2, 4)):
        name = ("multiple lanes", "non drivable", "oncoming")[row]
        golden = [[int(step) for step in one["ego_areas"][row]] for one in raw]
        tally.close(f"ego areas: {name}", where, (scores.sub_scores.areas & bit) // bit, golden)
    final = [trajectory["final_state"] for trajectory in trajectories]
    tally.close("simulation: final states", where, scores.states[:, -1], final, STATES)
    for index, trajectory in enumerate(trajectories):
        if trajectory.get("simulated_states"):
            tally.close("simulation: all states", where, scores.states[index], trajectory["simulated_states"], STATES)


def check_batch(context, poses, batch, tally):
    """The reference and all trajectories in one call, progress compared among all of them."""
    scores, where = score(context, poses, progress_reference="batch", human_filter=False), context.token
    tally.close("batch: multiplicative", where, scores.raw[:, PRODUCT_ORDER].T, np.array(batch["multi"])[:, 1:])
    weighted = np.array(batch["weighted"])[:4, 1:]
    tally.close("batch: weighted", where, scores.raw[:, Metric.EGO_PROGRESS :].T, weighted, TOTALS)
    tally.close("batch: metres of progress", where, scores.sub_scores.progress, batch["progress_raw"][1:], TOTALS)
    tally.close("batch: pdm_score", where, scores.raw_pdm_score, batch["pdm_score"][1:], TOTALS)
    tally.close("batch: final states", where, scores.states[:, -1], batch["final_states"][1:], STATES)


def check_reactive(context, tracks, trajectories, tally):
    """The others' boxes while the human's trajectory is simulated among reactive agents."""
    poses = np.array([one["poses"] for one in trajectories if one["name"] == "human"])
    states = simulate(context.ego, references_of(poses, context.ego[:3], context.start_us))
    traffic = simulate_navsim_idm(context, states[0])
    for step, golden in tracks.items():
        here = traffic.present[int(step)]
        mine = {
            track: [*pose, *size, *velocity]
            for track, pose, size, velocity, shown in zip(
                traffic.ids, traffic.poses[int(step)], traffic.sizes, traffic.velocities[int(step)], here, strict=True
            )
            if shown
        }
        known = {row[0]: row[2:] for row in golden}
        where = f"{context.token}, step {step}"
        tally.equal("reactive: tracks", where, sorted(mine), sorted(known))
        for track in mine.keys() & known.keys():
            turn = mine[track][2] - known[track][2]
            mine[track][2] -= 2 * np.pi * round(turn / (2 * np.pi))
            tally.close("reactive: boxes and velocities", f"{where}, {track}", mine[track], known[track], TRACKS)


def check_extended_comfort(path, golden, tally):
    """Pairs of frames whose trajectories are in the other files of the folder."""
    scenes = {}
    for file in sorted(path.parent.glob("*.json.gz")):
        content = read(file)
        if isinstance(content, dict) and content.get("policy") == "non_reactive":
            scenes |= {item["scene"]["token"]: item for item in content["scenes"]}
    for pair in golden:
        now, before = (_states(scenes[pair[key]], pair[f"{key}_name"]) for key in ("now", "prev"))
        _check_comfort_pair(f"{pair['now']} {pair['now_name']}", now, before, pair, pair["overlap_start"], tally)


def _states(item, name):
    derived = item["derived"]
    ego = np.zeros(11)
    ego[:7] = derived["ego_state"]
    poses = np.array([one["poses"] for one in item["trajectories"] if one["name"] == name])
    return simulate(ego, references_of(poses, ego[:3], derived["pdm_reference_t_us"][0]))


def _check_comfort_pair(where, now, before, golden, steps, tally):
    rms = [golden["rms"][key] for key in ("acceleration", "jerk", "yaw_rate", "yaw_accel")]
    tally.close("extended comfort: RMS differences", where, plan_differences(now, before, steps)[0], rms, TOTALS)
    tally.close("extended comfort", where, extended_comfort(now, before, steps)[0], float(golden["comfort"]))


def check_aggregation(golden, tally):
    for case in golden["two_stage"]:
        groups = [GroupTokens(now, before, tuple(map(tuple, pairs))) for now, before, pairs in case["mapping"]]
        table, where = two_stage(_frames(case["rows"]), groups), f"two-stage seed {case['seed']}"
        for token, values, weight in zip(table.tokens, table.values, table.weights, strict=True):
            known = case["per_token"][token]
            mine = [values[COLUMNS.index("two_frame_extended_comfort")], weight, values[COLUMNS.index("score")]]
            golden_values = [known["two_frame_extended_comfort"], known["weight"], known["score"]]
            tally.close("two-stage: EC, weight and score", f"{where}, {token}", mine, golden_values, TOTALS)
        for name, mine in (("group", table.combined), ("stage_one", table.stage_one), ("stage_two", table.stage_two)):
            tally.close(f"two-stage: {name}", where, mine, [case[name][column] for column in COLUMNS], TOTALS)
    for case in golden["one_stage"]:
        frames = _frames(case["rows"])
        table, where = one_stage(frames), f"one-stage seed {case['seed']}"
        pairs = {frames.tokens[now]: frames.tokens[before] for now, before in consecutive_pairs(frames)}
        tally.equal("one-stage: neighbours", where, sorted(pairs.items()), sorted(case["adjacent"].items()))
        for token, values in zip(table.tokens, table.values, strict=True):
            known = case["per_token"][token]
            golden_values = [known["two_frame_extended_comfort"], known["score"]]
            tally.close("one-stage: EC and score", f"{where}, {token}", values[-2:], golden_values, TOTALS)
        tally.close("one-stage: average", where, table.combined, [case["average"][key] for key in COLUMNS], TOTALS)
    for index, case in enumerate(golden["weights"]):
        mine = proximity_weights(np.array(case["endpoint"]), np.array(case["starts"]), "navsim-exact")
        tally.close("proximity weights", f"case {index}", mine, case["weights"], TOTALS)
    for index, case in enumerate(golden["extended_comfort"]):
        now, before = np.array(case["current"])[None], np.array(case["previous"])[None]
        _check_comfort_pair(f"aggregation case {index}", now, before, case, 0, tally)


def check_command_line(path, tally):
    """The tables that the official command line wrote for a two-stage data set, in the same folder."""
    beside = path.parent / "logs"
    source = NeutralSource(beside if beside.is_dir() else path.parent.parent / "logs")
    scenes, mapping = source.follow_ups(path)
    groups = [GroupTokens(now, before, tuple(pairs)) for now, before, pairs in mapping]
    contexts = [build_context(one.scene, one.token, one.follow_up) for one in scenes.values()]
    plans = {context.token: constant_velocity(context) for context in contexts}
    table = two_stage(score_scenes(contexts, plans, "navsim-reactive"), groups)
    rows = two_stage_rows(table, {token for group in groups for token in (group.now, group.before)})
    for name in ("two_stage_reactive_constant_velocity.csv", "two_stage_from_submission.csv"):
        _check_table(path.parent / name, rows, tally)
    with open(path.parent / "two_stage_per_token_with_weights.csv") as stream:
        for row in csv.DictReader(stream):
            mine = table.weights[table.tokens.index(row["token"])]
            tally.close("command line: weights", row["token"], mine, float(row["weight"]), TOTALS)
    log = read(path)["log"]
    for agent, plan in (("human_agent", lambda context: context.human), ("constant_velocity_agent", constant_velocity)):
        file = path.parent / f"one_stage_non_reactive_{agent}.csv"
        with open(file) as stream:
            tokens = [row["token"] for row in csv.DictReader(stream)][:-1]
        entries = source.scenes(log)
        contexts = [build_context(entries[token].scene, token) for token in tokens]
        frames = score_scenes(contexts, {context.token: plan(context) for context in contexts}, "log-replay")
        _check_table(file, one_stage_rows(one_stage(frames)), tally)


def constant_velocity(context):
    """NAVSIM's constant-velocity agent."""
    along = np.hypot(*context.ego[3:5]) * 0.5 * np.arange(1, 9)
    return np.column_stack([along, np.zeros((8, 2))])


def _check_table(file, rows, tally):
    mine = {row["token"]: row for row in rows}
    with open(file) as stream:
        golden = {row["token"]: row for row in csv.DictReader(stream)}
    tally.equal(f"command line: {file.stem[:26]}, rows", file.name, sorted(mine), sorted(golden))
    for token in mine.keys() & golden.keys():
        for column, text in golden[token].items():
            if column not in ("", "token", "valid"):
                value = np.nan if mine[token][column] is None else mine[token][column]
                where, known = f"{token}, {column}", float(text or "nan")
                tally.close(f"command line: {file.stem[:26]}", where, value, known, TOTALS)


def _frames(rows):
    points = [
        np.array([[row[f"{kind}_{axis}"] for axis in "xy"] for row in rows], float)
        for kind in ("start_point", "endpoint")
    ]
    return ScoredScenes(
        tokens=tuple(row["token"] for row in rows),
        logs=tuple(row["log_name"] for row in rows),
        times_us=np.array([round(row["start_time"] * 1e6) for row in rows], np.int64),
        metrics=np.array([[row[name] for name in METRIC_NAMES] for row in rows]),
        states=np.array([row["ego_simulated_states"] for row in rows]),
        starts=points[0],
        ends=points[1],
    )


def main(names):
    """Checks the files named on the command line."""
    if not names:
        raise SystemExit(__doc__)
    tally = Tally()
    for name in names:
        check_file(Path(name), tally)
    print(tally.table())
    print(f"{tally.mismatches} mismatches in {len(names)} files")
    if not tally.lines:
        print("nothing was compared: the files hold no scenes")
    return 1 if tally.mismatches or not tally.lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
