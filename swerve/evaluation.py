"""Evaluate planners on a benchmark: load them, run the job, write the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from swerve.eval.benchmark.benchmark_store import Benchmark, open_benchmark
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.evaluate_job import Evaluation, PlannerSpec
from swerve.eval.benchmark.evaluate.evaluate_job import evaluate as run_evaluation
from swerve.eval.benchmark.evaluate.evaluation_summary import REPORT
from swerve.eval.benchmark.evaluate.observations import uses_images
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.report.report_page import ReportOptions, write_report
from swerve.options.evaluate import EvaluateOptions
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import LoadedPlanner, load_planner
from swerve.scenes.planning import Planner


def evaluate_planners(
    benchmark: Path,
    specs: Sequence[str],
    out: Path,
    options: EvaluateOptions,
    workers: int | None = None,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate planners on a benchmark, and write the results and the report.

    Args:
        benchmark: Folder of the benchmark.
        specs: Planners, as `load_planner` takes them.
        out: Output folder.
        options: The evaluation.
        workers: Worker processes; one per core if None.
        console: Console for progress; none if None.
    """
    opened, planners = _opened(benchmark, options), [load_planner(spec) for spec in specs]
    entries, policy = _entries(opened, planners), options.traffic or opened.traffic
    evaluation = run_evaluation(opened, entries, load, out, policy, options.weighting, workers, console)
    if options.report:
        _write_report(opened, planners, out)
    return evaluation


def _opened(folder: Path, options: EvaluateOptions) -> Benchmark:
    """Return a benchmark with the views that the options select."""
    opened = open_benchmark(folder, splats=options.splats)
    return opened.with_views(*(options.views or (opened.view_kind,)))


def _entries(opened: Benchmark, planners: Sequence[LoadedPlanner]) -> list[PlannerSpec]:
    """Return how planners take part: once for each kind of views."""
    kinds = (opened.view_kind, *opened.extra_view_kinds)
    rendered = {kind: opened.renderers[kind].name for kind in kinds if kind not in opened.stored_kinds}
    return [entry for named in planners for entry in entries_of(named, kinds, rendered)]


def entries_of(named: LoadedPlanner, kinds: Sequence[ViewKind], rendered: Mapping[ViewKind, str]) -> list[PlannerSpec]:
    """Return a planner as it takes part: once for each kind of views, if it has cameras.

    Args:
        named: the planner.
        kinds: of views.
        rendered: names of the renderers of views that are not stored; another folder of splats gives other views.
    """
    identity = fingerprint(named)
    if not uses_images(named.planner):
        return [PlannerSpec(named.label, named.spec, identity)]
    labels = [f"{named.label}@{kind}" for kind in kinds] if len(kinds) > 1 else [named.label]
    return [
        PlannerSpec(label, named.spec, f"{identity} sees {rendered.get(kind, kind)}", named.label, kind)
        for label, kind in zip(labels, kinds, strict=True)
    ]


def load(spec: str) -> Planner:
    """Return the planner of a spec; worker processes call it."""
    return load_planner(spec).planner


def _write_report(benchmark: Benchmark, planners: Sequence[LoadedPlanner], out: Path) -> None:
    kinds = (benchmark.view_kind, *benchmark.extra_view_kinds)
    options = ReportOptions(
        title=f"Planners on {benchmark.folder.resolve().name}",
        cameras={
            entry.label: getattr(named.planner, "cameras", None)
            for named in planners
            for entry in entries_of(named, kinds, {})
        },
    )
    write_report(out / REPORT, benchmark, read_results(out), options)
