"""`swerve train`: logs in, a trained planner out."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from swerve.augment_command import SplitName
from swerve.data import open_source
from swerve.data.storage.files import make_folder
from swerve.planners.baselines.ego_mlp import EgoMlp, require_safetensors, save_ego_mlp
from swerve.planners.baselines.train_ego_mlp import (
    Examples,
    constant_velocity_poses,
    displacement_errors,
    examples_by_split,
    require_torch,
    train_ego_mlp,
)
from swerve.planners.baselines.train_options import TrainOptions
from swerve.planners.load_planner import TRAINED
from swerve.scenes import Split, SwerveError
from swerve.train_rap_command import rap

train = typer.Typer(help="Train a planner.", no_args_is_help=True)
train.command("rap")(rap)
_DEFAULTS = TrainOptions()


@train.command("ego-mlp")
def ego_mlp(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="av2:PATH, waymo:PATH, town:COUNT, town:FIRST-LAST, or a path; any number."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The planner: a .safetensors file, for `--planner`.")],
    epochs: Annotated[int, typer.Option(help="Passes over the examples.", min=1)] = _DEFAULTS.epochs,
    seed: Annotated[int, typer.Option(help="Of first weights and order; the same seed, the same file.", min=0)] = 0,
    every: Annotated[float, typer.Option(help="Seconds between the moments of a log.", min=0.01)] = 0.1,
    split: Annotated[SplitName, typer.Option(help="Of logs whose source does not say.")] = SplitName.train,
) -> None:
    """Train the ego-status MLP: a small network that sees the car's own motion and the command alone.

    It learns from logs of split train; its error is shown on those of split val. Needs the extra `torch`.

    Example: swerve train ego-mlp town:40 --out ego.safetensors
    """
    if out.suffix != TRAINED:
        raise SwerveError(f"out: {out} must end in {TRAINED}")
    require_torch()
    require_safetensors()
    options, console = TrainOptions(epochs=epochs, seed=seed), Console()
    opened = [open_source(source) for source in sources]
    make_folder(out.parent)
    with _bar(console) as bar:
        line = bar.add_task("reading logs")
        parts = examples_by_split(
            opened, every, split.value, lambda done, total: bar.update(line, completed=done, total=total)
        )
    examples = {name: Examples.joined(part) for name, part in parts.items()}
    if not len(examples["train"]):
        raise SwerveError("no moment of a log of split train has 1.5 s before and 4 s after it: nothing to train on")
    start = time.perf_counter()
    with _bar(console) as bar:
        line = bar.add_task("training", total=epochs)
        planner = train_ego_mlp(
            examples["train"],
            options,
            lambda epoch, loss: bar.update(line, completed=epoch, description=f"training, loss {loss:.3f}"),
        )
    seconds = time.perf_counter() - start
    save_ego_mlp(planner, out)
    console.print(_errors(planner, examples, {name: len(part) for name, part in parts.items()}))
    console.print(f"trained in {seconds:.1f} s; wrote {out}", highlight=False, soft_wrap=True, markup=False)


def _errors(planner: EgoMlp, examples: dict[Split, Examples], logs: dict[Split, int]) -> Table:
    """Displacement errors beside constant velocity's, on what was learned and on what was not."""
    table = Table("split", "logs", "moments", "ADE", "FDE", "ADE of constant velocity", "FDE", box=None)
    for split in ("train", "val"):
        part = examples[split]
        rows = (planner.poses(part.inputs), constant_velocity_poses(part.inputs))
        errors = [f"{error:.2f} m" for poses in rows for error in displacement_errors(poses, part.targets)]
        table.add_row(split, str(logs[split]), str(len(part)), *(errors if len(part) else ["-"] * 4))
    return table


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
