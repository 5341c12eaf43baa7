"""Measure precision and recall of the splat gate: `python -m experiments.gate_recall SOURCE FITS [--photo-interval 2]`.

Views of towns at the poses of held-out photos and at offsets from them are compared with true images, which exist at
every pose of a town. A view is bad if its PSNR after the best affine change of colours is below 20 dB. Thresholds are
those of `GateOptions`, in two groups: agreement with the raster, and distance from the photos of the fit. FITS is the
folder that `swerve fit SOURCE FITS` wrote. Intervals are of 95 % (Clopper and Pearson); views of one log are not
independent, so they are too narrow.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from swerve.data import open_source
from swerve.data.splats.fit_outputs import read_fit_options
from swerve.data.splats.log_images import images_of_log, training_poses
from swerve.data.splats.splat_files import read_splats
from swerve.data.storage.files import safe_name
from swerve.eval.splat_quality import FittedPhotos, GateOptions
from swerve.eval.splat_quality.evaluation_poses import POSE_OFFSETS, PoseOffset, evaluation_poses
from swerve.eval.splat_quality.measure import measure
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.view_comparison import ComparisonSetup
from swerve.rasterizer import StaticLayer
from swerve.scenes import Log
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import build_log_geometry

BAD = 20.0
WIDE_OFFSETS = (
    *(PoseOffset(lateral=lateral) for lateral in (4.0, -4.0, 7.0, -7.0)),
    PoseOffset(along=15.0),
    *(PoseOffset(turn=float(np.deg2rad(turn))) for turn in (40.0, -40.0, 86.0, -86.0)),
)
GROUPS = {
    "agreement": GateOptions(distance=np.inf, seen=0.0),
    "photos": GateOptions(depth_error=1.0, covered=0.0),
    "distance": GateOptions(depth_error=1.0, covered=0.0, seen=0.0),
    "seen": GateOptions(depth_error=1.0, covered=0.0, distance=np.inf),
    "all": GateOptions(),
}

Row = dict[str, Any]


def view_rows(log: Log, folder: Path, interval: float) -> list[Row]:
    """Measure the views of a fitted log."""
    options = read_fit_options(folder)
    photos = FittedPhotos(training_poses(log, options))
    static_layer = StaticLayer(build_static(log.road_map))
    truth = ReferenceImages(log, options.fit.seed)
    setup = ComparisonSetup(read_splats(folder), log, static_layer, truth, GateOptions(), photos)
    places = evaluation_poses(
        build_log_geometry(log), images_of_log(log, options), interval, (*POSE_OFFSETS, *WIDE_OFFSETS)
    )
    return [row | {"log": log.name} for row in measure(setup, places, -1).rows if row["psnr_aligned"] is not None]


def is_unfit(row: Row, options: GateOptions) -> bool:
    """Return whether a view misses a threshold; numbers that were not measured miss none."""
    distance = np.inf if row["distance"] is None else row["distance"]
    above = ((row["depth_error"], options.depth_error), (distance, options.distance))
    below = ((row["covered"], options.covered), (row["seen"], options.seen))
    return any(value is not None and value > most for value, most in above) or any(
        value is not None and value < least for value, least in below
    )


def is_on_grid(row: Row) -> bool:
    """Return whether a view lies within the grid of follow-ups, and is not turned."""
    return abs(row["lateral"]) <= 2 and row["along"] <= 5 and row["turn"] == 0


def share(count: int, total: int) -> str:
    """Format a share with its interval."""
    if not total:
        return "-"
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    return f"{count}/{total} = {count / total:.0%} [{low:.0%}, {high:.0%}]"


def report(title: str, rows: Iterable[Row]) -> Iterator[str]:
    """Yield lines: for each group of thresholds, views flagged, precision and recall."""
    rows = list(rows)
    bad = np.array([row["psnr_aligned"] < BAD for row in rows], bool)
    yield f"{title}: {len(rows)} views, {bad.sum()} bad"
    for name, options in GROUPS.items():
        flagged = np.array([is_unfit(row, options) for row in rows], bool)
        both = int((bad & flagged).sum())
        yield (
            f"  {name:10} unfit {flagged.sum():4}  precision {share(both, int(flagged.sum())):26}  "
            f"recall {share(both, int(bad.sum()))}"
        )


def main(source_spec: str, fits: Path, interval: float) -> None:
    """Measure all fitted logs of a source, and print the tables."""
    source = open_source(source_spec)
    rows = list[Row]()
    for name in source.names():
        rows += view_rows(source.load(name), fits / safe_name(name), interval)
        print("\n".join(report(name, (row for row in rows if row["log"] == name))), flush=True)
    print("\n".join(report("all", rows)))
    print("\n".join(report("on the grid", filter(is_on_grid, rows))))
    print("\n".join(report("off the grid", (row for row in rows if not is_on_grid(row)))))


if __name__ == "__main__":
    at = sys.argv.index("--photo-interval") if "--photo-interval" in sys.argv else len(sys.argv)
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[at + 1]) if at < len(sys.argv) else 2.0)
