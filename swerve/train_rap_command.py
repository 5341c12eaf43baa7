"""`swerve train rap`: a training set in, a planner that sees out."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.arguments import one_kind
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.data.stream.part import PARTS, ImageChoice, PartName
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.job_report import stoppable
from swerve.planners.baselines.ego_mlp import require_safetensors
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.planners.rap import RapConfig

_PARTS = "paired:0.5:both,recovery:0.25,cross_agent:0.25"


# What each option is; `rap` has them in the order of its help.
_Set = Annotated[Path, typer.Argument(metavar="SET", help="A finished set of `swerve augment`.")]
_Out = Annotated[Path, typer.Option(help="Folder of the run; new, or of this same run, which then goes on.")]
_Steps = Annotated[int, typer.Option(help="Of the optimiser.", min=1)]
_Contexts = Annotated[
    Path | None, typer.Option(help="Of the same set, from `swerve contexts`; without, sub-scores are not learned.")
]
_Config = Annotated[
    str, typer.Option(help="paper, tiny, or a JSON file with the fields of RapConfig that differ from the paper's.")
]
_Parts = Annotated[str, typer.Option(help="Of every batch: NAME:SHARE[:raster, photo or both] with commas between.")]
_Batch = Annotated[int, typer.Option(help="Samples per step and process.", min=1)]
_Rate = Annotated[float, typer.Option(help="Largest learning rate.", min=0.0)]
_Seed = Annotated[int, typer.Option(help="Of first weights, order and dropout.", min=0)]
_Workers = Annotated[int, typer.Option(help="Processes that make batches ahead.", min=0)]
_Threads = Annotated[int, typer.Option(help="Scenes scored at the same time.", min=1)]
_CheckpointEvery = Annotated[int, typer.Option(help="Steps.", min=1)]
_Validate = Annotated[
    Path | None, typer.Option(metavar="BENCHMARK", help="Of `swerve build`, of other logs: drive it meanwhile.")
]
_ValidateViews = Annotated[
    str | None, typer.Option(help="What it sees there: raster, photo. Default: what is stored, raster if several.")
]
_ValidateEvery = Annotated[int, typer.Option(help="Steps.", min=1)]
_Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write metrics for TensorBoard. Needs the extra `tensorboard`.")
]


def rap(
    dataset: _Set,
    out: _Out,
    steps: _Steps,
    contexts: _Contexts = None,
    config: _Config = "paper",
    parts: _Parts = _PARTS,
    batch: _Batch = 16,
    rate: _Rate = 1e-4,
    seed: _Seed = 0,
    workers: _Workers = 2,
    threads: _Threads = 2,
    checkpoint_every: _CheckpointEvery = 1000,
    validate: _Validate = None,
    validate_views: _ValidateViews = None,
    validate_every: _ValidateEvery = 1000,
    tensorboard: _Tensorboard = False,
) -> None:
    """Train RAP: proposals refined by what the cameras show, scored by the exact scorer while it learns.

    It learns from samples of split train. OUT gets planner.safetensors (for `--planner`), checkpoint.safetensors and
    metrics.csv; with --validate also validation.csv, and best.safetensors with the weights that drove best. The same
    command goes on with a run that was stopped or killed. For several GPUs: torchrun --no-python --nproc-per-node N
    swerve train rap ... Needs the extra `torch`. docs/train_rap.md leads through it.

    Example: swerve train rap sets/town --contexts sets/town-contexts --out runs/rap --steps 2000 --config tiny
    """
    require_torch()
    require_safetensors()
    from swerve.planners.rap.train_options import RapTrainOptions
    from swerve.planners.rap.train_rap import RunOptions, processes, train_rap
    from swerve.planners.rap.training_log import METRICS, require_tensorboard
    from swerve.planners.rap.validation import Validation

    if tensorboard:
        require_tensorboard()
    chosen = _config(config, contexts is not None)
    fit = ImageFit((chosen.width, chosen.height), chosen.trim)
    options = StreamOptions(_parts(parts), fit, chosen.cameras, batch, seed)
    training = RapTrainOptions(steps, learning_rate=rate, lowest_rate=rate / 10, seed=seed, threads=threads)
    shown = one_kind(validate_views) if validate_views else None
    judged = Validation(open_benchmark(validate, shown), validate_every) if validate else None
    console = Console()
    with stoppable(console), processes() as process:
        stream = SampleStream(dataset, options, process.rank, process.world)
        store = ContextStore(contexts, dataset) if contexts else None
        run = RunOptions(workers, checkpoint_every, judged, tensorboard)
        with _told(console, process.rank > 0, steps) as told:
            path = train_rap(stream, store, chosen, training, out, process, run, told)
    if process.rank == 0:
        console.print(f"wrote {path} and {out / METRICS}", highlight=False, soft_wrap=True, markup=False)


def _config(text: str, scored: bool) -> "RapConfig":
    """The config that the option names.

    Raises:
        SwerveError: there is no such file, or it holds something else.
    """
    from swerve.planners.rap import RapConfig

    # Without contexts there is nothing to learn sub-scores from.
    more: dict[str, Any] = {} if scored else {"score_weight": 0.0}
    if text in ("paper", "tiny"):
        return RapConfig(**more) if text == "paper" else RapConfig.tiny(**more)
    try:
        content = json.loads(Path(text).read_text())
    except (OSError, ValueError) as error:
        raise SwerveError(f"config {text}: neither paper nor tiny, and cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise SwerveError(f"config {text}: must be an object with fields of RapConfig")
    return RapConfig.from_json({**RapConfig().to_json(), **content, **more})


def _parts(text: str) -> tuple[Part, ...]:
    """Raises SwerveError where the text is of another form."""
    return tuple(_part(one.strip()) for one in text.split(","))


def _part(text: str) -> Part:
    found = re.fullmatch(rf"({'|'.join(PARTS)}):(\d*\.?\d+)(?::(raster|photo|both))?", text)
    if not found:
        raise SwerveError(f"parts: {text!r} is not NAME:SHARE or NAME:SHARE:IMAGES with NAME of {', '.join(PARTS)}")
    name, share, images = found.groups("raster")
    return Part(cast(PartName, name), float(share), cast(ImageChoice, images))


@contextmanager
def _told(console: Console, silent: bool, steps: int) -> Iterator[Callable[[dict[str, int | float]], None]]:
    """What is called with the metrics of each step, and shows them."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = silent or not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden, transient=True) as bar:
        line = bar.add_task("training", total=steps)

        def told(noted: dict[str, int | float]) -> None:
            text = f"training, loss {noted['total']:.2f}, nearest proposal {noted['ade_best']:.2f} m off"
            bar.update(line, completed=noted["step"], description=text)

        yield told
