"""Run `swerve train`."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.consoles import progress_console, results_console
from swerve.data.storage.checked_json import anything, mapping_of, read_json
from swerve.data.storage.files import file_digest, os_errors_as_swerve_errors
from swerve.data.storage.mirror import mirror_of, shown
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.data.stream.catalogue import read_catalogue
from swerve.data.stream.part import PARTS, PartName
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.job_report import stoppable
from swerve.options.train import Train
from swerve.planners.trained_file import require_safetensors, require_torch
from swerve.scenes import LogError, Split, SwerveError
from swerve.training_rounds import RoundSet, train_in_rounds

if TYPE_CHECKING:
    from swerve.planners.learning import ModelConfig
    from swerve.planners.learning.hidden_state_store import HiddenStateStore
    from swerve.planners.learning.validation import Validation


def run(args: Train) -> int:
    """Train a planner, in one or more rounds, and return the exit code."""
    require_torch()
    require_safetensors()
    if args.rounds.rounds > 1 and mirror_of(args.out) is not None:
        raise SwerveError(
            f"rounds: {shown(args.out)} is in a store, and a round reads the sets of earlier ones: give a folder "
            "of this machine, or run the commands of a round in turn"
        )
    base, console = _sets(args), results_console()

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True, markup=False)

    with stoppable():
        if args.rounds.rounds == 1:
            _train(args, base, args.out, say)
            return 0
        train = partial(_train, args, say=say)
        path = train_in_rounds(
            base, args.out, args.rounds, train, _recipe(args), console=progress_console(), report=say
        )
    say(f"wrote {shown(path)}")
    return 0


def _sets(args: Train) -> list[RoundSet]:
    """Return the sets with their contexts."""
    datasets = (args.dataset, *args.more_sets)
    contexts = args.contexts or (None,) * len(datasets)
    return [RoundSet(*pair) for pair in zip(datasets, contexts, strict=True)]


def _train(args: Train, sets: Sequence[RoundSet], folder: Path, say: Callable[[str], None]) -> Path:
    """Train a network on one or more sets; return the planner's file."""
    from swerve.planners.learning.train import RunOptions, processes, train
    from swerve.planners.learning.training_log import METRICS, require_tensorboard
    from swerve.planners.learning.wandb_run import require_wandb

    if args.loop.tensorboard:
        require_tensorboard()
    if args.loop.wandb:
        require_wandb()
    hidden = _hidden_states(args)
    config = _config(args, hidden)
    datasets, contexts = [one.dataset for one in sets], [one.contexts for one in sets if one.contexts]
    run_options = RunOptions(**vars(args.loop), validation=_validation(args))
    with processes() as process:
        stream = SampleStream(datasets, _stream_options(args, datasets, config), process.rank, process.world)
        store = ContextStore(contexts, datasets) if contexts else None
        with _progress(progress_console(), process.rank > 0, args.training.steps) as reports:
            path = train(stream, store, config, args.training, folder, process, run_options, *reports, hidden)
    if process.rank == 0:
        say(f"wrote {shown(path)} and {shown(folder / METRICS)}")
    return path


def _recipe(args: Train) -> dict[str, Any]:
    """Return what determines the planners of rounds beside their sets, as JSON values."""
    initial, training = args.training.initial_weights, asdict(args.training)
    if initial is not None:
        with os_errors_as_swerve_errors(initial):
            training["initial_weights"] = file_digest(initial)
    plain: dict[str, Any] = {
        "family": args.family,
        "batch_size": args.batch_size,
        "parts": [str(part) for part in args.parts],
    }
    plain |= {f"model.{name}": value for name, value in _config(args).to_json().items()}
    return plain | {name: value for name, value in training.items() if name not in ("scoring_threads", "compile")}


def _stream_options(args: Train, datasets: Sequence[Path], config: "ModelConfig") -> StreamOptions:
    """Return how batches are made for a network.

    Before the first visited states are drawn, the part of a batch that is theirs goes to the others.
    """
    fit = ImageFit((config.image_width, config.image_height), config.trim)
    parts = args.parts or default_parts(*datasets, split=args.split)
    if args.rounds.rounds > 1 and not _counts(datasets, args.split)["visited"]:
        parts = tuple(part for part in parts if part.name != "visited")
    return StreamOptions(parts, fit, config.cameras, args.batch_size, args.training.seed, split=args.split)


