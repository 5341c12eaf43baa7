"""Compare the rater feedback score with Waymo's own function on random and edge cases: `python -m
experiments.check_rfs_oracle rater_feedback_utils.py`.

The file is src/waymo_open_dataset/metrics/python/rater_feedback_utils.py of the repository waymo-open-dataset; it needs
numpy alone. Without a file, the installed package waymo_open_dataset is asked, if it has the module (1.6.7 has not).
Prints a line per kind of case, and ends with exit code 1 where a score differs by more than 1e-9.
"""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swerve.eval.rater_feedback.rater_feedback_score import (
    LATERAL_TOLERANCES,
    LONGITUDINAL_TOLERANCES,
    POINTS,
    RATERS,
    padded_ratings,
    rater_feedback,
    tolerances,
)

MODULE = "waymo_open_dataset.metrics.python.rater_feedback_utils"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """One scene: predictions (i, 20, 2), probabilities, ragged rated trajectories, their labels, speed."""

    predictions: np.ndarray
    probabilities: np.ndarray
    rated: list[np.ndarray]
    labels: np.ndarray
    speed: float


def official_function(path: Path | None):
    """Return Waymo's function; None if it is neither given nor installed."""
    if path is None:
        try:
            return importlib.import_module(MODULE).get_rater_feedback_score
        except ImportError:
            return None
    spec = importlib.util.spec_from_file_location("rater_feedback_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_rater_feedback_score


def driven(generator: np.random.Generator, points: int) -> np.ndarray:
    """Return a curve driven at changing speed, which may begin or pause at standstill."""
    speeds = np.maximum(generator.uniform(0, 20) + np.cumsum(generator.normal(0, 0.5, points)), 0.0)
    speeds[generator.random(points) < generator.choice([0.0, 0.3])] = 0.0
    turns = np.cumsum(generator.normal(0, 0.08, points))
    return np.cumsum(0.25 * speeds[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0)


def random_case(generator: np.random.Generator) -> Case:
    """Return predictions near and far from one to five rated trajectories of one to 25 points."""
    raters, count = int(generator.integers(1, 6)), int(generator.integers(1, 5))
    rated = [driven(generator, int(generator.choice([1, 5, 12, 13, 19, 20, 21, 25]))) for _ in range(raters)]
    known = padded_ratings(rated, np.zeros(raters))[0]
    near = known[generator.integers(0, RATERS, count)] + generator.normal(0, 1, (count, 1, 2)) * generator.choice(
        [0.0, 0.3, 2.0, 30.0]
    )
    weights = generator.random(count) + 1e-3
    labels = generator.uniform(0, 10, raters) if generator.random() < 0.5 else generator.integers(0, 11, raters) * 1.0
    return Case(near, weights / weights.sum(), rated, labels, float(generator.choice([0, 1.4, 11, 12, 40, 6.2])))


def boundary_case(generator: np.random.Generator) -> Case:
    """Return a prediction on an edge or a corner of a trust region, or one float to either side of it."""
    along = generator.choice([0.0, 1.0, 2.5])
    rated = np.stack([along * np.arange(1, POINTS + 1), np.zeros(POINTS)], axis=1)
    if generator.random() < 0.5:
        rated = rated[:, ::-1].copy()
    speed = float(generator.choice([0, 1.4, 6.2, 11, generator.uniform(0, 15)]))
    lateral, longitudinal = tolerances(np.array([speed]))
    prediction = rated.copy()
    for step, edge in zip((11, 19), np.stack([longitudinal[0], lateral[0]], axis=1), strict=True):
        offset = edge * generator.choice([-1, 0, 1], 2)
        toward = generator.choice([-np.inf, 0, np.inf])
        prediction[step] += np.nextafter(offset, toward) if toward else offset
    labels = generator.choice([0.0, 3.0, 4.0, 10.0], 1)
    return Case(prediction[None], np.ones(1), [rated], labels, speed)


def standing_case(generator: np.random.Generator) -> Case:
    """Return rated trajectories that stand, from now on or after a move, and predictions around them."""
    rated = []
    for _ in range(RATERS):
        moved = int(generator.integers(0, POINTS + 1))
        step = generator.normal(0, 1, 2) * (np.arange(POINTS) < moved)[:, None]
        rated.append(np.cumsum(step, axis=0))
    offset = generator.choice([0, 1], 2) * np.stack([LONGITUDINAL_TOLERANCES, LATERAL_TOLERANCES], axis=1)[0] / 2
    predictions = np.repeat((rated[0] + offset)[None], 2, axis=0)
    predictions[1] = 0.0
    return Case(predictions, np.array([0.25, 0.75]), rated, generator.uniform(0, 10, 3), float(generator.uniform(0, 3)))


KINDS: dict[str, Callable[[np.random.Generator], Case]] = {
    "random": random_case,
    "on the boundary": boundary_case,
    "standing": standing_case,
}


def largest_difference(official, case: Case) -> float:
    """Return how far the scores of a case, and whether it is inside, are apart."""
    theirs = official(
        case.predictions[None].copy(),
        case.probabilities[None],
        [[points.copy() for points in case.rated]],
        [case.labels.copy()],
        np.array([case.speed]),
    )
    rated, labels = padded_ratings(case.rated, case.labels)
    own = rater_feedback(
        case.predictions[None], case.probabilities[None], rated[None], labels[None], np.array([case.speed])
    )
    differs = np.any(own.inside != theirs["is_fully_within_trust_region"])
    return float("inf") if differs else float(np.abs(own.scores - theirs["rater_feedback_score"]).max())


def compare(official, cases: int, seed: int = 0) -> dict[str, tuple[int, int, float]]:
    """Return by kind the numbers of cases and of mismatches, and the largest difference."""
    found = {}
    share = -(-cases // len(KINDS))
    for kind, make in KINDS.items():
        generator = np.random.default_rng([seed, len(found)])
        differences = np.array([largest_difference(official, make(generator)) for _ in range(share)])
        found[kind] = share, int((~(differences <= TOLERANCE)).sum()), float(differences.max())
    return found


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="rater_feedback_utils.py of waymo-open-dataset")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    official = official_function(args.file)
    if official is None:
        print(f"{MODULE} is not installed: give the path of rater_feedback_utils.py", file=sys.stderr)
        return 2
    found = compare(official, args.cases, args.seed)
    print(f"{'kind of case':<20}{'cases':>8}{'wrong':>8}  largest difference (allowed {TOLERANCE:.0e})")
    for kind, (count, wrong, worst) in found.items():
        print(f"{kind:<20}{count:>8}{wrong:>8}  {worst:.1e}")
    return 1 if any(wrong for _, wrong, _ in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
