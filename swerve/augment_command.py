"""`swerve augment`: logs in, a training set out."""

from enum import Enum
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from swerve.arguments import image_size, words
from swerve.data.dataset.augment_job import AugmentReport
from swerve.data.dataset.augment_job import augment as run_augment
from swerve.data.dataset.augment_options import EXTRAS, VIEWS, AugmentOptions, Rasters, RigName, StyleName
from swerve.data.dataset.image_format import ImageFormat
from swerve.data.jobs import read_failures
from swerve.data.sources.registry import open_source
from swerve.info_command import BackendName, chosen_backend
from swerve.job_report import show_failures, stoppable, timing_line
from swerve.scenes import Split
from swerve.scenes.viewpoints import CrossAgentOptions, RecoveryOptions, ViewpointOptions


class Format(str, Enum):
    """Of the images."""

    png = "png"
    jpeg = "jpeg"


class Rig(str, Enum):
    """Whose cameras."""

    own = "own"
    default = "default"


class Look(str, Enum):
    """Of the images."""

    rap = "rap"
    surfaces = "surfaces"


class RasterChoice(str, Enum):
    """What is kept of rasters."""

    stored = "stored"
    drawn = "drawn"


class SplitName(str, Enum):
    """Of the samples."""

    train = "train"
    val = "val"
    test = "test"


_ALL_VIEWS = ",".join(VIEWS)
_IMAGES, _BESIDE = "Images", "Viewpoints off the log"
# What each option is; `augment` has them in the order of its help.
_Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE", help="av2:PATH, waymo:PATH, town:COUNT, town:FIRST-LAST, or a path; any number."),
]
_Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the set; new, empty, or of this same job.")]
_Views = Annotated[str, typer.Option(help="Kinds of viewpoints, separated by commas.")]
_Seed = Annotated[int, typer.Option(help="Seed of the recovery viewpoints.")]
_Every = Annotated[float, typer.Option(help="Seconds between the scenes of a log.")]
_History = Annotated[float, typer.Option(help="Seconds of a scene before now.")]
_Future = Annotated[float, typer.Option(help="Seconds of a scene after now.")]
_Split = Annotated[SplitName, typer.Option(help="Of logs whose source does not say.")]
_ShardScenes = Annotated[int, typer.Option(help="Scenes in a shard, at most.")]
_Workers = Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)]
_Backend = Annotated[
    BackendName,
    typer.Option(help="What draws: numba on the CPU, cuda or nvdiffrast on an NVIDIA GPU; `swerve info` says more."),
]
_Format = Annotated[
    Format, typer.Option("--format", help="png is lossless, and smaller on rasters.", rich_help_panel=_IMAGES)
]
_Quality = Annotated[int, typer.Option(help="Of the JPEGs, 1 to 100.", rich_help_panel=_IMAGES)]
_Extra = Annotated[
    str, typer.Option(help=f"More images of each camera: any of {','.join(EXTRAS)}.", rich_help_panel=_IMAGES)
]
_Size = Annotated[
    str,
    typer.Option(help="Width and height of all images, as in 960x560. Default: the cameras'.", rich_help_panel=_IMAGES),
]
_Rig = Annotated[
    Rig,
    typer.Option(
        help="own: each log's cameras; default: eight around the car, without photos.", rich_help_panel=_IMAGES
    ),
]
_Cameras = Annotated[
    str,
    typer.Option(help="Names of the cameras, separated by commas. Default: all.", rich_help_panel=_IMAGES),
]
_Photos = Annotated[
    bool,
    typer.Option(
        "--photos",
        help="Towns only: also draw stand-ins for photographs, for every view.",
        rich_help_panel=_IMAGES,
    ),
]
_Rasters = Annotated[
    RasterChoice,
    typer.Option(
        help="drawn: store what they are drawn of; training draws them, with the same pixels.", rich_help_panel=_IMAGES
    ),
]
_Style = Annotated[
    Look,
    typer.Option(help="rap has black ground, as in the paper; surfaces has grey roads.", rich_help_panel=_IMAGES),
]
_Samples = Annotated[
    int,
    typer.Option(
        help="Smooth edges: colours are means of so many points a pixel, squared. 2 costs double.",
        rich_help_panel=_IMAGES,
    ),
]
_PerScene = Annotated[
    int, typer.Option(help="Recovery viewpoints that are tried in each scene.", rich_help_panel=_BESIDE)
]
_Lateral = Annotated[
    float,
    typer.Option(help="Largest offset of a recovery beside the path, in metres.", rich_help_panel=_BESIDE),
]
_Longitudinal = Annotated[
    float, typer.Option(help="Largest offset of a recovery along it, metres up to 25.", rich_help_panel=_BESIDE)
]
_Heading = Annotated[
    float, typer.Option(help="Largest turn of a recovery against it, in degrees.", rich_help_panel=_BESIDE)
]
_Speed = Annotated[
    float,
    typer.Option(help="Largest change of speed of a recovery, as a share: 0.2 is 20 %.", rich_help_panel=_BESIDE),
]
_CrossAgent = Annotated[
    int, typer.Option(help="Vehicles of each scene that become the ego, at most.", rich_help_panel=_BESIDE)
]


