"""Augmentation job: from logs to a training set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.dataset.acceptance import Acceptance
from swerve.data.dataset.augment_options import LOGGED_KINDS, AugmentOptions
from swerve.data.dataset.augment_worker import AugmentWork
from swerve.data.dataset.gpu_encoding import jpeg_packages
from swerve.data.dataset.manifest import write_manifest
from swerve.data.dataset.rigs import report_rigs
from swerve.data.dataset.set_layout import (
    layout_of,
    read_progress,
    read_records,
)
from swerve.data.dataset.viewpoint_maker import ViewpointMaker
from swerve.data.jobs import (
    CORE_PACKAGES,
    Execution,
    Workers,
    check_sources,
    job_config,
    log_names,
    open_job,
    report_damaged,
    run_work,
    usable_cores,
)
from swerve.data.sources.source import Source
from swerve.data.storage.files import os_errors_as_swerve_errors, to_json, write_atomically
from swerve.rasterizer.backends import rendering_packages, resolve_backend
from swerve.scenes import SwerveError

# Packages whose version may change rendered, encoded or written data (llvmlite compiles the numba kernels).
_PACKAGES = (*CORE_PACKAGES, "pyarrow", "simplejpeg", "zlib-ng")


@dataclass(frozen=True)
class AugmentReport:
    """Result of a job.

    Attributes:
        summary: counts over the whole set, as in summary.json.
        timing: of this run only, as in timing.json.
    """

    summary: dict[str, Any]
    timing: dict[str, Any]


def augment(
    sources: Sequence[Source],
    folder: str | Path,
    options: AugmentOptions,
    workers: Workers = None,
    console: Console | None = None,
    maker: ViewpointMaker | None = None,
) -> AugmentReport:
    """Render every viewpoint of every scene of the logs into WebDataset shards with a manifest (docs/formats.md).

    The set's bytes depend only on the logs and the options, not on the number of workers. An interrupted job resumes
    when it is called again, and repeats failed parts.

    Args:
        sources: sources of the logs.
        folder: output folder; new, empty, or of the same job.
        options: options of the set.
        workers: number of processes, or how the job is executed; one process per usable core if None. With fewer, the
            remaining cores encode in parallel.
        console: console for progress; none if None.
        maker: maker of follow-up and visited viewpoints and of pseudo-expert targets, see
            `swerve.eval.training_viewpoints`; None if there are none.

    Raises:
        SwerveError: the sources hold no log or one twice, a log lacks a camera, the folder is not this
            job's or cannot be written, a log has changed since parts of it were made, there is no such back end on
            this machine, or a kind of viewpoints needs a maker.
        ArrayPartDone: this run of an array made its part.
    """
    folder, execution = Path(folder), Execution.of(workers)
    if maker is None and (needy := [kind for kind in options.viewpoints if kind not in LOGGED_KINDS]):
        raise SwerveError(f"viewpoints: {needy[0]} needs a maker of viewpoints; swerve augment gives one")
    owners = log_names(sources)
    if maker is not None:
        maker.check(list(owners))
    report_rigs(sources, owners, options.rig, options.cameras, console)
    logs = [(sources[number].kind, name) for name, number in owners.items()]
    backend = resolve_backend(options.backend)
    options = replace(options, backend=backend)
    packages = (*_PACKAGES, *rendering_packages(backend), *jpeg_packages(options))
    plain = {**asdict(options), **({"maker": maker.identity} if maker else {})}
    with open_job(folder, job_config(plain, logs, packages), layout_of(options), execution, console):
        with os_errors_as_swerve_errors(folder):
            alone = execution.part is None
            finished, damaged = read_progress(folder, options, execution.finish, alone)
            report_damaged(console, damaged)
            check_sources(folder, sources, owners, finished, alone)
        work = AugmentWork(folder, tuple(sources), owners, options, _threads(execution.workers), maker)
        outcome = run_work(work, folder, list(owners), finished, "samples", execution, console)
        with os_errors_as_swerve_errors(folder):
            acceptance = Acceptance(options, read_records(folder))
            summary = write_manifest(
                folder, read_records(folder), outcome.failures, acceptance.weights, acceptance.summary()
            )
            write_atomically(folder / "timing.json", to_json(outcome.timing))
    return AugmentReport(summary, outcome.timing)


def _threads(workers: int | None) -> int:
    """Return the threads per worker, so that all workers fill the cores; the output does not depend on it."""
    cores = usable_cores()
    return max(cores // max(workers or cores, 1), 1)
