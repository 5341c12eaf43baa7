"""`swerve fit`: logs in, scenes of Gaussians out."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from swerve.arguments import words
from swerve.data.sources.registry import open_source
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions, GrowthWay
from swerve.job_report import show_failures, stoppable

_DEFAULTS, _FIT = SceneOptions(), FitOptions()
_WEIGHTS = "What the fit is held to"


class SplatBackendChoice(str, Enum):
    """What draws Gaussians."""

    auto = "auto"
    numba = "numba"
    gsplat = "gsplat"
    gsplat_ut = "gsplat-ut"


class GrowthChoice(str, Enum):
    """How Gaussians are added and taken away."""

    split_and_clone = "split-and-clone"
    mcmc = "mcmc"


def fit(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="kitti:PATH, waymo:PATH, town:COUNT, or a path.")],
    splats: Annotated[Path, typer.Argument(metavar="SPLATS", help="A folder; new, empty, or of this same job.")],
    steps: Annotated[int, typer.Option(help="Photographs that are looked at, again and again.")] = 3000,
    scale: Annotated[float, typer.Option(help="Of the images, over the photographs' size.")] = _DEFAULTS.scale,
    cameras: Annotated[str, typer.Option(help="Names of cameras to fit to, separated by commas. Default: all.")] = "",
    unseen: Annotated[str, typer.Option(help="Names of cameras that only measure the result.")] = "",
    holdout: Annotated[
        int, typer.Option(help="Of each camera every so many-th photograph only measures; 0 for none.")
    ] = _DEFAULTS.holdout,
    every: Annotated[float, typer.Option(help="Seconds between photographs. Default: all.")] = _DEFAULTS.every,
    masks: Annotated[
        Path | None, typer.Option(help="Folder with CAMERA.png: white is not looked at, the car's bonnet.")
    ] = None,
    gaussians: Annotated[int, typer.Option(help="How many there may be.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Of all random choices.")] = _FIT.seed,
    threads: Annotated[int, typer.Option(help="Of the CPU.", min=1)] = _FIT.threads,
    backend: Annotated[
        SplatBackendChoice,
        typer.Option(help="What draws: numba on the CPU, gsplat on an NVIDIA GPU; `swerve info` says more."),
    ] = SplatBackendChoice.auto,
    growth: Annotated[
        GrowthChoice, typer.Option(help="How Gaussians are added; mcmc is gsplat's, on an NVIDIA GPU.")
    ] = GrowthChoice.split_and_clone,
    depth: Annotated[float, typer.Option(help="Weight of known depths.", rich_help_panel=_WEIGHTS)] = _FIT.raster,
    ground: Annotated[
        float, typer.Option(help="Weight of staying on the ground.", rich_help_panel=_WEIGHTS)
    ] = _FIT.ground,
    refine_poses: Annotated[
        bool, typer.Option("--refine-poses", help="Refine the poses of car and boxes.", rich_help_panel=_WEIGHTS)
    ] = False,
) -> None:
    """Fit scenes of Gaussians to the photographs of logs, to be drawn from where the car never was.

    Each log gets a folder in SPLATS with its scene as PLY files, preview.jpg (photographs that were not fitted to,
    over the scene's drawings of them) and fit.json (options, and how close those drawings come). Of towns, which have
    no photographs, drawn stand-ins are fitted. A fit that was stopped, or killed, goes on where it was when the same
    command is given again. docs/fit.md tells what to expect.

    Exit code: 0, or 1 if a log could not be fitted, or 2 if the command could not run.

    Example: swerve fit kitti:~/kitti splats --cameras left --unseen right --scale 0.5
    """
    # It needs torch, which takes a while to import.
    from swerve.data.splats.fit_job import fit_logs

    options = SceneOptions(
        cameras=words(cameras),
        unseen=words(unseen),
        holdout=holdout,
        every=every,
        scale=scale,
        masks=str(masks.resolve()) if masks else "",
        fit=FitOptions(
            steps=steps,
            raster=depth,
            lidar=depth * _FIT.lidar / _FIT.raster,
            ground=ground,
            refine_egos=refine_poses,
            refine_boxes=refine_poses,
            growth=_growth(steps, gaussians, growth.value),
            seed=seed,
            threads=threads,
            backend=backend.value,
        ),
    )
    console = Console()
    with stoppable(console):
        report = fit_logs([open_source(source)], splats, options, console)
    show_report(console, splats, report.fits)
    show_failures(console, report.failures)
    if report.failures:
        raise typer.Exit(1)


def show_report(console: Console, folder: Path, fits: dict[str, dict[str, Any]]) -> None:
    """Prints what the scenes are worth."""
    table = Table("log", "Gaussians", "minutes", "photographs", "images", "PSNR", "SSIM", box=None)
    for log, found in fits.items():
        measures = {"held out": found["held_out"], "exposed as their neighbours": found["held_out_exposed"]}
        for what, quality in (measures | found["unseen"]).items():
            if quality:
                numbers = (str(quality["images"]), f"{quality['psnr']:.2f}", f"{quality['ssim']:.3f}")
                table.add_row(log, str(found["gaussians"]), f"{found['seconds'] / 60:.1f}", what, *numbers)
    if table.row_count:
        console.print(table)
    console.print(f"in {folder}", highlight=False, soft_wrap=True, markup=False, emoji=False)


def _growth(steps: int, most: int, way: GrowthWay) -> DensificationOptions:
    """Begins after a tenth of the steps and ends after half of them, unless that is later than usual."""
    usual = DensificationOptions()
    return DensificationOptions(
        first=min(usual.first, steps // 10), last=min(usual.last, steps // 2), most=most, way=way
    )
