"""Ablation of RAP's recipe on towns: trains small planners one component at a time, and evaluates them.

The planners see only photos in evaluation (synthetic ones of towns, swerve.data.sources.town.photos). Prepared
beforehand, of disjoint towns:

    swerve augment town:50 SET --photos --size 128x80 --fit stretch --cameras front front_left front_right
    swerve contexts town:50 SET CONTEXTS
    swerve build town:100-111 BENCHMARK --views photo --size 128x80 --fit stretch --scene-interval 6 \
        --max-follow-ups 12
    python -m experiments.tiny_backbone ... (see there) WEIGHTS

Then, repeated after interruptions, since finished parts are skipped; two processes may train at once:

    python -m experiments.ablation train SET CONTEXTS WEIGHTS RUNS --seeds 0,1,2
    python -m experiments.ablation judge BENCHMARK RUNS STUDIES --seeds 0,1,2
    python -m experiments.ablation seats SET CONTEXTS RUNS STUDIES --seeds 0,1,2
    python -m experiments.ablation report STUDIES PAGE.md

The long runs of docs/ablation.md are `train ... --steps 3200` of four arms into other RUNS, evaluated on

    swerve build town:100-131 BENCHMARK --views photo --size 128x80 --fit stretch --cameras front \
        --scene-interval 8 --max-follow-ups 8

`judge` evaluates the planners on a benchmark; `seats` evaluates their plans at each logged and recovery viewpoint of
the set's test towns: many more scenes, one plan each.
"""

import argparse
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from swerve.data.storage.files import to_json, write_atomically
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import prepare_context, score_prepared
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.eval.study.measures import one_stage_measures
from swerve.eval.study.study_job import run_study
from swerve.eval.study.study_options import StudyOptions, StudyPlanner
from swerve.eval.study.variants import navsim_recipe, offsets_of, pseudo_simulation
from swerve.planners.learning.learned_planner import load_learned
from swerve.planners.learning.selection import best_proposal, expected_score
from swerve.planners.learning.train import PLANNER, RunOptions, processes
from swerve.planners.learning.train import train as train_model
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_batch import TrainingBatch, views_of
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapModel

CAMERAS, SIZE = ("front",), (128, 80)
RATE = 2e-3
# The paper's weights are for another network's features, and the spatial ones for another distance.
SPATIAL = {"spatial_weight": 0.1}
GLOBAL = {"global_weight": 0.1, "reversal_scale": 1.0}
BOTH = {**SPATIAL, **GLOBAL}


@dataclass(frozen=True)
class Arm:
    """Training recipe of the ablation.

    Attributes:
        name: name of the arm.
        parts: parts of every batch, with shares in samples.
        changes: changes to the config.
    """

    name: str
    parts: tuple[Part, ...]
    changes: dict[str, Any] = field(default_factory=dict)


PHOTOS, PAIRS = Part("paired", 4, "photo"), Part("paired", 4, "both")
RECOVERY, CROSS = Part("recovery", 8), Part("cross_agent", 4)
ALL = (PAIRS, RECOVERY, CROSS)


def arms() -> tuple[Arm, ...]:
    """Return all recipes. Each step of the ladder adds one component."""
    ladder = (
        Arm("photos", (PHOTOS,)),
        Arm("rasters", (PAIRS,)),
        Arm("recovery", (PAIRS, RECOVERY)),
        Arm("cross-agent", ALL),
        Arm("spatial", ALL, SPATIAL),
        Arm("global", ALL, GLOBAL),
        Arm("spatial+global", ALL, BOTH),
        Arm("raster moves", ALL, {**BOTH, "direction": "raster-to-real"}),
        Arm("both move", ALL, {**BOTH, "direction": "both"}),
    )
    # Control with more of the same: as many images per step as the whole recipe.
    more = Arm("photos, five times", (replace(PHOTOS, share=20),))
    bound = Arm("all photographed", (PAIRS, replace(RECOVERY, images="photo"), replace(CROSS, images="photo")))
    fewer = [Arm(f"cross-agent, {few}", (PAIRS, RECOVERY, replace(CROSS, limit=few)), BOTH) for few in (30, 300)]
    fewer.append(Arm("cross-agent, 0", (PAIRS, RECOVERY), BOTH))
    return (*ladder, more, bound, *fewer)


