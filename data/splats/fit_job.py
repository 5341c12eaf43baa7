"""Job that fits scenes to logs; resumable after `kill -9`. Each log is one part.

A folder of fitted scenes holds a subfolder for each log, with the scene (`splat_files`), `preview.jpg`, `progress.json`
and, last of all, `fit.json`; during a fit also `state.safetensors`, from which the same call resumes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.dataset.rigs import check_rigs
from swerve.data.jobs import (
    Execution,
    Failure,
    FolderLayout,
    PartResult,
    ProgressCallback,
    Resources,
    check_sources,
    job_config,
    load_log,
    log_names,
    open_job,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs.folder import JOB
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.source import Source, require_holding
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.fit_log import AGAIN, fit_log
from swerve.data.splats.fit_outputs import FIT
from swerve.data.splats.log_images import training_poses
from swerve.data.splats.masks import digest_of
from swerve.data.splats.photo_poses import PHOTOS, write_training_poses
from swerve.data.storage.checked_json import anything, mapping_of, read_json
from swerve.data.storage.files import os_errors_as_swerve_errors, remove_file, safe_name, to_json, write_atomically
from swerve.scenes import Log, SwerveError

PACKAGES = ("numba", "numpy", "torch")
_LAYOUT = FolderLayout("summary.json", ("failures.json",), {}, log_folders=True, kind="fit")
NOUN = "fits"
# Seconds between checkpoints of a fit.
CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class FitReport:
    """Result of a job.

    Attributes:
        fits: content of fit.json by fitted log.
        failures: logs that failed.
    """

    fits: dict[str, dict[str, Any]]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class FitWork:
    """Work of the job, sent once to every worker.

    Attributes:
        folder: output folder.
        sources: of the logs.
        owners: number of the source of each log.
        options: of the scenes.
        versions: of the packages, for fit.json.
        checkpoint_seconds: time between checkpoints.
    """

    folder: Path
    sources: tuple[Source, ...]
    owners: Mapping[str, int]
    options: SceneOptions
    versions: Mapping[str, str]
    checkpoint_seconds: float

    def open(self, log: str, watch: Stopwatch) -> "OpenedFit":
        """Read a log.

        Raises:
            SwerveError: it cannot be read, or has changed since it was fitted.
        """
        with watch.measure("loading"):
            return OpenedFit(load_log(self.folder, self.sources[self.owners[log]], log), self, watch)


@dataclass(frozen=True)
class OpenedFit:
    """A log to fit, see `swerve.data.jobs.LogHandle`."""

    log: Log
    work: FitWork
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """Return 1: a scene is fitted as a whole."""
        return 1

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Fit the scene and write it; of one that an earlier version fitted, write the poses that it lacks.

        Raises:
            SwerveError: the log cannot be fitted, or its checkpoint is damaged.
        """
        own = self.work.folder / safe_name(self.log.name)
        with self.watch.measure("fitting"):
            if (own / FIT).is_file():
                write_training_poses(own, training_poses(self.log, self.work.options))
            else:
                work = self.work
                fit_log(self.log, own, work.options, work.versions, work.checkpoint_seconds, report)
        return PartResult(1)


def fit_logs(
    sources: Sequence[Source],
    folder: str | Path,
    options: SceneOptions,
    console: Console | None = None,
    execution: Execution | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> FitReport:
    """Fit a scene to every unfitted log, and write it to `folder / safe_name(log)`.

    Args:
        sources: sources of the logs.
        folder: output folder; new, empty, or of the same job, which is resumed.
        options: options of the scenes.
        console: console for progress; none if None.
        execution: how the job is executed; one log after the other if None.
        checkpoint_seconds: time between checkpoints of a fit.

    Raises:
        SwerveError: there are no logs, those of a source have no photographs, a log lacks the cameras that are asked
            for, or has changed since it was fitted, or the folder is another job's, in use, or cannot be written.
        ArrayPartDone: this run of an array made its part.
    """
    folder, execution, owners = Path(folder), execution or Execution(1), log_names(sources)
    if not (folder / JOB).is_file():  # a job that goes on may need no more logs
        require_holding(sources, owners, "photographs", "Gaussians are fitted to photographs")
    check_rigs(sources, owners, "own", (*options.cameras, *options.test_cameras))
    kinds = [(sources[number].kind, name) for name, number in owners.items()]
    config = job_config(_job_options(options), kinds, PACKAGES)
    needs = Resources(options.fit.threads, int(options.fit.backend.startswith("gsplat")))
    with open_job(folder, config, _LAYOUT, execution, console):
        with os_errors_as_swerve_errors(folder):
            report_damaged(console, _remove_damaged_fits(folder, owners))
            fitted = {name: ({0}, 1) for name in owners if (folder / safe_name(name) / FIT).is_file()}
            check_sources(folder, sources, owners, fitted, execution.part is None)
        finished = {name: one for name, one in fitted.items() if (folder / safe_name(name) / PHOTOS).is_file()}
        work = FitWork(folder, tuple(sources), owners, options, config["versions"], checkpoint_seconds)
        outcome = run_work(work, folder, list(owners), finished, NOUN, execution, console, single=True, needs=needs)
        with os_errors_as_swerve_errors(folder):
            paths = {name: folder / safe_name(name) / FIT for name in owners}
            fits = {n: read_json(path, mapping_of(anything), AGAIN) for n, path in paths.items() if path.is_file()}
            write_failures(folder, outcome.failures)
            write_atomically(
                folder / _LAYOUT.completion_file, to_json({"logs": sorted(fits), "failures": len(outcome.failures)})
            )
    return FitReport(fits, outcome.failures)


def _job_options(options: SceneOptions) -> dict[str, Any]:
    """Return the options that affect the output: not the number of threads, nor where the masks lie."""
    plain = asdict(options)
    del plain["fit"]["threads"]
    return {**plain, "masks": digest_of(Path(options.masks)) if options.masks else ""}


def _remove_damaged_fits(folder: Path, logs: Iterable[str]) -> list[Path]:
    """Remove the files that say that a log is fitted and cannot be read: it is fitted again; return them."""
    paths = (folder / safe_name(log) / FIT for log in logs)
    damaged = [path for path in paths if path.is_file() and not _is_fit(path)]
    for path in damaged:
        remove_file(path)
    return damaged


def _is_fit(path: Path) -> bool:
    try:
        read_json(path, mapping_of(anything))
    except SwerveError:
        return False
    return True
