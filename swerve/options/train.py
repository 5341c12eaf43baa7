"""Options of `swerve train`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from swerve.data.stream.part import BATCH_SIZE, Part
from swerve.eval.benchmark.build_options import ViewKind
from swerve.options.shared import NONE_BY_DEFAULT, Config, Dataset, unset
from swerve.planners.learning.train_options import LoopOptions, TrainingOptions
from swerve.round_options import RoundOptions
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT, or_default
from swerve.scenes.split import Split

BatchPart = Annotated[
    Part,
    PrimitiveConstructorSpec(
        1,
        "NAME:SHARE[:IMAGES]",
        lambda texts: Part.from_text(texts[0]),
        lambda value: isinstance(value, Part),
        lambda part: [str(part)],
    ),
]


@dataclass(frozen=True)
class Train:
    """Train a planner: RAP, ChainFlow or ego-MLP; its proposals are scored by the exact scorer during training.

    Writes OUT/planner.safetensors (for --planners), checkpoint.safetensors and
    metrics.csv; with --validate also validation.csv and best.safetensors, the weights with the best score. A run that
    was stopped or killed is resumed by the same command. For several GPUs: torchrun --no-python --nproc-per-node N
    swerve train ... Needs the extra `torch`. docs/train_rap.md is a guide.

    Example: swerve train sets/town runs/rap --contexts sets/town-contexts --steps 2000 --model tiny

    Attributes:
        dataset: Training set.
        out: Output folder.
        more_sets: Further training sets, whose samples are mixed with the first's: each part of a batch takes from all
            of them, in proportion to their samples of it.
        contexts: Contexts of the set, made by swerve contexts, and of each further set, in the same order; without them
            sub-scores are not trained.
        hidden_states: Hidden states of the set, made by swerve hidden-states, and of each further set;
            chainflow is then conditioned on them.
        family: Network: rap, proposals from camera features; chainflow, controls of a bicycle refined by a flow; or
            ego-mlp, without images.
        model: paper, tiny, or a JSON file with the fields of the network's config that differ from the defaults.
        fields: Fields of the network's config in addition, NAME=VALUE, such as proposals=0 anchors=64 profiles=true
            scorer_layers=2 for a scored vocabulary; docs/train_rap.md has all.
        auxiliary: Heads that are trained beside the planner on the same image features, and left out of it: agents,
            drivable. They need contexts; the fields agents_weight and drivable_weight weigh their losses.
        parts: Parts of every batch: paired, raster_only, recovery, cross_agent, follow_up or visited, each with its
            share, and raster (default), photo or both. With none: paired:0.5:both recovery:0.25 cross_agent:0.25
            follow_up:0.25 visited:0.25, of which those are left out that the set lacks; without photos raster_only
            takes the place of paired.
        batch_size: Samples of a step per process.
        split: Samples that it is trained on. Those of val and test are for evaluation: choose them only to try things
            out.
        training: The training.
        loop: The run.
        validate: Benchmark of swerve build, of other logs, to validate on.
        validate_views: Images for validation; default: those that are stored, or raster if several are.
        validate_every: Steps between validations.
        rounds: Rounds of training.
        config: Options to start from.
    """

    dataset: Dataset
    out: Annotated[
        Positional[Path],
        arg(metavar="OUT", help="Folder of the run: new, or of this same run, which is then resumed."),
    ]
    more_sets: Annotated[tuple[Path, ...], arg(metavar="[SET ...]", help_behavior_hint=NONE_BY_DEFAULT)] = ()
    contexts: Annotated[tuple[Path, ...], arg(metavar="[FOLDER ...]", help_behavior_hint=NONE_BY_DEFAULT)] = ()
    hidden_states: Annotated[tuple[Path, ...], arg(metavar="[FOLDER ...]", help_behavior_hint=NONE_BY_DEFAULT)] = ()
    family: Literal["rap", "chainflow", "ego-mlp"] = "rap"
    model: Annotated[str, arg(metavar="paper|tiny|FILE.json")] = "paper"
    fields: Annotated[tuple[str, ...], arg(metavar="[NAME=VALUE ...]", help_behavior_hint=NONE_BY_DEFAULT)] = ()
    auxiliary: Annotated[
        tuple[Literal["agents", "drivable"], ...],
        arg(metavar="[agents|drivable ...]", help_behavior_hint=NONE_BY_DEFAULT),
    ] = ()
    parts: Annotated[tuple[BatchPart, ...], arg(help_behavior_hint=unset("default: as above"))] = ()
    batch_size: int = BATCH_SIZE
    split: Split = "train"
    training: Annotated[TrainingOptions, FLAT] = field(default_factory=TrainingOptions)
    loop: Annotated[LoopOptions, FLAT] = field(default_factory=LoopOptions)
    validate: Annotated[Path | None, arg(metavar="BENCHMARK")] = None
    validate_views: Annotated[ViewKind | None, or_default(ViewKind)] = None
    validate_every: int = 1000
    rounds: Annotated[RoundOptions, FLAT] = field(default_factory=RoundOptions)
    config: Config = None

    def __post_init__(self) -> None:
        if self.rounds.rounds > 1 and self.split != "train":
            raise SwerveError(f"split: {self.split}: rounds of training make and use samples of split train")
        sets = 1 + len(self.more_sets)
        if len(self.contexts) not in (0, sets):
            raise SwerveError(f"contexts: {len(self.contexts)} are given for {sets} sets; give one for each, or none")
        if len(self.hidden_states) not in (0, sets) or (self.hidden_states and self.rounds.rounds > 1):
            raise SwerveError(
                f"hidden_states: {len(self.hidden_states)} are given for {sets} sets; give one for each, or none, and "
                "none for several rounds, whose sets are made in between"
            )
