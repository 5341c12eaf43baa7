"""Evaluate planners on a benchmark: load them, run the job, write the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from swerve.data.jobs import Workers, local_processes
from swerve.data.jobs.file_reader import FileReader
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.wod_e2e.wod_e2e_source import PREFIX
from swerve.eval.benchmark.benchmark_store import Benchmark, open_benchmark
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.benchmark_protocol import ReportedBenchmark
from swerve.eval.benchmark.evaluate.evaluate_job import evaluate as run_evaluation
from swerve.eval.benchmark.evaluate.evaluation_summary import REPORT
from swerve.eval.benchmark.evaluate.observations import uses_images
from swerve.eval.benchmark.evaluate.one_stage_job import evaluate_one_stage
from swerve.eval.benchmark.evaluate.planner_records import Evaluation, PlannerSpec
from swerve.eval.benchmark.evaluate.results import read_one_stage_results, read_results
from swerve.eval.benchmark.navsim_benchmark import open_navsim_benchmark
from swerve.eval.report.one_stage_page import write_one_stage_report
from swerve.eval.report.privileged_inputs import privileged_input_of
from swerve.eval.report.report_page import ReportOptions, write_report
from swerve.evaluate_wod_e2e import evaluate_wod_e2e
from swerve.options.evaluate import EvaluateOptions
from swerve.planners.open_planner import OpenedPlanner, PlannerLoader, open_planner
from swerve.scenes import SwerveError

# How a benchmark begins that is NAVSIM's own data.
NAVSIM = "navsim:"


def evaluate_planners(
    benchmark: str | Path,
    specs: Sequence[str],
    out: Path,
    options: EvaluateOptions,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate planners on a benchmark, and write the results and the report.

    Args:
        benchmark: Folder of the benchmark, navsim:ROOT, or wod_e2e:PATH.
        specs: Planners, as `load_planner` takes them.
        out: Output folder.
        options: The evaluation.
        workers: Worker processes; one per core if None.
        console: Console for progress; none if None.
    """
    planners = [open_planner(spec, options.limits) for spec in specs]
    if str(benchmark).startswith(PREFIX):
        return evaluate_wod_e2e(str(benchmark), planners, out, options, workers, console)
    if options.clusters is not None:
        raise SwerveError(f"{benchmark}: --clusters is for {PREFIX}PATH alone")
    if options.split is not None or str(benchmark).startswith(NAVSIM):
        return evaluate_navsim(str(benchmark), planners, out, options, workers, console)
    opened = _opened(Path(benchmark), options)
    entries, policy = _entries(opened, planners), options.traffic or opened.traffic
    load = PlannerLoader(options.limits, planners)
    evaluation = run_evaluation(opened, entries, load, out, policy, options.weighting, workers, console)
    if options.report:
        _write_report(opened, f"Planners on {opened.folder.resolve().name}", planners, entries, out)
    return evaluation


def evaluate_navsim(
    text: str,
    planners: Sequence[OpenedPlanner],
    out: Path,
    options: EvaluateOptions,
    workers: Workers = None,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate planners on a split of NAVSIM's, in two stages if it has groups, else in one.

    What the split asks for and is not there is printed, a line each.

    Raises:
        SwerveError: no split is given or it is not there, no scene of it is there, a map is missing, or the options ask
            for other views than the photographs.
    """
    if not text.startswith(NAVSIM) and Path(text, "benchmark.json").is_file():
        raise SwerveError(f"--split is for NAVSIM's own data, navsim:ROOT: leave it out for the benchmark {text}")
    if options.split is None:
        raise SwerveError(f"{text}: say which scenes, as in --split navtest (NAVSIM's names) or --split FILE.yaml")
    if any(kind != "photo" for kind in options.views) or options.splats:
        raise SwerveError(f"{text}: NAVSIM's data have photographs only: leave out --views and --splats")
    read_files = FileReader(local_processes(workers), console)
    opened = open_navsim_benchmark(navsim_folders(text.removeprefix(NAVSIM)), read_split(options.split), read_files)
    if console:
        for note in opened.notes:
            console.print(note, style="yellow", markup=False, soft_wrap=True)
    opened.check_images(named.planner for named in planners)
    entries = [
        PlannerSpec(named.label, named.spec, named.identity, privileged_input=privileged_input_of(named.planner))
        for named in planners
    ]
    policy, load = options.traffic or opened.traffic, PlannerLoader(options.limits, planners)
    if not opened.groups:
        evaluation = evaluate_one_stage(opened, entries, load, out, policy, workers, console)
        if options.report:
            shown = _report_options(f"Planners on {opened.index.split.name}", planners, entries)
            write_one_stage_report(out / REPORT, opened, read_one_stage_results(out), shown)
        return evaluation
    evaluation = run_evaluation(opened, entries, load, out, policy, options.weighting, workers, console)
    if options.report:
        _write_report(opened, f"Planners on {opened.index.split.name}", planners, entries, out)
    return evaluation


def _opened(folder: Path, options: EvaluateOptions) -> Benchmark:
    """Return a benchmark with the views that the options select."""
    opened = open_benchmark(folder, splats=options.splats)
    return opened.with_views(*(options.views or (opened.view_kind,)))


def _entries(opened: Benchmark, planners: Sequence[OpenedPlanner]) -> list[PlannerSpec]:
    """Return how planners take part: once for each kind of views."""
    kinds = (opened.view_kind, *opened.extra_view_kinds)
    rendered = {kind: opened.renderers[kind].name for kind in kinds if kind not in opened.stored_kinds}
    return [entry for named in planners for entry in entries_of(named, kinds, rendered)]


def entries_of(named: OpenedPlanner, kinds: Sequence[ViewKind], rendered: Mapping[ViewKind, str]) -> list[PlannerSpec]:
    """Return a planner as it takes part: once for each kind of views, if it has cameras.

    Args:
        named: the planner.
        kinds: of views.
        rendered: names of the renderers of views that are not stored; another folder of splats gives other views.
    """
    identity, told = named.identity, privileged_input_of(named.planner)
    if not uses_images(named.planner):
        return [PlannerSpec(named.label, named.spec, identity, privileged_input=told)]
    labels = [f"{named.label}@{kind}" for kind in kinds] if len(kinds) > 1 else [named.label]
    return [
        PlannerSpec(label, named.spec, f"{identity} sees {rendered.get(kind, kind)}", named.label, kind, told)
        for label, kind in zip(labels, kinds, strict=True)
    ]


def _write_report(
    benchmark: ReportedBenchmark,
    title: str,
    planners: Sequence[OpenedPlanner],
    entries: Sequence[PlannerSpec],
    out: Path,
) -> None:
    write_report(out / REPORT, benchmark, read_results(out), _report_options(title, planners, entries))


def _report_options(title: str, planners: Sequence[OpenedPlanner], entries: Sequence[PlannerSpec]) -> ReportOptions:
    """Return the options of a report, with the cameras that planners declare, and what they are told."""
    by_label = {named.label: named.planner for named in planners}
    evaluated = {entry.label: by_label[entry.planner or entry.label] for entry in entries}
    cameras = {label: getattr(planner, "cameras", None) for label, planner in evaluated.items()}
    known = {entry.label: entry.privileged_input for entry in entries if entry.privileged_input}
    return ReportOptions(title=title, cameras=cameras, known=known)
