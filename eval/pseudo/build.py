"""Logs in, a benchmark out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.files import safe_name, to_json, told_where, write_atomically
from swerve.data.jobs import (
    Failure,
    Layout,
    Outcome,
    job_config,
    log_names,
    open_job,
    parts_there,
    run_work,
    write_failures,
)
from swerve.data.source import Source
from swerve.eval.pseudo.options import BuildOptions
from swerve.eval.pseudo.records import finished_parts, note_path, read_notes, write_tables
from swerve.eval.pseudo.store import BENCHMARK, FORMAT, REJECTIONS, SCENES, VERSION, case_path, views_path
from swerve.eval.pseudo.views import RasterRenderer, ViewRenderer
from swerve.eval.pseudo.work import CaseWork, LogWork, bank_digest, bank_path
from swerve.scenes import SwerveError

NOUN = "frames"
# Packages whose version may change what is computed, drawn, encoded or written.
_PACKAGES = ("swerve", "numpy", "numba", "llvmlite", "scipy", "shapely", "pyarrow", "zlib-ng")
_LAYOUT = Layout(
    finish=BENCHMARK,
    files=(SCENES, REJECTIONS, "failures.json", "timing.json"),
    parts={"logs": ".npz", "bank": ".npz", "cases": ".npz", "views": ".tar", "records": ".json"},
    notes=("logs", "bank", "records"),
)


@dataclass(frozen=True)
class BuildReport:
    """How a build ended.

    Attributes:
        counts: over the whole benchmark, as in benchmark.json.
        timing: of the cases that this run made, as in timing.json.
        failures: what could not be made.
    """

    counts: dict[str, Any]
    timing: dict[str, Any]
    failures: tuple[Failure, ...]


def build(
    sources: Sequence[Source],
    folder: Path,
    options: BuildOptions,
    workers: int | None = None,
    console: Console | None = None,
    renderer: ViewRenderer | None = None,
) -> BuildReport:
    """Makes a two-stage benchmark of logs (docs/benchmark.md).

    Its bytes depend on the logs and the options alone, not on the number of workers. A build that was stopped or killed
    goes on where it was when it is called again. Every log's drives go into the trajectory bank that all cases use:
    where a log fails that an earlier run had, or the other way round, all cases are made anew.

    Args:
        sources: of the logs.
        folder: of the benchmark; a new or empty one, or one of the same build.
        options: what to make.
        workers: processes; one per usable core if None.
        console: where progress is shown; nowhere if None.
        renderer: of the views, unless the options ask for none; rasters if None.

    Raises:
        SwerveError: the sources hold no log or one twice, no log can be used, the folder is not this build's, or cannot
            be written.
    """
    owners = log_names(sources)
    drawn = None if options.views == "none" else renderer or RasterRenderer(options.style)
    logs = [(sources[number].kind, name) for name, number in owners.items()]
    config = job_config({**asdict(options), "renderer": drawn.name if drawn else "none"}, logs, _PACKAGES)
    with open_job(folder, config, _LAYOUT):
        copied = _copy_logs(LogWork(folder, tuple(sources), owners, options), workers, console)
        usable = tuple(name for name in owners if bank_path(folder, safe_name(name)).is_file())
        if not usable:
            write_failures(folder, copied.failures)
            raise SwerveError(f"no log can be used; the first: {copied.failures[0].where}: {copied.failures[0].reason}")
        with told_where(folder):
            digest = bank_digest(folder, usable)
            finished = finished_parts(folder, digest)
        work = CaseWork(folder, usable, digest, options, drawn)
        outcome = run_work(work, folder, usable, finished, NOUN, workers, console)
        failures = (*copied.failures, *outcome.failures)
        with told_where(folder):
            counts = _finish(folder, digest, config, failures, outcome)
    return BuildReport(counts, outcome.timing, failures)


def _copy_logs(work: LogWork, workers: int | None, console: Console | None) -> Outcome:
    """The first pass: every log's file, and its part of the bank."""
    there = parts_there(work.folder / "bank", ".npz")
    finished = {name: ({0}, 1) for name in work.owners if safe_name(name) in there}
    return run_work(work, work.folder, list(work.owners), finished, "logs", workers, console)


def _finish(
    folder: Path, digest: str, config: dict[str, Any], failures: Iterable[Failure], outcome: Outcome
) -> dict[str, Any]:
    """The tables, and last of all the file that says that everything is there."""
    _remove_stale(folder, digest)
    counts, cases = write_tables(folder, read_notes(folder))
    write_failures(folder, failures)
    write_atomically(folder / "timing.json", to_json(outcome.timing))
    info = {"format": FORMAT, "version": VERSION, **config, "counts": counts, "cases": cases}
    write_atomically(folder / BENCHMARK, to_json(info))
    return counts


def _remove_stale(folder: Path, digest: str) -> None:
    """Removes what was made with another bank and could not be made anew, or is dropped with this one."""
    for note in read_notes(folder):
        stale = note.bank != digest
        if stale:
            note_path(folder, note.case).unlink()
        for path in (case_path(folder, note.case), views_path(folder, note.case)):
            if stale or path.relative_to(folder).as_posix() not in note.files:
                path.unlink(missing_ok=True)
