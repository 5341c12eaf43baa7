"""Options of `swerve finish`."""

from dataclasses import dataclass

from swerve.options.shared import JobFolder


@dataclass(frozen=True)
class Finish:
    """Complete a job that was made by the runs of an array (--part K/N): its tables, summary and report.

    Nothing is made that is missing: parts that no run has made are named, with the runs to start again. The result is
    that of one run of the whole job, byte for byte. Paths in OUT/config.yaml are those of the runs: relative ones need
    the same working folder.

    Exit code: as the job's command; 2 if parts are missing.

    Example: swerve augment av2:~/av2 sets/av2 --part $SLURM_ARRAY_TASK_ID/16 (in each of 16 tasks), then
    swerve finish sets/av2

    Attributes:
        folder: Output of the job.
    """

    folder: JobFolder
