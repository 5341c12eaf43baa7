"""Run `swerve export 123d`."""

from swerve.consoles import results_console
from swerve.data import open_source
from swerve.data.export_py123d.write_log import dataset_of, write_123d_log
from swerve.data.sources.py123d.py123d_source import log_folders_123d
from swerve.data.sources.source import require_scenes
from swerve.data.storage.files import os_errors_as_swerve_errors, safe_name
from swerve.options.export_123d import Export123d
from swerve.scenes import SwerveError


def run(asked: Export123d) -> int:
    """Export the logs of a source one by one, print a line for each, and return the exit code.

    Raises:
        SwerveError: a log cannot be read, or not be expressed in 123D, or another data set's log has its name.
    """
    source, console = open_source(asked.source), results_console()
    require_scenes(source)
    names = source.names()
    if unknown := [name for name in asked.logs if name not in names]:
        raise SwerveError(f"{asked.source}: no log {unknown[0]!r}; it has {', '.join(names[:5])}")
    there = {folder.name: folder for folder in log_folders_123d(asked.out)} if asked.out.is_dir() else {}
    for name in asked.logs or names:
        if (own := there.get(safe_name(name))) is not None:
            if own.parent.name.rpartition("_")[0] != dataset_of(source.kind):
                raise SwerveError(f"{own}: is a log of this name of another data set. Give another ROOT")
            line = f"{name} is there already: {own}"
        else:
            with os_errors_as_swerve_errors(asked.out):
                folder = write_123d_log(asked.out, source.load(name))
            line = f"{name}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB in {folder}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0
