"""Compute a metric of your own beside NAVSIM's sub-scores: `python examples/own_metric.py`."""

import numpy as np
from jaxtyping import Bool, Float

import swerve
from swerve.eval import Scores, State

# m/s2 and m/s3; a braking that passengers notice.
HARDEST_BRAKING, HIGHEST_JERK = 2.0, 4.0


def smooth_braking(scores: Scores) -> Bool[np.ndarray, "n"]:
    """Return whether each simulated drive keeps within bounds on deceleration and longitudinal jerk.

    `scores.states` holds (n, 41, 11) simulated states at 10 Hz in the world frame, whose columns `State` names: what
    the tracker and the bicycle model made of each trajectory, which is what NAVSIM's metrics are computed from as well.
    """
    acceleration = scores.states[:, :, State.ACCELERATION]
    jerk = np.diff(acceleration, axis=1) / 0.1
    return (acceleration.min(axis=1) >= -HARDEST_BRAKING) & (np.abs(jerk).max(axis=1) <= HIGHEST_JERK)


def stopping(speed: float, deceleration: float) -> Float[np.ndarray, "8 3"]:
    """A trajectory that brakes straight ahead: eight poses every 0.5 s in the ego frame."""
    seconds = np.minimum(0.5 * np.arange(1, 9), speed / deceleration)
    return np.stack([speed * seconds - 0.5 * deceleration * seconds**2, np.zeros(8), np.zeros(8)], axis=1)


def main() -> None:
    """Scores three ways to brake in the fastest scene of a log."""
    source = swerve.open_source("town:8")
    scenes = swerve.extract_scenes(source.load(source.names()[-1]), history=2.0, future=4.5)
    speed, scene = max(((float(one.ego.velocity[one.history, 0]), one) for one in scenes), key=lambda pair: pair[0])
    decelerations = (0.5, 1.0, 5.0)
    scores = swerve.score(swerve.build_context(scene), np.stack([stopping(speed, value) for value in decelerations]))
    kept = smooth_braking(scores)
    for row, value in enumerate(decelerations):
        sub_scores = dict(zip(swerve.METRIC_NAMES, scores.metrics[row].round(2).tolist(), strict=True))
        print(f"braking by {value} m/s2: smooth {bool(kept[row])}, EPDMS {scores.pdm_score[row]:.3f}, {sub_scores}")


if __name__ == "__main__":
    main()
