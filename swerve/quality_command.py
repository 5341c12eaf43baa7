"""Run `swerve quality`."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

from swerve.cells import bar_text, cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data.splats.fit_outputs import FIT, check_fitted_log, read_fit_options
from swerve.data.splats.log_images import images_of_log, training_poses
from swerve.data.splats.splat_files import read_splats
from swerve.data.storage.files import make_folder, safe_name, to_json, write_atomically
from swerve.eval.splat_quality.detector import Detector
from swerve.eval.splat_quality.evaluation_poses import ON_PATH, evaluation_poses
from swerve.eval.splat_quality.extrapolation import FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.lpips_metric import Lpips
from swerve.eval.splat_quality.measure import Measurement, feature_distances, measure
from swerve.eval.splat_quality.quality_answer import answer_in_words
from swerve.eval.splat_quality.quality_page import (
    EXPLAINED,
    cells,
    gate_in_words,
    headings,
    known_columns,
    quality_page,
)
from swerve.eval.splat_quality.quality_summary import mean_by_offset, separation
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, Picture
from swerve.job_report import open_sources
from swerve.load_detector import load_detector
from swerve.options.quality import Quality
from swerve.output import write_output
from swerve.rasterizer import StaticLayer
from swerve.scenes import Log, SwerveError
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import build_log_geometry


def run(args: Quality) -> int:
    """Measure splat views, write a page of each log, and return the exit code."""
    console, progress, gate = results_console(), progress_console(), args.gate
    owners = {name: source for source in open_sources(args.sources) for name in source.names()}
    perceptual, note = _perceptual(args.lpips)
    detector = load_detector(args.detector) if args.detector else Detector()
    names = _fitted(args.splats, owners, args.logs)
    if unfitted := [name for name in owners if name not in names and not args.logs]:
        _say_unfitted(unfitted, len(owners), args.splats, progress)
    for name in names:
        own, folder = args.splats / safe_name(name), args.out / safe_name(name)
        log = owners[name].load(name)
        measured = _measured(own, log, gate, perceptual, detector, args.scene_interval, progress)
        _show(console, name, measured, gate, note)
        write_output(folder, partial(_write, name=name, measured=measured, gate=gate, note=note))
        console.print(f"The page is at {folder / 'index.html'}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _say_unfitted(names: Sequence[str], count: int, splats: Path, console: Console) -> None:
    """Print which logs have no splat scene, and are not measured."""
    first = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    console.print(
        f"{len(names)} of {count} logs are not measured: {splats} has no scene of {first}",
        style="yellow",
        markup=False,
        soft_wrap=True,
    )


def _perceptual(wanted: bool) -> tuple[Callable[[Picture, Picture], float] | None, str]:
    """Return the LPIPS metric, and a line about it."""
    if not wanted:
        return None, "LPIPS: not measured, as requested."
    try:
        return Lpips(), "LPIPS 0.1 by AlexNet."
    except SwerveError as error:
        return None, f"LPIPS: not measured: {error}"


def _fitted(splats: Path, names: Iterable[str], wanted: Sequence[str]) -> Sequence[str]:
    """Return the names of the logs to measure: the selected ones, or all that have a splat scene.

    Raises:
        SwerveError: a selected log is unknown or has no splat scene, or no log has one.
    """
    names = list(names)
    if unknown := [name for name in wanted if name not in names]:
        raise SwerveError(f"the source has no log {unknown[0]!r}")
    fitted = [name for name in names if (splats / safe_name(name) / FIT).exists()]
    if missing := [name for name in wanted if name not in fitted]:
        raise SwerveError(f"{splats}: holds no scene of log {missing[0]!r}. Fit it first, with swerve fit")
    if not fitted:
        raise SwerveError(f"{splats}: holds no scene of any log of the source. Fit them first, with swerve fit")
    return wanted or fitted


def _measured(
    folder: Path,
    log: Log,
    gate: GateOptions,
    perceptual: Callable[[Picture, Picture], float] | None,
    detector: Detector,
    every: float,
    console: Console,
) -> Measurement:
    """Measure the scene in a log's folder; the views at the middle time step are shown."""
    options = read_fit_options(folder)
    check_fitted_log(folder, log)
    truth = ReferenceImages(log, options.fit.seed)
    console.print(f"{log.name}: reading photos", highlight=False, markup=False)
    images = images_of_log(log, options)
    photos = FittedPhotos(training_poses(log, options))
    static_layer = StaticLayer(build_static(log.road_map))
    setup = ComparisonSetup(read_splats(folder), log, static_layer, truth, gate, photos, perceptual, detector)
    places = evaluation_poses(build_log_geometry(log), images, every)
    steps = sorted({place.step for place in places if place.offset != ON_PATH}) or [0]
    shown = steps[len(steps) // 2]
    return measure(setup, track(places, bar_text(log.name), console=console, transient=True), shown)


def _write(folder: Path, name: str, measured: Measurement, gate: GateOptions, note: str) -> None:
    """Write the numbers, then the page."""
    rows = measured.rows
    numbers: dict[str, Any] = {
        "log": name,
        "gate": {name: value if math.isfinite(value) else None for name, value in vars(gate).items()},
        "lpips": note,
        "offsets": mean_by_offset(rows),
        "separation": separation(rows),
        "frechet": feature_distances(measured.features, measured.photo_features),
        "views": rows,
    }
    make_folder(folder)
    write_atomically(folder / "quality.json", to_json(numbers))
    page = quality_page(f"Splat views of {name}", rows, measured.shown, gate, note, measured.worst)
    write_atomically(folder / "index.html", page.encode())


def _show(console: Console, name: str, measured: Measurement, gate: GateOptions, note: str) -> None:
    """Print the table."""
    table = Table(title=cell(name), box=SIMPLE_HEAD, padding=0, pad_edge=False, title_justify="left")
    summaries = mean_by_offset(measured.rows)
    columns = known_columns(summaries)
    for number, heading in enumerate(headings(columns)):
        table.add_column(
            heading, justify="right" if number else "left", no_wrap=number > 0, min_width=5 if number else 11
        )
    for summary in summaries:
        table.add_row(*map(cell, cells(summary, columns)))
    print_table(console, table)
    for text in (EXPLAINED, gate_in_words(gate), *answer_in_words(measured.rows), note):
        console.print(text, highlight=False, markup=False)
