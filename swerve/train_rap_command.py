"""Run `swerve train rap`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.data.stream import ImageFit, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.job_report import stoppable
from swerve.options.train_rap import TrainRap
from swerve.planners.baselines.ego_mlp import require_safetensors
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.planners.rap import RapConfig
    from swerve.planners.rap.validation import Validation


def run(asked: TrainRap) -> int:
    """Train RAP, and return the exit code."""
    require_torch()
    require_safetensors()
    from swerve.planners.rap.train_rap import RunOptions, processes, train_rap
    from swerve.planners.rap.training_log import METRICS, require_tensorboard

    if asked.loop.tensorboard:
        require_tensorboard()
    config = _config(asked.model, asked.contexts is not None)
    stream_options = _stream_options(asked, config)
    run_options = RunOptions(**vars(asked.loop), validation=_validation(asked))
    console, steps = Console(), asked.training.steps
    with stoppable(console), processes() as process:
        stream = SampleStream(asked.dataset, stream_options, process.rank, process.world)
        store = ContextStore(asked.contexts, asked.dataset) if asked.contexts else None
        with _told(console, process.rank > 0, steps) as told:
            path = train_rap(stream, store, config, asked.training, asked.out, process, run_options, told)
    if process.rank == 0:
        console.print(f"wrote {path} and {asked.out / METRICS}", highlight=False, soft_wrap=True, markup=False)
    return 0


def _stream_options(asked: TrainRap, config: "RapConfig") -> StreamOptions:
    """Return how batches are made for a network."""
    fit = ImageFit((config.image_width, config.image_height), config.trim)
    return StreamOptions(asked.parts, fit, config.cameras, asked.batch, asked.training.seed)


def _validation(asked: TrainRap) -> "Validation | None":
    """Return what the planner is validated on, if anything."""
    from swerve.planners.rap.validation import Validation

    if asked.validate is None:
        return None
    return Validation(open_benchmark(asked.validate, asked.validate_views), asked.validate_every)


def _config(text: str, scored: bool) -> "RapConfig":
    """Return the config that the option --model names.

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
        raise SwerveError(f"model {text}: neither paper nor tiny, and cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise SwerveError(f"model {text}: must be an object with fields of RapConfig")
    return RapConfig.from_json({**RapConfig().to_json(), **content, **more})


@contextmanager
def _told(console: Console, silent: bool, steps: int) -> Iterator[Callable[[dict[str, int | float]], None]]:
    """Yield a function that shows the metrics of each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = silent or not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden, transient=True) as bar:
        line = bar.add_task("training", total=steps)

        def told(noted: dict[str, int | float]) -> None:
            text = f"training, loss {noted['total']:.2f}, nearest proposal {noted['ade_best']:.2f} m off"
            bar.update(line, completed=noted["step"], description=text)

        yield told
