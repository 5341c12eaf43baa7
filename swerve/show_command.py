"""Run `swerve show`."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from swerve.data.jobs.job_status import job_status
from swerve.data.storage.files import make_folder, write_atomically
from swerve.options.show import Show
from swerve.output import write_output
from swerve.photo_overlays import PhotoOverlays
from swerve.scene_sheet import SceneSheet, pick_scene
from swerve.scenes import SwerveError
from swerve.views.log_view import log_view
from swerve.views.of_source import loaded
from swerve.viz.contact_sheet import Section, write_contact_sheet_html, write_contact_sheet_png
from swerve.viz.encoded_image import encode_jpeg
from swerve.viz.film import film_of, import_av
from swerve.viz.scene_view import between

FILM = "scene.mp4"
PHOTOS = "photos"


@runtime_checkable
class Sheet(Protocol):
    """Title, text and sections of a contact sheet."""

    @property
    def title(self) -> str:
        """Return the heading."""

    @property
    def text(self) -> str:
        """Return a sentence on what is shown."""

    def sections(self) -> tuple[Section, ...]:
        """Return the sections of the sheet."""


def run(args: Show) -> int:
    """Render a contact sheet of a scene, a training set or a benchmark, and return the exit code."""
    if args.video:
        import_av()
    sheet = sheet_of(args)
    film = _film(args, sheet) if args.video else None
    overlays = _overlays(args, sheet) if args.photos else None
    print(f"{sheet.title}. {sheet.text}")
    sections = sheet.sections()

    def write(folder: Path) -> None:
        make_folder(folder)
        write_contact_sheet_html(folder / "index.html", sheet.title, sheet.text, sections)
        write_contact_sheet_png(folder / "sheet.png", sheet.title, sections)
        if film is not None:
            write_atomically(folder / FILM, film)
        if overlays is not None:
            _write_photos(folder / PHOTOS, overlays)

    write_output(args.out, write)
    also = f", {args.out / FILM}" if film is not None else ""
    also += f", {args.out / PHOTOS}" if overlays is not None else ""
    print(f"wrote {args.out / 'index.html'} and {args.out / 'sheet.png'}{also}")
    return 0


def _film(args: Show, sheet: Sheet) -> bytes:
    """Return a film of the scene of a sheet.

    Raises:
        SwerveError: the sheet is not of a scene.
    """
    if not isinstance(sheet, SceneSheet):
        raise SwerveError(f"{args.source}: --video films a scene of a source; this is a folder of many")
    scene = sheet.scene
    seconds = (scene.times_us - scene.log.times_us[0]) * 1e-6
    return film_of(between(log_view(scene.log, args.source, scene.now), float(seconds[0]), float(seconds[-1])))


def _overlays(args: Show, sheet: Sheet) -> PhotoOverlays:
    """Return the overlays of the photos of a sheet's log.

    Raises:
        SwerveError: the sheet is not of a scene, or its log has no photos.
    """
    if not isinstance(sheet, SceneSheet):
        raise SwerveError(f"{args.source}: --photos writes the photos of a source's log; this is a folder of many")
    if not sheet.scene.log.photos:
        raise SwerveError(f"{args.source}: --photos: log {sheet.scene.log.name} has no photos")
    return PhotoOverlays(sheet.scene.log)


def _write_photos(folder: Path, overlays: PhotoOverlays) -> None:
    make_folder(folder)
    for name, overlay in overlays.all():
        write_atomically(folder / name, encode_jpeg(overlay.stacked, 90))


def sheet_of(args: Show) -> Sheet:
    """Return the sheet of what is named: a folder of swerve augment or swerve build, or else a source.

    Raises:
        SwerveError: it cannot be opened, or is not finished.
    """
    folder = Path(args.source)
    if (folder / "benchmark.json").is_file():
        from swerve.benchmark_sheet import BenchmarkSheet

        return _without_scene(args, BenchmarkSheet(folder))
    if (folder / "manifest.parquet").is_file():
        from swerve.set_sheet import SetSheet

        return _without_scene(args, SetSheet(folder))
    if next(folder.glob("*/graph.json"), None):
        raise SwerveError(
            f"{folder}: fitted splat scenes, of which swerve fit wrote LOG/preview.jpg; swerve quality SOURCE {folder} "
            "OUT compares them with photos and rasters"
        )
    if (folder / "job.json").is_file():
        raise SwerveError(f"{folder}: {_unfinished(folder)}")
    log = loaded(args.source, args.log)
    return SceneSheet(pick_scene(log, args.at), args.source, args.seed)


def _unfinished(folder: Path) -> str:
    """Return why the output of a job cannot be shown."""
    status = job_status(folder)
    if status.complete:
        return f"the output of a job of the kind {status.kind} has no sheet"
    running = "goes on" if status.is_running else "has stopped: start it again to resume"
    done = f"{100 * status.share:.0f} % of this job is done, and all of it is needed"
    return f"{done}. It {running}; swerve status says more"


def _without_scene(args: Show, sheet: Sheet) -> Sheet:
    """Return a sheet that does not depend on a scene.

    Raises:
        SwerveError: a log or a time is chosen.
    """
    if args.log is not None or args.at is not None:
        raise SwerveError(f"{args.source}: --log and --at choose a scene of a source; this is a folder of many")
    return sheet