def train(
    folder: Path, contexts: Path, weights: Path, runs: Path, names: list[str], seeds: list[int], steps: int
) -> None:
    """Train the missing runs, seed by seed; runs of other processes are skipped."""
    torch.set_num_threads(1)
    for seed in seeds:
        for arm in (arm for arm in arms() if not names or arm.name in names):
            place = runs / f"{arm.name.replace(' ', '_')}-{seed}"
            place.mkdir(parents=True, exist_ok=True)
            with open(place / "lock", "w") as lock:
                if not taken(lock) or (place / "arm.json").is_file():
                    continue
                began = time.monotonic()
                train_one(arm, seed, steps, folder, contexts, weights, place)
                note = {"arm": arm.name, "seed": seed, "seconds": time.monotonic() - began}
                write_atomically(place / "arm.json", to_json(note))
                print(f"{arm.name}, seed {seed}: {note['seconds']:.0f} s", flush=True)


def taken(lock: TextIO) -> bool:
    """Try to take the lock; it is released when the process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def train_one(arm: Arm, seed: int, steps: int, folder: Path, contexts: Path, weights: Path, place: Path) -> None:
    """Train one run."""
    config = RapConfig.tiny(
        cameras=CAMERAS,
        image_width=SIZE[0],
        image_height=SIZE[1],
        proposals=4,
        backbone_weights=str(weights),
        frozen=True,
        **{"spatial_weight": 0.0, "global_weight": 0.0, **arm.changes},
    )
    batch = round(sum(part.share for part in arm.parts))
    stream = SampleStream(folder, StreamOptions(arm.parts, ImageFit(SIZE), CAMERAS, batch, seed))
    options = TrainingOptions(steps, learning_rate=RATE, final_learning_rate=RATE / 50, ema_decay=0.99, seed=seed)
    with processes() as process:
        train_model(
            stream, ContextStore(contexts, folder), config, options, place, process, RunOptions(checkpoint_every=steps)
        )


def judge(benchmark: Path, runs: Path, studies: Path, seeds: list[int]) -> None:
    """Evaluate the planners of each seed on the benchmark.

    Planners evaluated before are skipped; as with every study, three are needed at once.
    """
    torch.set_num_threads(1)
    for seed in seeds:
        done = [arm for one in judged(studies, seed) for arm in one["arms"]]
        chosen = [note for note in trained(runs, seed) if note["arm"] not in done]
        if chosen:
            judge_some(benchmark, chosen, studies / f"seed-{seed}-{len(done)}")


def trained(runs: Path, seed: int) -> list[dict[str, Any]]:
    """Return the finished runs of a seed."""
    notes = [json.loads(path.read_text()) | {"place": path.parent} for path in sorted(runs.glob("*/arm.json"))]
    return [note for note in notes if note["seed"] == seed]


def judge_some(benchmark: Path, chosen: list[dict[str, Any]], target: Path) -> None:
    """Write the metrics of some planners to target/measures.npz."""
    members = [StudyPlanner(note["arm"], str(note["place"] / PLANNER)) for note in chosen]
    study = run_study(
        open_benchmark(benchmark), members, load, target, StudyOptions("lane-following", ("same",), rate=1.0), 1
    ).study
    measures = {
        "one stage": one_stage_measures(study)["one stage, full"],
        "two stages": pseudo_simulation(study, offsets_of(study), navsim_recipe("full")),
        "closed loop": study.closed_loop_of("same"),
        "ADE": study.open_loop[..., 0],
    }
    np.savez(target / "measures.npz", arms=study.families, logs=study.logs, **measures)


def seats(folder: Path, contexts: Path, runs: Path, studies: Path, seeds: list[int]) -> None:
    """Evaluate the plans of each seed's planners at the test split's viewpoints; finished ones are skipped."""
    torch.set_num_threads(1)
    store = ContextStore(contexts, folder)
    for note in (note for seed in seeds for note in trained(runs, seed)):
        target = studies / f"seats-{note['seed']}" / f"{note['arm'].replace(' ', '_')}.npz"
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            found: dict[str, np.ndarray] = {}
            for kind in ("paired", "recovery"):
                found |= {
                    f"{name}, {kind} seats": one for name, one in asked(note["place"], folder, store, kind).items()
                }
            np.savez(target, arm=note["arm"], **found)
            print(target, flush=True)


def asked(place: Path, folder: Path, store: ContextStore, kind: str) -> dict[str, np.ndarray]:
    """Compute metrics, and the log, of each viewpoint of a kind, in the order of their keys.

    ADE is of the chosen plan. Image use is the increase of ADE with the images of another viewpoint. The score is the
    exact scorer's EPDMS of one scene, without extended comfort; of the chosen plan, and of the best proposal.
    """
    model = load_learned(place / PLANNER).model
    stream = SampleStream(folder, StreamOptions((Part(kind, 1, "photo"),), ImageFit(SIZE), CAMERAS, 16, 0, "test"))
    rows: dict[str, dict[str, Any]] = {}
    for step in range(int(np.ceil(stream.steps_per_epoch[kind]))):
        batch = stream.batch(step).to()
        contexts = store.contexts(batch.provenance)
        views = views_of(batch, [prepare_context(one) if one else None for one in contexts], model.config)
        for one, row in zip(batch.provenance, answers(model, views), strict=True):
            rows[one.key] = {**row, "logs": one.log}
    kept = [rows[key] for key in sorted(rows)]
    return {name: np.array([row[name] for row in kept]) for name in kept[0]}


def answers(model: RapModel, views: TrainingBatch) -> Iterator[dict[str, float]]:
    """Yield the metrics of each sample of a batch."""
    swapped = replace(views.inputs, images=views.inputs.images.roll(7, 0))
    with torch.inference_mode():
        output, other = model(views.inputs), model(swapped)
    chosen = expected_score(output.logits.sigmoid()).argmax(dim=1).tolist()
    own = errors(output.poses[range(len(chosen)), chosen], views)
    foreign = errors(best_proposal(other.logits, other.poses), views)
    for row, measure in enumerate(views.contexts):
        worth = np.full(len(output.poses[row]), np.nan)
        if measure is not None:
            plans = output.poses[row].double().numpy()
            worth = pdm_score(score_prepared(measure, plans, interval=model.config.interval).metrics)
        yield {
            "ADE": own[row],
            "image use": foreign[row] - own[row],
            "score": worth[chosen[row]],
            "best score": worth.max(),
        }


def errors(poses: torch.Tensor, views: TrainingBatch) -> list[float]:
    """Compute the mean distance of plans to the targets."""
    offsets = (poses - views.targets)[..., :2].norm(dim=-1)
    return (torch.where(views.valid, offsets, 0.0).sum(dim=1) / views.valid.sum(dim=1)).tolist()


def judged(studies: Path, seed: int) -> list[dict[str, np.ndarray]]:
    """Load the benchmark metrics of a seed's planners."""
    return [dict(np.load(path)) for path in sorted(studies.glob(f"seed-{seed}-*/measures.npz"))]


