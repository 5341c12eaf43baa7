"""Run `swerve train ego-mlp`."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from swerve.consoles import print_table, progress_console, results_console
from swerve.data.storage.files import make_folder
from swerve.job_report import open_sources
from swerve.options.train_ego_mlp import TrainEgoMlp
from swerve.output import write_output
from swerve.planners.baselines.ego_mlp import EgoMlp, save_ego_mlp
from swerve.planners.baselines.train_ego_mlp import (
    Examples,
    constant_velocity_poses,
    displacement_errors,
    examples_by_split,
    require_torch,
    train_ego_mlp,
)
from swerve.planners.load_planner import TRAINED
from swerve.planners.trained_file import require_safetensors
from swerve.scenes import Split, SwerveError


def run(args: TrainEgoMlp) -> int:
    """Train the ego-status MLP, print its errors, and return the exit code."""
    out, options, console = args.out, args.options, results_console()
    progress = progress_console()
    if out.suffix != TRAINED:
        raise SwerveError(f"out: {out} must end in {TRAINED}")
    require_torch()
    require_safetensors()
    opened = open_sources(args.sources)
    make_folder(out.parent)
    with _bar(progress) as bar:
        line = bar.add_task("reading logs")
        parts = examples_by_split(
            opened, args.scene_interval, args.split, lambda done, total: bar.update(line, completed=done, total=total)
        )
    examples = {name: Examples.concatenate(part) for name, part in parts.items()}
    if not len(examples["train"]):
        raise SwerveError("no log of split train has 1.5 s before and 4 s after a scene: there is nothing to train on")
    start = time.perf_counter()
    with _bar(progress) as bar:
        line = bar.add_task("training", total=options.epochs)
        planner = train_ego_mlp(
            examples["train"],
            options,
            lambda epoch, loss: bar.update(line, completed=epoch, description=f"training, loss {loss:.3f}"),
        )
    seconds = time.perf_counter() - start
    print_table(console, _errors(planner, examples, {name: len(part) for name, part in parts.items()}))
    write_output(out, lambda path: save_ego_mlp(planner, path))
    console.print(f"trained in {seconds:.1f} s; wrote {out}", highlight=False, soft_wrap=True, markup=False)
    return 0


def _errors(planner: EgoMlp, examples: dict[Split, Examples], logs: dict[Split, int]) -> Table:
    """Return a table of displacement errors on split train and split val, with those of constant velocity."""
    table = Table("split", "logs", "scenes", "ADE", "FDE", "ADE of constant velocity", "FDE", box=None)
    for split in ("train", "val"):
        part = examples[split]
        rows = (planner.poses(part.inputs), constant_velocity_poses(part.inputs))
        errors = [f"{error:.2f} m" for poses in rows for error in displacement_errors(poses, part.targets)]
        table.add_row(split, str(logs[split]), str(len(part)), *(errors if len(part) else ["-"] * 4))
    return table


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
