"""Run `swerve finish`."""

from swerve.options.finish import Finish
from swerve.rerun import rerun


def run(args: Finish) -> int:
    """Complete a job that the runs of an array made, and return the exit code."""
    return rerun(args.folder, "finish")