def load(spec: str) -> Any:
    """Load a planner from its file; called in workers."""
    return load_learned(spec)


DRIVEN = ("one stage", "two stages", "closed loop", "ADE")
ASKED = ("score", "best score", "ADE", "image use")
KINDS = ("paired", "recovery")


def report(studies: Path, page: Path) -> None:
    """Write means over seeds and logs with 95 % intervals, and differences from the arm that each is compared with."""
    seeds = sorted({int(path.parent.name.split("-")[1]) for path in studies.glob("seats-*/*.npz")})
    tables = {name: [joined(judged(studies, seed)) for seed in seeds] for name in DRIVEN}
    for kind in KINDS:
        tables |= {f"{name}, {kind} seats": [answered(studies, seed, kind) for seed in seeds] for name in ASKED}
    common = [arm.name for arm in arms() if all(arm.name in one["arms"] for found in tables.values() for one in found)]
    values = {name: stacked(found, common, name) for name, found in tables.items()}
    lines = [f"{len(seeds)} seeds"]
    for names in (DRIVEN, *(tuple(f"{name}, {kind} seats" for name in ASKED) for kind in KINDS)):
        lines += ["", "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for row, arm in enumerate(common):
            cells = [shown(values[name][0][:, row], values[name][1]) for name in names]
            lines.append(f"| {arm} | " + " | ".join(cells) + " |")
        lines += ["", "| | less | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
        for arm, other in compared(common):
            row, base = common.index(arm), common.index(other)
            cells = [shown(found[:, row] - found[:, base], logs) for found, logs in (values[name] for name in names)]
            lines.append(f"| {arm} | {other} | " + " | ".join(cells) + " |")
    page.write_text("\n".join(lines) + "\n")
    print(page.read_text())


def answered(studies: Path, seed: int, kind: str) -> dict[str, np.ndarray]:
    """Load a seed's metrics at the viewpoints of a kind."""
    found = [dict(np.load(path)) for path in sorted((studies / f"seats-{seed}").glob("*.npz"))]
    names = [f"{name}, {kind} seats" for name in ASKED]
    rows = {name: np.stack([one[name] for one in found]) for name in names}
    return {"arms": np.array([str(one["arm"]) for one in found]), "logs": found[0][f"logs, {kind} seats"], **rows}


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenate the metrics of one seed's planners, which were evaluated at different times."""
    return {name: np.concatenate([one[name] for one in parts]) for name in ("arms", *DRIVEN)} | {
        "logs": parts[0]["logs"]
    }


def stacked(stored: list[dict[str, np.ndarray]], common: list[str], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Stack values by seed, arm and scene group (or sample), with their logs."""
    rows = [[list(one["arms"]).index(arm) for arm in common] for one in stored]
    return np.stack([one[name][own] for one, own in zip(stored, rows, strict=True)]), stored[0]["logs"]


def compared(common: list[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of arms to compare: each ladder step with the one before, and variants with their base."""
    ladder = ("photos", "rasters", "recovery", "cross-agent")
    pairs = [*zip(ladder[1:], ladder[:-1], strict=True), ("photos, five times", "photos")]
    pairs += [(arm, "cross-agent") for arm in ("spatial", "global", "spatial+global", "all photographed")]
    pairs += [(arm, "spatial+global") for arm in ("raster moves", "both move")]
    pairs += [(f"cross-agent, {few}", "cross-agent, 0") for few in (30, 300)] + [("spatial+global", "cross-agent, 0")]
    pairs += [("spatial+global", "recovery"), ("spatial+global", "photos"), ("spatial+global", "photos, five times")]
    yield from ((arm, other) for arm, other in pairs if arm in common and other in common)


def shown(values: np.ndarray, logs: np.ndarray, draws: int = 4000) -> str:
    """Format the mean over seeds and scene groups with the 95 % bootstrap interval over seeds and logs.

    Values that could not be scored are left out.
    """
    counted = ~np.isnan(values).any(axis=0)
    values, logs = values[:, counted], logs[counted]
    names, codes = np.unique(logs, return_inverse=True)
    sums = np.stack([values[:, codes == code].sum(axis=1) for code in range(len(names))], axis=1)
    sizes = np.bincount(codes)
    generator = np.random.default_rng(np.random.Philox(0))
    seeds = generator.integers(0, len(values), (draws, len(values)))
    drawn = generator.integers(0, len(names), (draws, len(names)))
    totals = np.take_along_axis(sums[seeds].mean(axis=1), drawn, axis=1).sum(axis=1)
    low, high = np.quantile(totals / sizes[drawn].sum(axis=1), (0.025, 0.975))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    places = {
        "train": ("set", "contexts", "weights", "runs"),
        "judge": ("benchmark", "runs", "studies"),
        "seats": ("set", "contexts", "runs", "studies"),
        "report": ("studies", "page"),
    }
    for name, own in places.items():
        command = commands.add_parser(name)
        for place in own:
            command.add_argument(place, type=Path)
        if name != "report":
            command.add_argument("--seeds", default="0,1,2")
        if name == "train":
            command.add_argument("--arms", default="", help="names between semicolons; all")
            command.add_argument("--steps", type=int, default=800)
    given = vars(parser.parse_args())
    seeds = [int(seed) for seed in given.get("seeds", "").split(",") if seed]
    paths = [given[place] for place in places[given["command"]]]
    if given["command"] == "train":
        train(*paths, [name for name in given["arms"].split(";") if name], seeds, given["steps"])
    elif given["command"] == "report":
        report(*paths)
    else:
        {"judge": judge, "seats": seats}[given["command"]](*paths, seeds)


if __name__ == "__main__":
    main()
