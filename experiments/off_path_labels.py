"""Agreement with annotations beside the path: `python -m experiments.off_path_labels SOURCE SPLATS LOG [SECONDS]`.

Renders a fitted scene of `swerve fit` at held-out photos, and 0.5 to 6 m to either side of those that are SECONDS apart
(4), and prints the means of both sides by distance: PSNR and SSIM against the true image, where it is known, and the
numbers of docs/splat_quality.md.
"""

import sys
from pathlib import Path

from swerve.data import open_source
from swerve.data.splats.fit_outputs import read_fit_options
from swerve.data.splats.log_images import images_of_log, training_poses
from swerve.data.splats.splat_files import read_splats
from swerve.data.storage.files import safe_name
from swerve.eval.splat_quality.evaluation_poses import PoseOffset, evaluation_poses
from swerve.eval.splat_quality.extrapolation import FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.measure import measure
from swerve.eval.splat_quality.quality_summary import mean
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.view_comparison import ComparisonSetup
from swerve.rasterizer import StaticLayer
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import build_log_geometry

SIDES = (0.5, 1.0, 2.0, 4.0, 6.0)
NUMBERS = ("psnr", "ssim", "vehicle_iou", "box_iou", "line_iou", "true_line_iou")


def main(source: str, splats: str, name: str, seconds: float) -> None:
    """Print the table."""
    log, folder = open_source(source).load(name), Path(splats) / safe_name(name)
    options = read_fit_options(folder)
    setup = ComparisonSetup(
        read_splats(folder),
        log,
        StaticLayer(build_static(log.road_map)),
        ReferenceImages(log, options.fit.seed),
        GateOptions(),
        FittedPhotos(training_poses(log, options)),
    )
    offsets = [PoseOffset(lateral=sign * side) for side in SIDES for sign in (1, -1)]
    rows = measure(
        setup, evaluation_poses(build_log_geometry(log), images_of_log(log, options), seconds, offsets), -1
    ).rows
    print("| metres beside the path | views | " + " | ".join(NUMBERS) + " |\n" + "|---" * (len(NUMBERS) + 2) + "|")
    for side in (0.0, *SIDES):
        own = [row for row in rows if abs(row["lateral"]) == side]
        means = [mean(own, number) for number in NUMBERS]
        counts = [sum(row[number] is not None for row in own) for number in NUMBERS]
        cells = [f"{one:.3f} ({count})" if one is not None else "-" for one, count in zip(means, counts, strict=True)]
        print(f"| {side:g} | {len(own)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:4], *(float(one) for one in sys.argv[4:5] or ["4"]))
