"""Run `swerve record`."""

from pathlib import Path

from swerve.data.storage.files import make_folder
from swerve.options.record import Record
from swerve.output import write_output
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.views.of_source import view_of
from swerve.viz.mcap_recording import import_mcap, write_mcap
from swerve.viz.rerun_recording import import_rerun, write_rrd
from swerve.viz.scene_view import between

_WRITERS = {".rrd": (import_rerun, write_rrd), ".mcap": (import_mcap, write_mcap)}


def run(args: Record) -> int:
    """Write a recording, and return the exit code."""
    ending = args.out.suffix.lower()
    if ending not in _WRITERS:
        raise SwerveError(f"OUT: {args.out}: recordings are written as {' or '.join(_WRITERS)}")
    check, write = _WRITERS[ending]
    check()
    view = view_of(args.source, args.shown)
    if args.seconds is not None:
        view = between(view, *args.seconds)

    def write_file(path: Path) -> None:
        make_folder(path.parent)
        partial = path.with_name(f".{path.name}.partial")
        write(partial, view)
        partial.replace(path)

    write_output(args.out, write_file)
    size = args.out.stat().st_size / 1e6
    print(f"{printable(view.title)}: {len(view)} steps, {len(view.cameras)} cameras, {size:.1f} MB\nwrote {args.out}")
    return 0
