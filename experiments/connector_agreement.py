"""Measure how well derived connectors agree with flagged ones: `python -m experiments.connector_agreement SOURCE...`.

Sources are those of `swerve` whose maps say which lanes lead through an intersection: `town:500-559`, `av2:FOLDER`.
For each: precision and recall over all its lanes for vehicles, with 95 % intervals that resample logs.
"""

import sys

import numpy as np
from jaxtyping import Int

from swerve.data import open_source
from swerve.data.sources.derived_connectors import connectors_of
from swerve.scenes import LaneType, RoadMap, SwerveError

_RESAMPLES = 10_000


def agreement(road_map: RoadMap) -> Int[np.ndarray, "3"]:
    """Count a map's lanes for vehicles: derived and flagged, derived alone, flagged alone."""
    lanes = [one for one in road_map.lanes if one.kind is not LaneType.BICYCLE]
    derived = connectors_of(lanes)
    found = np.array([one.id in derived for one in lanes])
    flagged = np.array([one.is_connector for one in lanes])
    return np.array([(a & b).sum() for a, b in ((found, flagged), (found, ~flagged), (~found, flagged))])


def _ratios(counts: Int[np.ndarray, "n 3"]) -> np.ndarray:
    """Return precision and recall of pooled counts with their intervals: (2, 3) of estimate, low, high."""
    picked = np.random.default_rng(0).integers(len(counts), size=(_RESAMPLES, len(counts)))
    pooled = np.concatenate([counts.sum(0)[None], counts[picked].sum(1)])
    ratios = pooled[:, :1] / np.maximum(pooled[:, :1] + pooled[:, 1:], 1)
    return np.stack([ratios[0], *np.quantile(ratios[1:], [0.025, 0.975], axis=0)], axis=1)


def main(texts: list[str]) -> None:
    for text in texts:
        source = open_source(text)
        counts = np.array([agreement(source.load(name).road_map) for name in source.names()])
        (precision, recall), lanes = _ratios(counts), counts.sum(0)
        print(
            f"{text}: {len(counts)} logs, {lanes[0] + lanes[2]} connectors; "
            + "; ".join(
                f"{name} {row[0]:.3f} [{row[1]:.3f}, {row[2]:.3f}]"
                for name, row in (("precision", precision), ("recall", recall))
            )
        )


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except SwerveError as error:
        sys.exit(str(error))
