"""Run the command of an output folder again, with the options in its config.yaml."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from swerve.config_file import CONFIG, read_config, write_config
from swerve.data.jobs.verify import job_folder, no_job
from swerve.data.storage.checked_json import fields, read_json, text
from swerve.scenes import SwerveError

_JOB: Final = fields({"kind": text})


def require_options(folder: Path) -> str:
    """Return the command that made a folder, whose options it must hold.

    Raises:
        SwerveError: the folder is no job's, or does not hold its options.
    """
    from swerve.cli import COMMANDS

    own = job_folder(folder)
    if own is None:
        raise no_job(folder)
    command: str = read_json(own / "job.json", _JOB)["kind"]
    if command not in COMMANDS:
        raise SwerveError(f"{own / 'job.json'}: kind: {command!r:.40} is no command")
    if not (folder / CONFIG).is_file():
        raise SwerveError(f"{folder}: no {CONFIG} with the options: give the command itself, swerve {command} ...")
    return command


def rerun(folder: Path, part: str | None) -> int:
    """Run the command that made a folder again; return its exit code.

    Args:
        folder: output of a job.
        part: value of --part; None for the whole job.

    Raises:
        SwerveError: the folder is no job's, or does not hold its options.
    """
    from swerve.cli import options_class, run_command

    command = require_options(folder)
    options: Any = replace(read_config(folder / CONFIG, options_class(command)), out=folder, part=part)
    code = run_command(command, options)
    write_config(folder / CONFIG, replace(options, part=None))
    return code
