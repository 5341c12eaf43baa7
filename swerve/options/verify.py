"""Options of `swerve verify`."""

from dataclasses import dataclass

from swerve.options.shared import JobFolder


@dataclass(frozen=True)
class Verify:
    """Check every file of a job's output against its record, or against its own checksums.

    Works on training sets, contexts, benchmarks, evaluations, studies and fitted splats, complete or not. Failures that
    the job lists are named, and are no damage: the job's command tries them again.

    Exit code: 0 if all is well, or was repaired; 1 if something is damaged or missing; 2 if the check could not run.

    Example: swerve verify sets/av2 --repair

    Attributes:
        folder: Output of the job.
        repair: Remove damaged parts, and run the job again with the options in OUT/config.yaml, which makes them anew.
    """

    folder: JobFolder
    repair: bool = False
