"""Run `swerve export navsim`."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swerve.consoles import progress_console, results_console
from swerve.data.export_navsim.split_files import SPLITS
from swerve.eval.benchmark.benchmark_store import folder_size, open_benchmark
from swerve.eval.export.export_navsim import NavsimExport, export_navsim
from swerve.options.export_navsim import ExportNavsim


def run(asked: ExportNavsim) -> int:
    """Export a benchmark, print the report, and return the exit code."""
    console = results_console()
    benchmark = open_benchmark(asked.benchmark, asked.views, splats=asked.splats)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = progress_console()
    with Progress(*columns, console=progress, disable=not progress.is_terminal, transient=True) as bar:
        line = bar.add_task("scene groups")
        done = export_navsim(
            benchmark,
            asked.out,
            asked.split,
            asked.images,
            lambda count, total: bar.update(line, completed=count, total=total),
        )
    _tell(done, console)
    return 0


def _tell(done: NavsimExport, console: Console) -> None:
    root, name = done.folder.root, done.folder.name
    counts = f"{done.scene_groups} scene groups, {done.scenes} scenes, {done.images} images"
    lines = [
        f"{counts}, {folder_size(root) / 1e6:.1f} MB in {root}",
        f"swerve evaluate navsim:{root} results --split {root / SPLITS / name}.yaml --planners constant-velocity",
        f"{root / 'README.txt'} has the lines for NAVSIM",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for note in done.notes:
        console.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
