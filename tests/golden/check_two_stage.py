"""Compares `swerve evaluate` with NAVSIM: `python tests/golden/check_two_stage.py FOLDER`.

FOLDER is `golden/cli`, or one of the same form: a two-stage data set in neutral form, and tables that the official
command line wrote for its constant-velocity planner; all that are there are compared. The logs are looked for in the
folder `logs` inside or beside it. The planner is evaluated in the very way of `swerve evaluate`. Prints the scores,
then one line per quantity, and ends with exit code 1 where anything differs by more than 1e-6.
"""

import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from tally import Tally

from swerve.data.sources.neutral.neutral_source import NeutralScene, NeutralSource
from swerve.eval import GroupTokens
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.results import groups_of, result_rows, scores_of
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores, aggregate_two_stage
from swerve.eval.scoring.score_tables import two_stage_rows
from swerve.planners import load_planner
from swerve.scenes.viewpoints import Command, Viewpoint, ViewpointKind

TOLERANCE = 1e-6
TABLES = ("two_stage_reactive_constant_velocity.csv", "two_stage_from_submission.csv")
WEIGHTS = "two_stage_per_token_with_weights.csv"


def check(folder: Path, tally: Tally) -> AggregatedScores:
    """Compares everything that the folder's tables hold; the scores as ours has them."""
    planner = load_planner("constant-velocity")
    evaluated = [
        result
        for case in cases_of(folder)
        for result in evaluate_group(case, {planner.label: planner.planner}, "navsim-reactive")
    ]
    rows = result_rows(evaluated, "navsim-exact")
    tally.equal("failures of the planner", folder.name, rows["error"].to_pylist(), [""] * rows.num_rows)
    groups = groups_of(rows)
    table = aggregate_two_stage(scores_of(rows), groups, "navsim-exact")
    stage_one = {token for group in groups for token in (group.now, group.before)}
    ours = {row["token"]: row for row in two_stage_rows(table, stage_one)}
    if not any((folder / name).is_file() for name in (*TABLES, WEIGHTS)):
        raise SystemExit(f"{folder}: nothing to compare with; looked for {', '.join((*TABLES, WEIGHTS))}")
    for name in TABLES:
        if (folder / name).is_file():
            check_table(folder / name, ours, tally)
    if (folder / WEIGHTS).is_file():
        check_weights(folder / WEIGHTS, table, dict(zip(table.tokens, rows["weight"].to_pylist(), strict=True)), tally)
    return table


def cases_of(folder: Path) -> list[SceneGroup]:
    """The cases of the folder's two-stage file."""
    inside = folder / "logs"
    source = NeutralSource(inside if inside.is_dir() else folder.parent / "logs")
    scenes, mapping = source.follow_ups(folder / "two_stage_neutral.json.gz")
    groups = [GroupTokens(now, before, tuple(pairs)) for now, before, pairs in mapping]
    return [
        SceneGroup(scenes[group.now].scene.log.name, group, {token: frame_of(scenes[token]) for token in group.tokens})
        for group in groups
    ]


def frame_of(entry: NeutralScene) -> BenchmarkScene:
    """A neutral scene as a frame. The form has no cameras and no commands, and no driver in follow-ups."""
    scene = entry.scene
    driven = scene.ego.world_from_ego[scene.history + 1 :] if not entry.follow_up else np.zeros((0, 4, 4))
    viewpoint = Viewpoint(
        scene=scene,
        kind=ViewpointKind.FOLLOW_UP if entry.follow_up else ViewpointKind.LOGGED,
        index=0,
        ego=scene.ego.at(slice(0, scene.history + 1)),
        target=driven,
        human=driven,
        vehicle=scene.log.vehicle,
        cameras=(),
        tracks=scene.tracks,
        command=Command.UNKNOWN,
        parameters={},
    )
    return BenchmarkScene(entry.token, viewpoint, entry.follow_up)


def check_table(file, ours, tally):
    """All columns of all rows, the means of the stages and the combined score included."""
    golden = {row["token"]: row for row in read_table(file)}
    tally.equal(f"{file.stem}: tokens", file.name, sorted(ours), sorted(golden))
    for token in ours.keys() & golden.keys():
        for column, text in golden[token].items():
            if column not in ("", "token", "valid"):
                mine = np.nan if ours[token][column] is None else ours[token][column]
                what = "scores" if column == "score" else "sub-scores"
                tally.close(f"{file.stem}: {what}", f"{token}, {column}", mine, float(text or "nan"), TOLERANCE)


def check_weights(file, table, stored, tally):
    """Weights and the values they go with, token by token."""
    golden = {row["token"]: row for row in read_table(file)}
    tally.equal(f"{file.stem}: tokens", file.name, sorted(table.tokens), sorted(golden))
    for index, token in enumerate(table.tokens):
        if token in golden:
            known = float(golden[token]["weight"])
            tally.close("weights", token, [table.weights[index], stored[token]], [known, known], TOLERANCE)
            values = [float(golden[token][name]) for name in COLUMNS]
            tally.close("values with weights", token, table.values[index], values, TOLERANCE)


def read_table(file):
    with open(file) as stream:
        return list(csv.DictReader(stream))


def main(names):
    """Checks the folders named on the command line."""
    if not names:
        raise SystemExit(__doc__)
    tally = Tally()
    for name in names:
        table = check(Path(name), tally)
        one, two = table.stage_one[-1], table.stage_two[-1]
        print(f"{name}: combined {table.score:.9f}, stage one {one:.9f}, stage two {two:.9f}")
    print(tally.table())
    print(f"{tally.mismatches} mismatches in {len(names)} folders")
    return 1 if tally.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