def default_parts(*datasets: Path, split: Split = "train") -> tuple[Part, ...]:
    """Return the parts of a batch by what sets have: half of logged viewpoints, with photos if there are any."""
    there = _counts(datasets, split)
    logged = Part("paired", 0.5, "both") if there["paired"] else Part("raster_only", 0.5)
    names: tuple[PartName, ...] = ("recovery", "cross_agent", "follow_up", "visited")
    return tuple(part for part in (logged, *(Part(name, 0.25) for name in names)) if there[part.name])


def _counts(datasets: Sequence[Path], split: Split) -> Counter[str]:
    """Count the samples of each part, of a split."""
    known = [read_catalogue(dataset, split).parts for dataset in datasets]
    return Counter({name: sum(len(one[name]) for one in known) for name in PARTS})


def _validation(args: Train) -> "Validation | None":
    """Return what the planner is validated on, if anything."""
    from swerve.planners.learning.validation import Validation

    if args.validate is None:
        return None
    return Validation(open_benchmark(args.validate, args.validate_views), args.validate_every)


def _hidden_states(args: Train) -> "HiddenStateStore | None":
    """Open the hidden states of the sets, if any are given."""
    if not args.hidden_states:
        return None
    from swerve.planners.learning.hidden_state_store import HiddenStateStore

    return HiddenStateStore(args.hidden_states, (args.dataset, *args.more_sets))


def _config(args: Train, hidden: "HiddenStateStore | None" = None) -> "ModelConfig":
    """Return the config of the network; what hidden states are of is the store's.

    Raises:
        SwerveError: there is no such file, it holds something else, or a field is unknown or of another type.
    """
    from swerve.planners.learning.families import model_class

    kind, text = model_class(args.family).config_class, args.model
    # Without contexts there is nothing to learn sub-scores from.
    more = _fields(args.fields) | ({"auxiliary": list(args.auxiliary)} if args.auxiliary else {})
    if hidden is not None and kind.family == "chainflow":
        own = {f"vlm_{name}": value for name, value in asdict(hidden.stored.spec).items()}
        more = {"conditioning": "hidden_states", **more, **own}
    more |= {} if args.contexts else {"score_weight": 0.0, "ranking_weight": 0.0}
    if text in ("paper", "tiny"):
        return kind.from_json({**(kind() if text == "paper" else kind.tiny()).to_json(), **more})
    try:
        content = read_json(Path(text), mapping_of(anything))
    except LogError as error:
        raise SwerveError(
            f"model {text}: neither paper nor tiny, and no config of {kind.__name__} ({error})"
        ) from error
    return kind.from_json({**kind().to_json(), **content, **more})


def _fields(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of texts NAME=VALUE, which are JSON or plain words.

    Raises:
        SwerveError: a text has another form.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise SwerveError(f"fields: {text!r} is not NAME=VALUE, such as proposals=16")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


StepReport = Callable[[dict[str, int | float]], None]
ValidationReport = Callable[[int, dict[str, float]], None]


@contextmanager
def _progress(console: Console, silent: bool, steps: int) -> Iterator[tuple[StepReport, ValidationReport]]:
    """Yield a function that shows the metrics of each step, and one that prints the scores of each validation."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = silent or not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden, transient=True) as bar:
        line = bar.add_task("training", total=steps)
        told = -1

        def report(metrics: dict[str, int | float]) -> None:
            text = f"training, loss {metrics['total']:.2f}, ADE of nearest proposal {metrics['ade_best']:.2f} m"
            bar.update(line, completed=metrics["step"], description=text)
            nonlocal told
            if not silent and not console.is_terminal and told < (tenth := 10 * int(metrics["step"]) // steps):
                told = tenth
                console.print(f"step {metrics['step']} of {steps}: {text}", highlight=False, soft_wrap=True)

        def report_validation(step: int, found: dict[str, float]) -> None:
            if not found:
                bar.update(line, description=f"validating at step {step}")
                return
            stages = f"stage one {found['stage_one']:.3f}, stage two {found['stage_two']:.3f}"
            bar.update(line, description="training")
            console.print(
                f"step {step}: validation score {found['score']:.3f} ({stages}), ADE {found['ade']:.2f} m",
                highlight=False,
                soft_wrap=True,
            )

        yield report, report_validation
