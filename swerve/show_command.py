"""`swerve show`: the command."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from swerve.data import open_source
from swerve.data.sources.default_rigs import default_rig
from swerve.data.storage.files import make_folder
from swerve.scene_sheet import pick_scene, scene_sections
from swerve.scenes import SwerveError
from swerve.viz.contact_sheet import write_html, write_png


def show(
    source: Annotated[str, typer.Argument(help="av2:PATH, waymo:PATH, town:COUNT, town:FIRST-LAST, or a path.")],
    out: Annotated[Path, typer.Option(help="Folder for sheet.png and index.html.")] = Path("out/show"),
    log: Annotated[str | None, typer.Option(help="Name of the log. Default: the source's first.")] = None,
    at: Annotated[
        float | None, typer.Option(help="Seconds into the log. Default: its middle, or a photograph.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the recovery viewpoints.")] = 0,
) -> None:
    """Draw a contact sheet of one scene: every camera, depth and classes, recovery poses, other agents' seats."""
    opened = open_source(source)
    names = opened.names()
    name = log or names[0]
    if name not in names:
        raise SwerveError(
            f"{source}: no log {name!r}; it has {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        )
    loaded = opened.load(name)
    if not loaded.cameras:
        loaded = replace(loaded, cameras=default_rig())
        typer.echo(f"{name} has no cameras: drawn with a made-up rig of eight")
    scene = pick_scene(loaded, at)
    title = f"{name} at {(scene.log.times_us[scene.now] - scene.log.times_us[0]) * 1e-6:.1f} s"
    text = f"Drawn by Swerve from {source}: {len(scene.tracks)} tracks, {len(scene.log.cameras)} cameras."
    sections = scene_sections(scene, seed)
    make_folder(out)
    write_html(out / "index.html", title, text, sections)
    write_png(out / "sheet.png", title, sections)
    typer.echo(f"wrote {out / 'index.html'} and {out / 'sheet.png'}")
