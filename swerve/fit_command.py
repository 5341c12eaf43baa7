"""Run `swerve fit`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.storage.files import safe_name
from swerve.data.storage.mirror import shown
from swerve.job_report import execution_of, open_sources, show_failures, stoppable
from swerve.options.fit import Fit


def run(args: Fit) -> int:
    """Fit splat scenes, print their quality, and return the exit code."""
    from swerve.data.splats.fit_job import fit_logs  # it needs torch

    console = results_console()
    with stoppable():
        report = fit_logs(
            open_sources(args.sources, args.navsim_split),
            args.out,
            _resolved(args.options),
            progress_console(),
            execution_of(args),
            args.checkpoint_seconds,
        )
    show_report(console, args.out, report.fits)
    show_failures(console, report.failures)
    return 1 if report.failures else 0


def _resolved(options: SceneOptions) -> SceneOptions:
    """Return the options with densification within the steps, and the whole path of the masks."""
    fit = replace(options.fit, densification=options.fit.densification.within(options.fit.steps))
    return replace(options, fit=fit, masks=str(Path(options.masks).resolve()) if options.masks else "")


def show_report(console: Console, folder: Path, fits: dict[str, dict[str, Any]]) -> None:
    """Print the quality of the scenes, and where their previews are."""
    from swerve.data.splats.fit_log import PREVIEW  # it needs torch

    table = Table("log", "Gaussians", "minutes", "photos", "images", "PSNR", "SSIM", box=None)
    for log, fit in fits.items():
        # Fits of earlier versions do not state the quality of fitted photos.
        measures = {"fitted": fit.get("fitted"), "held out": fit["held_out"]}
        measures |= {"held out, exposure of neighbours": fit["held_out_exposed"]}
        for what, quality in (measures | fit["test_cameras"]).items():
            if quality:
                numbers = (str(quality["images"]), f"{quality['psnr']:.2f}", f"{quality['ssim']:.3f}")
                table.add_row(cell(log), str(fit["gaussians"]), f"{fit['seconds'] / 60:.1f}", cell(what), *numbers)
    if table.row_count:
        print_table(console, table)
    console.print(f"in {shown(folder)}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    for log in fits:
        path = folder / safe_name(log) / PREVIEW
        if path.is_file():
            text = f"preview of {log}, photos above renderings: {shown(path)}"
            console.print(text, highlight=False, soft_wrap=True, markup=False, emoji=False)
