"""Evaluate a standing, a constant-velocity and the logged driver on made-up WOD-E2E records: `python -m
experiments.wod_e2e_figures OUT`.

Records are written field by field as in the data set: circles driven at constant acceleration, each rated at its last
frame: as logged, slower, and another way. They show that the evaluation works; real data have other figures. With
--official FILE, Waymo's rater_feedback_utils.py, its function computes the scores again from the planned positions.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from experiments.check_rfs_oracle import official_function
from swerve.consoles import results_console
from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.rater_feedback.frame_planning import initial_speed
from swerve.evaluate_wod_e2e import print_rater_feedback
from swerve.evaluation import evaluate_planners
from swerve.options.evaluate import EvaluateOptions
from tests.support.e2e_records import FUTURE, MadeFrame, circle, encode_frame
from tests.support.waymo_log import write_records

CLUSTERS = ("Construction", "Intersections", "Pedestrians", "Cyclists", "Multi-lane", "Single-lane", "Cut-ins")
PLANNERS = ("stationary", "constant-velocity", "human")


def made_frame(generator: np.random.Generator, name: str) -> MadeFrame:
    """Return a rated frame of a random drive."""
    speed, curvature = generator.uniform(0, 18), generator.normal(0, 0.02)
    acceleration = generator.normal(0, 0.8)
    seconds = np.append(FUTURE, 5.25)
    rated = (
        circle(speed, curvature, seconds, acceleration),
        circle(speed, curvature, seconds, acceleration - 1.5),
        circle(speed, curvature + generator.choice([-0.02, 0.02]), seconds, acceleration + 0.5),
    )
    scores = (generator.uniform(7, 10), generator.uniform(4, 9), generator.uniform(0, 6))
    return MadeFrame(name, speed, curvature, acceleration, int(generator.integers(1, 4)), rated, scores)


def write_data(folder: Path, sequences: int, seed: int) -> Path:
    """Write a shard with a rated frame of each sequence, and the clusters."""
    generator = np.random.default_rng(seed)
    names = [f"{index:032x}" for index in range(sequences)]
    records = [encode_frame(made_frame(generator, f"{name}-120"), cameras=(1,)) for name in names]
    write_records(folder / "val_made_up.tfrecord-00000-of-00001", *records)
    clusters = {name: {"scenario_cluster": CLUSTERS[row % len(CLUSTERS)]} for row, name in enumerate(names)}
    (folder / "val_sequence_name_to_scenario_cluster.json").write_text(json.dumps(clusters))
    return folder


def largest_difference(official, data: Path, results: Path) -> tuple[int, float]:
    """Return the number of results, and how far Waymo's function is from the scores of any."""
    source = WodE2eSource(data)
    rows = pq.read_table(results / "results.parquet").to_pylist()
    differences = []
    for row in rows:
        frame = source.frame(source.index().by_name[row["frame"]])
        found = official(
            np.stack([row["x"], row["y"]], axis=1)[None, None],
            np.ones((1, 1)),
            [list(frame.rated.trajectories)],
            [frame.rated.scores],
            np.array([initial_speed(frame)]),
        )
        differences.append(abs(float(found["rater_feedback_score"][0]) - row["rfs"]))
    return len(rows), max(differences)


def main() -> int:
    """Write, evaluate, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--sequences", type=int, default=70)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--official", type=Path, help="rater_feedback_utils.py of waymo-open-dataset")
    args = parser.parse_args()
    (args.out / "data").mkdir(parents=True)
    data, results, console = args.out / "data", args.out / "results", results_console()
    write_data(data, args.sequences, args.seed)
    evaluation = evaluate_planners(f"wod_e2e:{data}", PLANNERS, results, EvaluateOptions(), 2, console)
    print_rater_feedback(evaluation.summary, console)
    official = official_function(args.official)
    if official is None:
        console.print("Waymo's function is not at hand: scores were not compared with it")
        return 0
    count, worst = largest_difference(official, data, results)
    console.print(f"Waymo's function on the same {count} plans: largest difference {worst:.1e}")
    return 1 if worst > 1e-9 else 0


if __name__ == "__main__":
    sys.exit(main())
