"""The job that builds a benchmark from logs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from rich.console import Console

from swerve.data.dataset.rigs import report_rigs
from swerve.data.jobs import (
    CORE_PACKAGES,
    Execution,
    Failure,
    FolderLayout,
    RunResult,
    Workers,
    check_sources,
    job_config,
    log_names,
    open_job,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs.folder import JOB
from swerve.data.sources.source import Source, require_holding
from swerve.data.storage.files import os_errors_as_swerve_errors, remove_file, safe_name, to_json, write_atomically
from swerve.eval.benchmark.benchmark_store import (
    BENCHMARK,
    FORMAT,
    REJECTIONS,
    SCENES,
    VERSION,
    group_path,
    log_path,
    views_folder,
    views_path,
)
from swerve.eval.benchmark.build.build_records import (
    build_record_path,
    finished_parts,
    read_build_records,
    remove_damaged_records,
    write_tables,
)
from swerve.eval.benchmark.build.build_workers import GroupWork, LogWork, bank_digest
from swerve.eval.benchmark.build.mapped_bank import bank_path, remove_mapped_bank
from swerve.eval.benchmark.build_options import VIEW_KINDS, BuildOptions
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.benchmark.view_renderers import Renderers
from swerve.scenes import SwerveError

NOUN = "scenes"
# Packages whose version may change what is computed, rendered, encoded or written.
_PACKAGES = (*CORE_PACKAGES, "pyarrow", "zlib-ng")
_LAYOUT = FolderLayout(
    completion_file=BENCHMARK,
    files=(SCENES, REJECTIONS, "failures.json", "timing.json"),
    parts={
        **{"logs": ".npz", "bank": ".npz", "scene_groups": ".npz", "records": ".json"},
        **{views_folder(kind): ".tar" for kind in VIEW_KINDS},
    },
    disposable_folders=("logs", "bank", "records"),
    kind="build",
)


@dataclass(frozen=True)
class BuildReport:
    """Result of a build.

    Attributes:
        counts: over the whole benchmark, as in benchmark.json.
        timing: of the scene groups of this run, as in timing.json.
        failures: logs and scene groups that failed.
    """

    counts: dict[str, Any]
    timing: dict[str, Any]
    failures: tuple[Failure, ...]


def build(
    sources: Sequence[Source],
    folder: str | Path,
    options: BuildOptions,
    workers: Workers = None,
    console: Console | None = None,
    splats: str | Path | None = None,
    renderers: Renderers | None = None,
) -> BuildReport:
    """Build a two-stage benchmark from logs (docs/benchmark.md).

    The files depend on the logs and the options alone, not on the number of workers. An interrupted build resumes when
    it is called again. The trajectories of every log go into the bank that all scene groups use: if the set of usable
    logs changes between runs, all scene groups are rebuilt.

    Args:
        sources: of the logs.
        folder: of the benchmark; a new or empty one, or one of the same build.
        options: of the benchmark.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        splats: folder made by `swerve fit`, for splat views.
        renderers: of the kinds of views in the options; the default ones if None.

    Raises:
        SwerveError: a kind of views has no renderer; the sources hold no log or one twice; a log lacks a
            camera; no log can be used; the folder is not this build's, or cannot be written; a log has changed since it
            was copied.
        ArrayPartDone: this run of an array made its part.
    """
    folder, execution = Path(folder), Execution.of(workers)
    owners = log_names(sources)
    if not (folder / JOB).is_file():  # a build that goes on may need no more logs
        require_holding(sources, owners, "map", "follow-ups are placed and scored by its lanes and roads")
    if options.views or options.cameras:
        report_rigs(sources, owners, options.rig, options.cameras, console)
    known = renderers or default_renderers(options.style, options.seed, splats)
    drawn = {kind: renderer_of(kind, known) for kind in options.views}
    logs = [(sources[number].kind, name) for name, number in owners.items()]
    names = {kind: renderer.name for kind, renderer in drawn.items()}
    config = job_config({**asdict(options), "renderers": names}, logs, _PACKAGES)
    with open_job(folder, config, _LAYOUT, execution, console):
        copied = _copy_logs(LogWork(folder, tuple(sources), owners, options, drawn), execution, console)
        usable = tuple(name for name in owners if bank_path(folder, safe_name(name)).is_file())
        if not usable:
            write_failures(folder, copied.failures)
            where, reason = copied.failures[0].where, copied.failures[0].reason
            raise SwerveError(
                f"no log can be used; the first: {where}: {reason.removeprefix(f'log {where}').lstrip(': ')}"
            )
        with os_errors_as_swerve_errors(folder):
            report_damaged(console, remove_damaged_records(folder))
            digest = bank_digest(folder, usable)
            finished = finished_parts(folder, digest)
        work = GroupWork(folder, usable, digest, options, drawn)
        outcome = run_work(work, folder, usable, finished, NOUN, execution, console)
        failures = (*copied.failures, *outcome.failures)
        with os_errors_as_swerve_errors(folder):
            write_failures(folder, failures)
            write_atomically(folder / "timing.json", to_json(outcome.timing))
            counts = _finish(folder, digest, config, drawn)
    return BuildReport(counts, outcome.timing, failures)


def _copy_logs(work: LogWork, execution: Execution, console: Console | None) -> RunResult:
    """Run the first pass: each log's file, and its part of the trajectory bank.

    Raises:
        SwerveError: a log has changed since it was copied.
        ArrayPartDone: other runs of an array have not copied their logs yet.
    """
    with os_errors_as_swerve_errors(work.folder):
        finished = {name: ({0}, 1) for name in work.owners if _is_copied(work.folder, safe_name(name))}
        check_sources(work.folder, work.sources, work.owners, finished, execution.part is None)
    return run_work(work, work.folder, list(work.owners), finished, "logs", execution, console, False, single=True)


def _is_copied(folder: Path, name: str) -> bool:
    """Test whether both files of a log are there, and neither is cut short; the first marks both as finished."""
    paths = bank_path(folder, name), log_path(folder, name)
    if paths[0].is_file() and not all(path.is_file() and is_zipfile(path) for path in paths):
        remove_file(paths[0])
    return paths[0].is_file()


def _finish(folder: Path, digest: str, config: dict[str, Any], drawn: Renderers) -> dict[str, Any]:
    """Write the tables, and last benchmark.json, which marks the build as finished."""
    _remove_stale(folder, digest)
    remove_mapped_bank(folder)
    counts, scene_groups = write_tables(folder, read_build_records(folder))
    for kind in set(VIEW_KINDS) - set(drawn):
        (folder / views_folder(kind)).rmdir()
    views = {kind: {"renderer": renderer.name, "synthetic": renderer.synthetic} for kind, renderer in drawn.items()}
    info = {
        "format": FORMAT,
        "version": VERSION,
        **config,
        "views": views,
        "counts": counts,
        "scene_groups": scene_groups,
    }
    write_atomically(folder / BENCHMARK, to_json(info))
    return counts


def _remove_stale(folder: Path, digest: str) -> None:
    """Remove files made with another bank that could not be rebuilt, or that are dropped with this one."""
    for build_record in read_build_records(folder):
        stale = build_record.bank != digest
        if stale:
            remove_file(build_record_path(folder, build_record.scene_group))
        views = (views_path(folder, build_record.scene_group, kind) for kind in VIEW_KINDS)
        for path in (group_path(folder, build_record.scene_group), *views):
            if stale or path.relative_to(folder).as_posix() not in build_record.files:
                remove_file(path)
