"""Options of `swerve status`."""

from dataclasses import dataclass

from swerve.options.shared import JobFolder


@dataclass(frozen=True)
class Status:
    """Show how far a job is: running or dead, on this machine or another that sees its folder.

    Reads the records and the states that runs write every two seconds; a run that has not written for a minute is dead.

    Of failures it names the first reasons and the list of all, OUT/failures.json. `progress` of --json is "complete",
    "complete with failures", "running", "parts complete" (all runs of an array have ended: swerve finish), "finishing"
    (it is at work), "failed" (the job has ended, and is not complete because of failures) or "stopped" before its end.

    Exit code: 0 if the job is complete or goes on; 1 if it has failures at its end or has stopped before; 2 if there is
    no job.

    Example: swerve status sets/av2

    Attributes:
        folder: Output of the job.
        json: Print one line of JSON.
        watch: Show one bar with rate, failures and time left for all runs of the job together, until none goes on, and
            then the state; without a terminal a line each half minute.
    """

    folder: JobFolder
    json: bool = False
    watch: bool = False
