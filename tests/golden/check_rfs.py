"""Compares rater feedback scores with the official function's: `python tests/golden/check_rfs.py FILE...`.

Files are those of the golden folder's `rfs` (see its README) or others of the same form. Prints one line per quantity:
cases, mismatches beyond 1e-9, the largest difference; ends with exit code 1 where anything differs.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from tally import Tally

from swerve.eval.rater_feedback.rater_feedback_score import padded_ratings, rater_feedback

TOLERANCE = 1e-9
SCHEMA = "ps-golden-rfs/1"


def check_file(path: Path, tally: Tally) -> None:
    """Compares every case by itself, and those with as many predictions in one batch."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as stream:
        golden = json.load(stream)
    if not isinstance(golden, dict) or golden.get("schema") != SCHEMA:
        raise SystemExit(f"{path}: not a file of schema {SCHEMA!r}")
    arrays = [arrays_of(case) for case in golden["cases"]]
    known = np.array([case["score"] for case in golden["cases"]], float).ravel()
    for index, (case, one) in enumerate(zip(golden["cases"], arrays, strict=True)):
        score = rater_feedback(*(values[None] for values in one)).scores
        tally.close(f"one by one: {kind_of(case)}", f"{path.name}, case {index}", score, known[index], TOLERANCE)
    for count in sorted({one[1].shape[0] for one in arrays}):
        rows = [row for row, one in enumerate(arrays) if one[1].shape[0] == count]
        batch = [np.stack(values) for values in zip(*(arrays[row] for row in rows), strict=True)]
        tally.close(f"batch: predictions={count}", path.name, rater_feedback(*batch).scores, known[rows], TOLERANCE)


def arrays_of(case):
    """Predictions, probabilities, rated trajectories, labels, speed."""
    rated, labels = padded_ratings([np.array(points, float).reshape(-1, 2) for points in case["rated"]], case["labels"])
    return (
        np.array(case["predictions"], float),
        np.array(case["probabilities"], float),
        rated,
        labels,
        np.float64(np.squeeze(case["initial_speed"])),
    )


def kind_of(case):
    """Number of raters and whether their trajectories are shorter than 20 points."""
    short = any(len(points) < 20 for points in case["rated"])
    return f"raters={len(case['rated'])}{', short' if short else ''}"


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
        print("nothing was compared: the files hold no cases")
    return 1 if tally.mismatches or not tally.lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
