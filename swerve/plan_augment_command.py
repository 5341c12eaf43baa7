"""Run `swerve plan augment`."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from swerve.consoles import print_table, progress_console, results_console
from swerve.data.dataset.augment_plan import AugmentPlan, Pilot, plan_augment, run_pilot
from swerve.data.jobs import log_names
from swerve.eval.training_viewpoints import maker_of
from swerve.job_report import counted, open_sources, show_failures
from swerve.options.plan_augment import PlanAugment
from swerve.rasterizer.backends import resolve_backend

_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6))


def run(args: PlanAugment) -> int:
    """Make the pilot, print the plan, and return the exit code."""
    sources = open_sources(args.sources)
    options = replace(args.options, backend=resolve_backend(args.options.backend))
    nodes, cores = map(int, args.nodes.split("x"))
    with (
        progress_console().status(f"making {args.pilot + 1} parts on one core"),
        tempfile.TemporaryDirectory(prefix="swerve-plan-") as folder,
    ):
        pilot = run_pilot(sources, Path(folder), options, args.pilot, maker_of(options, args.training))
    logs = args.logs or len(log_names(sources))
    show_plan(
        results_console(), pilot, plan_augment(pilot, logs, args.scenes, options.shard_scenes, nodes, cores), args.nodes
    )
    return 1 if pilot.failures else 0


def show_plan(console: Console, pilot: Pilot, plan: AugmentPlan, nodes: str) -> None:
    """Print what was measured and what follows from it."""
    console.print(
        f"Pilot: {counted(pilot.samples, 'sample')} of {counted(pilot.scenes, 'scene')} in {pilot.parts} parts of "
        f"{counted(pilot.logs, 'log')}: {pilot.part_seconds / max(pilot.samples / pilot.parts, 1e-9):.3f} s and "
        f"{pilot.part_bytes * pilot.parts / pilot.samples / 1e3:.0f} kB a sample on one core, {pilot.open_seconds:.1f} "
        "s to read a log",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("whole job", "", box=None)
    table.add_row("logs, scenes", f"{plan.logs:,}, {plan.scenes:,}")
    table.add_row("samples", f"{plan.samples:,} in {plan.parts:,} shards")
    table.add_row("size", size_text(plan.bytes))
    hours = plan.core_seconds / 3600
    table.add_row("core hours", f"{hours:,.1f}" if hours >= 10 else f"{hours:.4f}")
    wall, finish = (str(timedelta(seconds=round(seconds))) for seconds in (plan.wall_seconds, plan.finish_seconds))
    table.add_row(f"time on {nodes}", f"{wall}, of which {finish} to complete the set")
    table.add_row("store requests", f"{plan.puts:,} that write, {plan.gets:,} that read, {plan.lists:,} that list")
    print_table(console, table)
    show_failures(console, pilot.failures)
    if pilot.failures:
        console.print("What failed in the pilot is not planned.", style="yellow", highlight=False)


def size_text(size: float) -> str:
    """Return bytes as text."""
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size >= scale), _UNITS[-1])
    return f"{size / scale:,.1f} {unit}"
