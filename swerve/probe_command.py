"""Run `swerve probe`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, results_console
from swerve.data.sources.registry import open_source
from swerve.data.sources.source import require_scenes
from swerve.data.storage.files import write_file
from swerve.options.probe import Probe
from swerve.output import write_output
from swerve.planners.load_planner import planner_name
from swerve.planners.trained_file import require_safetensors, require_torch
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.planners.learning import LearnedPlanner, ModelConfig, PlannerModel
    from swerve.planners.rap.image_pairs import ImagePairs


def run(args: Probe) -> int:
    """Measure the alignment of planners, print and write the numbers, and return the exit code."""
    require_torch()
    require_safetensors()
    rows = list[dict[str, Any]]()
    for label, planner in measured(args.planners, args.untrained):
        for place in args.on:
            pairs = pairs_on(place, planner.model.config, args)
            rows.append({"planner": label, "on": place, **numbers_of(planner.model, pairs)})
    for place in args.on:
        print_table(results_console(), table_of(place, [row for row in rows if row["on"] == place]))
    content = json.dumps({"split": args.split, "rows": rows}, indent=1).encode()
    write_output(args.out, lambda path: write_file(path, content))
    print(f"wrote {args.out}")
    return 0


def numbers_of(model: "PlannerModel", pairs: "ImagePairs") -> dict[str, Any]:
    """Return the measurements of a network on pairs of images, as JSON values."""
    from swerve.planners.rap.image_pairs import measure

    logs = len(set(pairs.logs))
    return {"images": len(pairs.logs), "logs": logs, **asdict(measure(model, pairs))}


def pairs_on(place: str, config: "ModelConfig", args: Probe) -> "ImagePairs":
    """Return the pairs of images of a training set or a source.

    Raises:
        SwerveError: it is neither a finished set nor a source, or there are no photos.
    """
    from swerve.planners.rap.image_pairs import pairs_of_logs, pairs_of_set

    cameras = args.cameras or None
    if (Path(place) / "job.json").is_file() or (Path(place) / "manifest.parquet").is_file():
        return pairs_of_set(Path(place), config, args.split, args.most, cameras)
    source = open_source(place)
    require_scenes(source)
    logs = [source.load(name) for name in source.names()]
    return pairs_of_logs(logs, config, args.most, cameras, args.style)


def table_of(place: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of the measurements on one set or source."""
    counts = f"{rows[0]['images']} views of {rows[0]['logs']} log{'s' * (rows[0]['logs'] > 1)}"
    table = Table(title=cell(f"{place}: {counts}"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("planner", no_wrap=True, min_width=12)
    for name in ("distance", "mean shift", "unpaired", "patch accuracy", "image accuracy"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        distances = (f"{row[name]:.3f}" for name in ("distance", "mean_shift", "unpaired_distance"))
        accuracies = (_accuracy(row[name]) for name in ("patch_accuracy", "image_accuracy"))
        table.add_row(cell(row["planner"]), *distances, *accuracies)
    return table


def _accuracy(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ± {value['error']:.3f}"


def measured(specs: Sequence[str], untrained: bool) -> Iterator[tuple[str, "LearnedPlanner"]]:
    """Yield the planners by label, and before the first of each kind its initial weights."""
    from swerve.planners.learning import load_learned

    measured_before = set()
    for spec in specs:
        name, _, path = spec.rpartition("=")
        planner, label = load_learned(path), name or planner_name(Path(path))
        if untrained and (key := _initialization(planner)) not in measured_before:
            measured_before.add(key)
            yield f"{label}, untrained", first_weights(planner)
        yield label, planner


def first_weights(planner: "LearnedPlanner") -> "LearnedPlanner":
    """Return the network with its initial weights; frozen backbones have their pretrained weights.

    Raises:
        SwerveError: the backbone's weights are not available, or the file does not state its seed.
    """
    import torch

    from swerve.planners.learning import build_model

    if "seed" not in planner.record:
        raise SwerveError("probe: the planner's file does not state its seed: give --no-untrained")
    torch.manual_seed(planner.record["seed"])
    device = next(planner.model.parameters()).device
    return replace(planner, model=build_model(planner.model.config).to(device).eval())


def _initialization(planner: "LearnedPlanner") -> tuple[object, ...]:
    """Return what the initial weights of a network depend on."""
    config = planner.model.config
    sizes = (config.image_height, config.image_width, config.trim, config.dim, config.mlp_dim)
    return (planner.record.get("seed"), config.backbone, config.backbone_weights, *sizes)
