"""Agreement with annotations beside the path: `python -m experiments.off_path_labels SOURCE SPLATS LOG [SECONDS]`.

Renders a fitted scene of `swerve fit` at held-out photos, 0.5 to 6 m to either side of the path and turned by 5 to 20
degrees, at times that are SECONDS apart (4), and prints the means of both sides: PSNR and SSIM against the true image,
where it is known, and the numbers of docs/splat_quality.md; with intervals of 95 % by the bootstrap over views, which
are too narrow, because views of one log are not independent.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swerve.data import open_source
from swerve.data.splats.fit_outputs import check_fitted_log, read_fit_options
from swerve.data.splats.log_images import images_of_log, training_poses
from swerve.data.splats.splat_files import read_splats
from swerve.data.storage.files import safe_name
from swerve.eval.splat_quality.evaluation_poses import PoseOffset, evaluation_poses
from swerve.eval.splat_quality.extrapolation import FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.measure import measure
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.view_comparison import ComparisonSetup
from swerve.rasterizer import StaticLayer
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import build_log_geometry

SIDES = (0.5, 1.0, 2.0, 3.0, 6.0)
TURNS = (5.0, 10.0, 20.0)
NUMBERS = ("psnr", "ssim", "vehicle_iou", "box_iou", "line_iou", "true_line_iou")


def main(source: str, splats: str, name: str, seconds: float) -> None:
    """Print the table."""
    log, folder = open_source(source).load(name), Path(splats) / safe_name(name)
    options = read_fit_options(folder)
    check_fitted_log(folder, log)
    setup = ComparisonSetup(
        read_splats(folder),
        log,
        StaticLayer(build_static(log.road_map)),
        ReferenceImages(log, options.fit.seed),
        GateOptions(),
        FittedPhotos(training_poses(log, options)),
    )
    offsets = [PoseOffset(lateral=sign * side) for side in SIDES for sign in (1, -1)]
    offsets += [PoseOffset(turn=float(np.deg2rad(sign * turn))) for turn in TURNS for sign in (1, -1)]
    rows = measure(
        setup, evaluation_poses(build_log_geometry(log), images_of_log(log, options), seconds, offsets), -1
    ).rows
    print("| view | views | " + " | ".join(NUMBERS) + " |\n" + "|---" * (len(NUMBERS) + 2) + "|")
    for side in (0.0, *SIDES):
        print_row(f"{side:g} m beside", [one for one in rows if (abs(one["lateral"]), one["turn"]) == (side, 0.0)])
    for turn in TURNS:
        print_row(f"turned by {turn:g}", [one for one in rows if np.isclose(abs(np.rad2deg(one["turn"])), turn)])


def print_row(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the mean of each number over the views that have it, its interval, and their count."""
    cells = []
    for number in NUMBERS:
        known = np.array([row[number] for row in rows if row[number] is not None])
        if not len(known):
            cells.append("-")
            continue
        drawn = np.random.default_rng(0).integers(0, len(known), (2000, len(known)))
        low, high = np.quantile(known[drawn].mean(axis=1), [0.025, 0.975])
        cells.append(f"{known.mean():.3f} [{low:.3f}, {high:.3f}] ({len(known)})")
    print(f"| {title} | {len(rows)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:4], *(float(one) for one in sys.argv[4:5] or ["4"]))
