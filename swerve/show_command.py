"""Run `swerve show`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from swerve.data import open_source
from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.source import require_scenes
from swerve.data.storage.files import make_folder
from swerve.options.show import Show
from swerve.output import write_output
from swerve.scene_sheet import SceneSheet, pick_scene
from swerve.scenes import Log, SwerveError
from swerve.viz.contact_sheet import Section, write_contact_sheet_html, write_contact_sheet_png


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
    sheet = sheet_of(args)
    print(f"{sheet.title}. {sheet.text}")
    sections = sheet.sections()

    def write(folder: Path) -> None:
        make_folder(folder)
        write_contact_sheet_html(folder / "index.html", sheet.title, sheet.text, sections)
        write_contact_sheet_png(folder / "sheet.png", sheet.title, sections)

    write_output(args.out, write)
    print(f"wrote {args.out / 'index.html'} and {args.out / 'sheet.png'}")
    return 0


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
        raise SwerveError(f"{folder}: this job is not finished, or its output cannot be shown. Run it to its end")
    log = _loaded(args.source, args.log)
    return SceneSheet(pick_scene(log, args.at), args.source, args.seed)


def _without_scene(args: Show, sheet: Sheet) -> Sheet:
    """Return a sheet that does not depend on a scene.

    Raises:
        SwerveError: a log or a time is chosen.
    """
    if args.log is not None or args.at is not None:
        raise SwerveError(f"{args.source}: --log and --at choose a scene of a source; this is a folder of many")
    return sheet


def _loaded(source: str, name: str | None) -> Log:
    """Return a log of a source, the first if no name is given; one without cameras gets the default rig.

    Raises:
        SwerveError: the source has no such log.
    """
    opened = open_source(source)
    require_scenes(opened)
    names = opened.names()
    if name and name not in names:
        more = ", ..." if len(names) > 5 else ""
        raise SwerveError(f"{source}: no log {name!r}; it has {', '.join(names[:5])}{more}")
    log = opened.load(name or names[0])
    if log.cameras:
        return log
    print(f"{log.name} has no cameras: rendered with the default rig of eight", file=sys.stderr)
    return replace(log, cameras=default_rig())
