"""`swerve probe`: whether a planner's features of photographs and of rasters are alike."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from swerve.augment_command import Look, SplitName
from swerve.data.dataset.augment_options import StyleName
from swerve.data.sources.registry import open_source
from swerve.data.storage.files import write_atomically
from swerve.planners.baselines.ego_mlp import require_safetensors
from swerve.planners.baselines.train_ego_mlp import require_torch
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.planners.rap import RapConfig, RapModel, RapPlanner
    from swerve.planners.rap.image_pairs import ImagePairs


def probe(
    planners: Annotated[
        list[str], typer.Argument(metavar="PLANNER...", help="FILE.safetensors of swerve train rap, or NAME=FILE.")
    ],
    on: Annotated[
        list[str],
        typer.Option(help="Repeat for several: a finished set with photographs, or a SOURCE of logs that have some."),
    ],
    out: Annotated[Path | None, typer.Option(help="A JSON file with all numbers.")] = None,
    split: Annotated[SplitName, typer.Option(help="Of sets: whose samples are taken.")] = SplitName.test,
    most: Annotated[
        int, typer.Option(help="Of sets: samples at most; of logs: photographs of each camera.", min=1)
    ] = 100,
    cameras: Annotated[
        str | None, typer.Option(help="Names with commas. Default: of sets the planner's, of logs all.")
    ] = None,
    style: Annotated[Look, typer.Option(help="Of the rasters that are drawn beside a log's photographs.")] = Look.rap,
    untrained: Annotated[bool, typer.Option(help="Measure the planners' first weights, too.")] = True,
) -> None:
    """Measure Raster-to-Real alignment: is a photograph, to the planner, what its raster is?

    The distance is the one between features of the same patch in both looks: 0 is none, 1 is that of unrelated
    patches; beside it that to other images' rasters. The accuracies are those of fresh linear classifiers that tell
    photographs from rasters, on images that they were not fitted to: 0.5 is chance. docs/alignment.md says more.

    Needs the extra `torch`.

    Example: swerve probe with.safetensors without.safetensors --on sets/town --on waymo:frame.tfrecord
    """
    require_torch()
    require_safetensors()
    named, rows = tuple(cameras.split(",")) if cameras else None, list[dict[str, Any]]()
    for label, planner in measured(planners, untrained):
        for place in on:
            pairs = pairs_on(place, planner.model.config, split.value, most, named, style.value)
            rows.append({"planner": label, "on": place, **numbers_of(planner.model, pairs)})
    for place in on:
        Console().print(table_of(place, [row for row in rows if row["on"] == place]))
    if out:
        write_atomically(out, json.dumps({"split": split.value, "rows": rows}, indent=1).encode())
        typer.echo(f"wrote {out}")


def numbers_of(model: "RapModel", pairs: "ImagePairs") -> dict[str, Any]:
    """What is measured of a network on some pairs, as JSON can hold it."""
    from swerve.planners.rap.image_pairs import measure

    logs = len(set(pairs.logs))
    return {"images": len(pairs.logs), "logs": logs, **asdict(measure(model, pairs))}


def pairs_on(
    place: str, config: "RapConfig", split: str, most: int, cameras: tuple[str, ...] | None, style: str
) -> "ImagePairs":
    """Pairs of what the option names.

    Raises:
        SwerveError: it is neither a finished set nor a source, or there are no photographs.
    """
    from swerve.planners.rap.image_pairs import pairs_of_logs, pairs_of_set

    if (Path(place) / "job.json").is_file() or (Path(place) / "manifest.parquet").is_file():
        return pairs_of_set(Path(place), config, SplitName(split).value, most, cameras)
    source = open_source(place)
    logs = [source.load(name) for name in source.names()]
    return pairs_of_logs(logs, config, most, cameras, cast(StyleName, style))


def table_of(place: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Measurements on one place's images, as people read them."""
    counts = f"{rows[0]['images']} views of {rows[0]['logs']} log{'s' * (rows[0]['logs'] > 1)}"
    table = Table(title=f"{escape(place)}: {counts}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("planner", overflow="fold", min_width=12)
    for name in ("distance", "shift", "to others", "patches told", "images told"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        distances = (f"{row[name]:.3f}" for name in ("distance", "shift", "other"))
        told = (_accuracy(row[name]) for name in ("patch_accuracy", "image_accuracy"))
        table.add_row(escape(row["planner"]), *distances, *told)
    return table


def _accuracy(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ± {value['error']:.3f}"


def measured(specs: Sequence[str], untrained: bool) -> Iterator[tuple[str, "RapPlanner"]]:
    """The planners by label; before the first of each kind its first weights."""
    from swerve.planners.rap import load_rap

    seen = set()
    for spec in specs:
        name, _, path = spec.rpartition("=")
        planner, label = load_rap(path), name or planner_name(Path(path))
        if untrained and (key := _beginning(planner)) not in seen:
            seen.add(key)
            yield f"{label}, untrained", first_weights(planner)
        yield label, planner


def planner_name(path: Path) -> str:
    """A trained planner's: of its run, where the file has the name that all runs give it."""
    return path.stem if path.stem != "planner" else path.resolve().parent.name


def first_weights(planner: "RapPlanner") -> "RapPlanner":
    """The network before its first step; frozen backbones have their own weights in it.

    Raises:
        SwerveError: the backbone's weights are not to be had, or the file does not say its seed.
    """
    import torch

    from swerve.planners.rap import RapModel

    if "seed" not in planner.record:
        raise SwerveError("probe: the planner's file does not say its seed. Give --no-untrained")
    torch.manual_seed(planner.record["seed"])
    device = next(planner.model.parameters()).device
    return replace(planner, model=RapModel(planner.model.config).to(device).eval())


def _beginning(planner: "RapPlanner") -> tuple[object, ...]:
    """What a network's first features depend on."""
    config = planner.model.config
    sizes = (config.height, config.width, config.trim, config.dim, config.hidden)
    return (planner.record.get("seed"), config.backbone, config.backbone_weights, *sizes)
