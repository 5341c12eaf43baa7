"""Jobs over logs: parallel, resumable, reproducible.

A job builds parts (chunks) of logs in worker processes. It is described by a `JobSpec`, its folder by a `FolderLayout`,
and it determines from its own records which parts are finished:

    with open_job(folder, job_config(asdict(options), logs, PACKAGES), LAYOUT):
        finished = {name: (done, chunks) for ...}            # of the records in the folder
        outcome = run_work(work, folder, names, finished, "scenes", workers, console)
        write_failures(folder, [*failures_in_the_records, *outcome.failures])
        ...                                                  # the file that says that everything is there, last

Files are written atomically, with `swerve.data.storage.files.write_atomically`, or as `temporary_path(path)` and then
`commit(path)`. A part is finished once its record exists, so the record is written last. If a worker dies, only its
part fails; workers end with their parent process. After Ctrl-C or `kill -9`, the same call resumes the job.
"""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.data.jobs.array_runs import RECORDS
    from swerve.data.jobs.execution import ArrayPart, ArrayPartDone, Execution, Resources, Workers
    from swerve.data.jobs.failures import FailedPart, Failure, read_failures, report_damaged, write_failures
    from swerve.data.jobs.folder import (
        CORE_PACKAGES,
        FolderLayout,
        existing_parts,
        job_config,
        log_names,
        open_job,
        package_versions,
        part_stem,
        record_path,
    )
    from swerve.data.jobs.runner import RunResult, completed_runs, local_processes, part_done, run_work, usable_cores
    from swerve.data.jobs.schedule import FinishedParts
    from swerve.data.jobs.source_records import SOURCES, check_same_source, check_sources, load_log
    from swerve.data.jobs.work import JobSpec, LogHandle, PartResult, ProgressCallback

__all__ = [
    "CORE_PACKAGES",
    "RECORDS",
    "SOURCES",
    "ArrayPart",
    "ArrayPartDone",
    "Execution",
    "FailedPart",
    "Failure",
    "FinishedParts",
    "FolderLayout",
    "JobSpec",
    "LogHandle",
    "PartResult",
    "ProgressCallback",
    "Resources",
    "RunResult",
    "Workers",
    "check_same_source",
    "check_sources",
    "completed_runs",
    "existing_parts",
    "job_config",
    "load_log",
    "local_processes",
    "log_names",
    "open_job",
    "package_versions",
    "part_done",
    "part_stem",
    "read_failures",
    "record_path",
    "report_damaged",
    "run_work",
    "usable_cores",
    "write_failures",
]

make_lazy(__name__)
