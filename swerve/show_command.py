"""Run `swerve show`."""

import sys
from dataclasses import replace
from pathlib import Path

from swerve.data import open_source
from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.source import require_scenes
from swerve.data.storage.files import make_folder
from swerve.options.show import Show
from swerve.output import write_output
from swerve.scene_sheet import pick_scene, scene_sections
from swerve.scenes import Log, SwerveError
from swerve.viz.contact_sheet import write_contact_sheet_html, write_contact_sheet_png


def run(args: Show) -> int:
    """Render a contact sheet of a scene, and return the exit code."""
    log = _loaded(args.source, args.log)
    scene = pick_scene(log, args.at)
    title = f"{log.name} at {(log.times_us[scene.now] - log.times_us[0]) * 1e-6:.1f} s"
    text = f"Rendered by Swerve from {args.source}: {len(scene.tracks)} tracks, {len(scene.log.cameras)} cameras."
    sections = scene_sections(scene, args.seed)

    def write(folder: Path) -> None:
        make_folder(folder)
        write_contact_sheet_html(folder / "index.html", title, text, sections)
        write_contact_sheet_png(folder / "sheet.png", title, sections)

    write_output(args.out, write)
    print(f"wrote {args.out / 'index.html'} and {args.out / 'sheet.png'}")
    return 0


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
