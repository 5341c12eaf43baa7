"""The job that evaluates a population of planners on a benchmark in open and closed loop (docs/study.md)."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from rich.console import Console

from swerve.data.jobs import (
    CORE_PACKAGES,
    RECORDS,
    Failure,
    FolderLayout,
    Workers,
    job_config,
    open_job,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.storage.files import file_digest, os_errors_as_swerve_errors, to_json, write_atomically
from swerve.data.storage.parquet_file import write_parquet
from swerve.eval.benchmark.benchmark_store import BENCHMARK, Benchmark
from swerve.eval.scoring.score_tables import provenance
from swerve.eval.study.findings import Findings, findings_of
from swerve.eval.study.study_options import StudyOptions, StudyPlanner
from swerve.eval.study.study_page import scatter_file, study_page
from swerve.eval.study.study_records import Study, stack
from swerve.eval.study.study_summary import planner_rows, scene_group_rows, summary_of
from swerve.eval.study.study_worker import Loader, StudyWork, failures_of

STUDY, PLANNERS, SCENE_GROUPS, PAGE, SCATTER = (
    "study.json",
    "study.parquet",
    "scene_groups.parquet",
    "study.html",
    "scatter.svg",
)
# Raise whenever keys or columns of the files change: the folders of older studies are then refused.
STUDY_VERSION: Final = 4
# Packages whose version may change a score.
_LAYOUT = FolderLayout(
    completion_file=STUDY,
    files=(PLANNERS, SCENE_GROUPS, PAGE, SCATTER, "failures.json", "timing.json"),
    parts={RECORDS: ".npz"},
    kind="study",
)


@dataclass(frozen=True)
class StudyReport:
    """Result of a study.

    Attributes:
        study: the records, without failed planners.
        findings: the correlations.
        left_out: the planners that failed in some scene.
        failures: of planners, and of scene groups.
        timing: of this run, as in timing.json.
    """

    study: Study
    findings: Findings
    left_out: tuple[str, ...]
    failures: tuple[Failure, ...]
    timing: dict[str, Any]


def run_study(
    benchmark: Benchmark,
    planner_specs: Sequence[StudyPlanner],
    load: Loader,
    folder: str | Path,
    options: StudyOptions,
    workers: Workers = None,
    console: Console | None = None,
) -> StudyReport:
    """Run every planner on every scene group, then correlate every open-loop measure with every closed loop.

    An interrupted study resumes. The output depends on the benchmark, the planners and the options alone. A planner
    that fails anywhere is excluded from the findings and listed.

    Args:
        benchmark: the scene groups.
        planner_specs: the planners.
        load: creates a planner from its spec, in every worker; must be picklable.
        folder: for the results; new, empty, or of the same study.
        options: of the study.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: no scene group or fewer than three planners were completed, the folder is another study's, or it
            cannot be written.
        ArrayPartDone: this run of an array made its part.
    """
    folder = Path(folder)
    options = replace(options, traffic=options.traffic or benchmark.traffic)
    asked = {"version": STUDY_VERSION, **asdict(options), "benchmark": file_digest(benchmark.folder / BENCHMARK)}
    logs = [("benchmark", log) for log in benchmark.logs]
    config = job_config({**asked, "planners": _named(planner_specs)}, logs, CORE_PACKAGES)
    with open_job(folder, config, _LAYOUT, workers, console):
        work = StudyWork(folder, benchmark, tuple(planner_specs), load, options)
        with os_errors_as_swerve_errors(folder):
            report_damaged(console, work.remove_damaged_records())
        outcome = run_work(work, folder, benchmark.logs, work.finished(), "plans", workers, console)
        with os_errors_as_swerve_errors(folder):
            records = work.records()
            failures = (*(failure for record in records for failure in failures_of(record)), *outcome.failures)
            write_failures(folder, failures)
            write_atomically(folder / "timing.json", to_json(outcome.timing))
            study, left_out = stack(records, [planner_spec.family for planner_spec in planner_specs])
            findings = findings_of(study)
            stamp = {
                **provenance(options.policy, "navsim-exact"),
                **asked,
                "left_out": left_out,
                "closed_loops": _described(options),
            }
            _write(folder, study, findings, options, stamp)
    return StudyReport(study, findings, left_out, failures, outcome.timing)


def _named(planner_specs: Sequence[StudyPlanner]) -> str:
    """Return a short description of the planners, for messages about differing configurations."""
    digest = hashlib.blake2b(
        "\n".join(planner_spec.spec for planner_spec in planner_specs).encode(), digest_size=4
    ).hexdigest()
    return f"{len(planner_specs)} planners ({digest})"


def _write(folder: Path, study: Study, findings: Findings, options: StudyOptions, stamp: dict[str, Any]) -> None:
    """Write the tables, the charts, and last study.json, which marks the study as finished."""
    tables = {PLANNERS: planner_rows(study, findings, options), SCENE_GROUPS: scene_group_rows(study, findings)}
    for name, rows in tables.items():
        write_parquet(folder / name, pa.Table.from_pylist(rows))
    write_atomically(folder / SCATTER, scatter_file(study, findings).encode())
    write_atomically(folder / PAGE, study_page(study, findings, _facts(stamp)).encode())
    write_atomically(folder / STUDY, to_json({**summary_of(study, findings), "provenance": stamp}))


def _described(options: StudyOptions) -> dict[str, str]:
    """Return each closed loop in words."""
    return {
        name: f"{one.simulation} simulation, {one.scorer} scorer, {one.traffic} traffic"
        for name, one in options.closed_loops.items()
    }


def _facts(stamp: dict[str, Any]) -> dict[str, str]:
    """Return the provenance as labelled text."""
    versions = ", ".join(f"{name} {number}" for name, number in stamp["packages"].items())
    return {
        "closed loop": f"{stamp['seconds']:g} s, {stamp['rate']:g} plans a second",
        "traffic of pseudo-simulation": stamp["traffic"],
        **{f"closed loop {name}": text for name, text in stamp["closed_loops"].items()},
        "share of follow-ups": f"{stamp['density']:g}",
        "planners left out because they failed": ", ".join(stamp["left_out"]) or "none",
        "metric": stamp["metric"],
        "benchmark": stamp["benchmark"][:16],
        "versions": versions,
    }