def augment(
    sources: _Sources,
    out: _Out,
    views: _Views = _ALL_VIEWS,
    seed: _Seed = 0,
    every: _Every = 0.5,
    history: _History = 2.0,
    future: _Future = 5.0,
    split: _Split = SplitName.train,
    shard_scenes: _ShardScenes = 64,
    workers: _Workers = None,
    backend: _Backend = BackendName.numba,
    image_format: _Format = Format.png,
    quality: _Quality = 90,
    extra: _Extra = "",
    size: _Size = "",
    rig: _Rig = Rig.own,
    cameras: _Cameras = "",
    photos: _Photos = False,
    rasters: _Rasters = RasterChoice.stored,
    style: _Style = Look.rap,
    samples: _Samples = 1,
    recovery_per_scene: _PerScene = 2,
    lateral: _Lateral = 2.0,
    longitudinal: _Longitudinal = 2.0,
    heading: _Heading = 15.0,
    speed: _Speed = 0.2,
    max_cross_agent: _CrossAgent = 4,
) -> None:
    """Draw logs from their own and from other viewpoints into a training set.

    Writes WebDataset shards (OUT/train, OUT/val, OUT/test), manifest.parquet and summary.json; docs/formats.md says
    what is in them. A job that was stopped, or killed, goes on where it was when the same command is given again.

    Exit code: 0, or 1 if a log or a sample failed, or 2 if the job could not run.

    Example: swerve augment av2:~/av2/train ~/sets/av2 --views logged,recovery --size 960x560
    """
    recovery = RecoveryOptions(recovery_per_scene, lateral, longitudinal, float(np.deg2rad(heading)), speed)
    console = Console()
    options = AugmentOptions(
        views=words(views),
        seed=seed,
        image_format=cast(ImageFormat, image_format.value),
        quality=quality,
        extra=words(extra),
        size=image_size(size) if size else None,
        rig=cast(RigName, rig.value),
        cameras=words(cameras),
        photos=photos,
        rasters=cast(Rasters, rasters.value),
        every=every,
        history=history,
        future=future,
        viewpoints=ViewpointOptions(recovery, CrossAgentOptions(per_scene=max_cross_agent)),
        style=cast(StyleName, style.value),
        samples=samples,
        backend=chosen_backend(console, backend),
        split=cast(Split, split.value),
        shard_scenes=shard_scenes,
    )
    with stoppable(console):
        report = run_augment([open_source(source) for source in sources], out, options, workers, console)
    show_report(console, out, report)
    if report.summary["failures"]:
        raise typer.Exit(1)


def show_report(console: Console, folder: Path, report: AugmentReport) -> None:
    """Prints what the set holds, what was rejected and failed, and where the time went."""
    summary = report.summary
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(summary["samples_by_kind"].items())) or "none"
    size = f"{summary['shards']} shards, {summary['bytes'] / 1e6:.1f} MB"
    console.print(f"{summary['samples']} samples ({kinds}) of {summary['logs']} logs in {size}", highlight=False)
    console.print(f"in {folder}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    if summary["rejections"]:
        console.print(_rejections(summary["rejections"]))
    show_failures(console, read_failures(folder))
    console.print(timing_line(report.timing, "samples"), highlight=False, soft_wrap=True)


def _rejections(rejections: dict[str, dict[str, int]]) -> Table:
    """Viewpoints that were tried and not used, by kind and reason."""
    table = Table("kind", "rejected because", "count", box=None)
    for kind, reasons in rejections.items():
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            table.add_row(kind, reason, str(count))
    return table
