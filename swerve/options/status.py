"""Options of `swerve status`."""

from dataclasses import dataclass

from swerve.options.shared import JobFolder


@dataclass(frozen=True)
class Status:
    """Show how far a job is: running or dead, on this machine or another that sees its folder.

    Reads the records and the states that runs write every two seconds; a run that has not written for a minute is dead.

    Exit code: 0 if the job is complete or goes on; 1 if it has stopped before its end; 2 if there is no job.

    Example: swerve status sets/av2

    Attributes:
        folder: Output of the job.
        json: Print one line of JSON.
    """

    folder: JobFolder
    json: bool = False
