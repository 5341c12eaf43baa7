"""What each part of RAP's recipe is worth, on towns: trains small planners one part at a time, and drives them.

The planners see photographs alone when they are judged (the town's stand-ins, swerve.data.town.photographs). Made
beforehand, of towns that share nothing:

    swerve augment town:50 SET --photos --size 128x80 --cameras front,front_left,front_right
    swerve contexts town:50 SET CONTEXTS
    swerve build town:100-111 BENCHMARK --views photo --size 128x80 --every 6 --most 12
    python tests/bench/tiny_backbone.py ... (see there) WEIGHTS

Then, each as often as it is stopped, since what is done is not done again; two processes may train at once:

    python tests/bench/ablation.py train SET CONTEXTS WEIGHTS RUNS --seeds 0,1,2
    python tests/bench/ablation.py judge SET BENCHMARK RUNS STUDIES --seeds 0,1,2
    python tests/bench/ablation.py report STUDIES PAGE.md
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

from swerve.data.files import to_json, write_atomically
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.context_store import ContextStore
from swerve.eval.pseudo.store import open_benchmark
from swerve.eval.study.measures import one_stage_measures
from swerve.eval.study.options import Member, StudyOptions
from swerve.eval.study.run import run_study
from swerve.eval.study.variants import offsets_of, pseudo_simulation, standard
from swerve.planners.rap.batch import views_of
from swerve.planners.rap.config import RapConfig
from swerve.planners.rap.planner import load_rap
from swerve.planners.rap.scorer import best
from swerve.planners.rap.train import PLANNER, RunOptions, processes, train_rap
from swerve.planners.rap.training import RapTrainOptions

CAMERAS, SIZE = ("front",), (128, 80)
STEPS, RATE = 800, 2e-3
# The paper's weights are for another network's features, and spatial ones for another distance.
SPATIAL = {"spatial_weight": 0.1}
GLOBAL = {"global_weight": 0.1, "reversal_scale": 1.0}
BOTH = {**SPATIAL, **GLOBAL}


@dataclass(frozen=True)
class Arm:
    """A recipe.

    Attributes:
        name: of the arm.
        parts: of every batch, shares being samples.
        changes: to the config.
    """

    name: str
    parts: tuple[Part, ...]
    changes: dict[str, Any] = field(default_factory=dict)


PHOTOS, PAIRS = Part("paired", 4, "photo"), Part("paired", 4, "both")
RECOVERY, CROSS = Part("recovery", 8), Part("cross_agent", 4)
ALL = (PAIRS, RECOVERY, CROSS)


def arms() -> tuple[Arm, ...]:
    """All recipes. Each step of the ladder adds to the one before it, and so to what a step of training sees."""
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
    # What more of the same would do: as many images in a step as the whole recipe has.
    more = Arm("photos, five times", (replace(PHOTOS, share=20),))
    bound = Arm("all photographed", (PAIRS, replace(RECOVERY, images="photo"), replace(CROSS, images="photo")))
    fewer = [Arm(f"cross-agent, {few}", (PAIRS, RECOVERY, replace(CROSS, limit=few)), BOTH) for few in (30, 300)]
    return (*ladder, more, bound, *fewer)


def train(folder: Path, contexts: Path, weights: Path, runs: Path, names: list[str], seeds: list[int]) -> None:
    """Trains what has not been trained, seed by seed; what another process is at is left to it."""
    torch.set_num_threads(1)
    for seed in seeds:
        for arm in (arm for arm in arms() if not names or arm.name in names):
            place = runs / f"{arm.name.replace(' ', '_')}-{seed}"
            place.mkdir(parents=True, exist_ok=True)
            with open(place / "lock", "w") as lock:
                if not taken(lock) or (place / "arm.json").is_file():
                    continue
                began = time.monotonic()
                train_one(arm, seed, folder, contexts, weights, place)
                note = {"arm": arm.name, "seed": seed, "seconds": time.monotonic() - began}
                write_atomically(place / "arm.json", to_json(note))
                print(f"{arm.name}, seed {seed}: {note['seconds']:.0f} s", flush=True)


def taken(lock: TextIO) -> bool:
    """Whether this process is now the only one that holds the lock; it ends with the process."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def train_one(arm: Arm, seed: int, folder: Path, contexts: Path, weights: Path, place: Path) -> None:
    """One run."""
    config = RapConfig.tiny(
        cameras=CAMERAS,
        width=SIZE[0],
        height=SIZE[1],
        proposals=4,
        backbone_weights=str(weights),
        frozen=True,
        **{"spatial_weight": 0.0, "global_weight": 0.0, **arm.changes},
    )
    batch = round(sum(part.share for part in arm.parts))
    stream = SampleStream(folder, StreamOptions(arm.parts, ImageFit(SIZE), CAMERAS, batch, seed))
    options = RapTrainOptions(STEPS, learning_rate=RATE, lowest_rate=RATE / 50, average_decay=0.99, seed=seed)
    with processes() as process:
        train_rap(
            stream, ContextStore(contexts, folder), config, options, place, process, RunOptions(checkpoint_every=STEPS)
        )


def judge(folder: Path, benchmark: Path, runs: Path, studies: Path, seeds: list[int]) -> None:
    """Drives the planners of each seed through the benchmark, and measures how they imitate at unseen seats.

    Planners that were judged before are not judged again; as with every study, three are needed at once.
    """
    torch.set_num_threads(1)
    notes = [json.loads(path.read_text()) | {"place": path.parent} for path in sorted(runs.glob("*/arm.json"))]
    for seed in seeds:
        done = [arm for one in judged(studies, seed) for arm in one["arms"]]
        chosen = [note for note in notes if note["seed"] == seed and note["arm"] not in done]
        if chosen:
            judge_some(folder, benchmark, chosen, studies / f"seed-{seed}-{len(done)}")


def judge_some(folder: Path, benchmark: Path, chosen: list[dict[str, Any]], target: Path) -> None:
    """The measures of some planners, into target/measures.npz."""
    members = [Member(note["arm"], str(note["place"] / PLANNER)) for note in chosen]
    study = run_study(
        open_benchmark(benchmark), members, load, target, StudyOptions("lane-following", rate=1.0), 1
    ).study
    measures = {
        "one stage": one_stage_measures(study)["one stage, full"],
        "two stages": pseudo_simulation(study, offsets_of(study), standard("full")),
        "closed loop": study.closed_loop,
        "ADE": study.open_loop[..., 0],
    }
    places = [note["place"] for note in chosen]
    np.savez(target / "measures.npz", arms=study.families, logs=study.logs, **measures, **imitations(places, folder))


def imitations(places: list[Path], folder: Path) -> dict[str, np.ndarray]:
    """At the test split's logged and recovery seats: errors, and how much larger with the images of another seat."""
    found = {}
    for kind in ("paired", "recovery"):
        own, other = ([imitation(place, folder, kind, swap) for place in places] for swap in (False, True))
        found[f"ADE, {kind} seats"] = np.stack([errors for errors, _ in own])
        found[f"image use, {kind} seats"] = np.stack([errors for errors, _ in other]) - found[f"ADE, {kind} seats"]
        found[f"logs of {kind}"] = own[0][1]
    return found


def judged(studies: Path, seed: int) -> list[dict[str, np.ndarray]]:
    """What was measured of a seed's planners."""
    return [dict(np.load(path)) for path in sorted(studies.glob(f"seed-{seed}-*/measures.npz"))]


def load(spec: str) -> Any:
    """A planner, by its file; workers call it."""
    return load_rap(spec)


def imitation(place: Path, folder: Path, part: str, swap: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance of the chosen proposal to what should be driven, over the test split, and the log, of every sample.

    Args:
        place: of the run.
        folder: of the set.
        part: of the stream; photographs of its samples are shown.
        swap: whether each sample gets the images of another one.
    """
    model = load_rap(place / PLANNER).model
    stream = SampleStream(folder, StreamOptions((Part(part, 1, "photo"),), ImageFit(SIZE), CAMERAS, 16, 0, "test"))
    errors: dict[str, tuple[float, str]] = {}
    for step in range(int(np.ceil(stream.pass_steps[part]))):
        batch = stream.batch(step).to()
        views = views_of(batch, [None] * len(batch), model.config)
        images = views.inputs.images.roll(7, 0) if swap else views.inputs.images
        with torch.inference_mode():
            output = model(replace(views.inputs, images=images))
        offsets = (best(output.logits, output.poses) - views.targets)[..., :2].norm(dim=-1)
        values = (torch.where(views.valid, offsets, 0.0).sum(dim=1) / views.valid.sum(dim=1)).tolist()
        errors |= {one.key: (value, one.log) for one, value in zip(batch.provenance, values, strict=True)}
    rows = [errors[key] for key in sorted(errors)]
    return np.array([value for value, _ in rows]), np.array([log for _, log in rows])


MEASURES = (
    "one stage",
    "two stages",
    "closed loop",
    "ADE",
    "ADE, paired seats",
    "ADE, recovery seats",
    "image use, paired seats",
    "image use, recovery seats",
)


def report(studies: Path, page: Path) -> None:
    """Means over seeds and logs with 95 % intervals, and differences from the arm that each is compared with."""
    seeds = sorted({path.parent.name.split("-")[1] for path in studies.glob("seed-*/measures.npz")})
    stored = [joined(judged(studies, int(seed))) for seed in seeds]
    common = [arm.name for arm in arms() if all(arm.name in one["arms"] for one in stored)]
    lines = [f"{len(stored)} seeds", "", "| | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 1) + "|"]
    values = {name: stacked(stored, common, name) for name in MEASURES}
    for row, arm in enumerate(common):
        cells = [shown(values[name][0][:, row], values[name][1]) for name in MEASURES]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    lines += ["", "Differences", "", "| | less | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 2) + "|"]
    for arm, other in compared(common):
        row, base = common.index(arm), common.index(other)
        cells = [shown(found[:, row] - found[:, base], logs) for found, logs in (values[name] for name in MEASURES)]
        lines.append(f"| {arm} | {other} | " + " | ".join(cells) + " |")
    page.write_text("\n".join(lines) + "\n")
    print(page.read_text())


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The measures of one seed's planners, who were judged at different times."""
    per_arm = [name for name in parts[0] if not name.startswith("logs")]
    return {
        name: np.concatenate([one[name] for one in parts]) if name in per_arm else parts[0][name] for name in parts[0]
    }


def stacked(stored: list[dict[str, np.ndarray]], common: list[str], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values by seed, arm and case (or sample), and the logs of these."""
    rows = [[list(one["arms"]).index(arm) for arm in common] for one in stored]
    logs = next((f"logs of {kind}" for kind in ("paired", "recovery") if f"{kind} seats" in name), "logs")
    return np.stack([one[name][own] for one, own in zip(stored, rows, strict=True)]), stored[0][logs]


def compared(common: list[str]) -> Iterator[tuple[str, str]]:
    """Each rung with the one below; alignment, its directions and the other variants with what they are variants of."""
    ladder = ("photos", "rasters", "recovery", "cross-agent")
    pairs = [*zip(ladder[1:], ladder[:-1], strict=True), ("photos, five times", "photos")]
    pairs += [(arm, "cross-agent") for arm in ("spatial", "global", "spatial+global", "all photographed")]
    pairs += [(arm, "spatial+global") for arm in ("raster moves", "both move", "cross-agent, 30", "cross-agent, 300")]
    pairs += [("spatial+global", "photos"), ("spatial+global", "photos, five times")]
    yield from ((arm, other) for arm, other in pairs if arm in common and other in common)


def shown(values: np.ndarray, logs: np.ndarray, draws: int = 4000) -> str:
    """The mean of seeds x cases with the 95 % interval of means over seeds and logs drawn anew, both at once."""
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
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    places = {
        "train": ("set", "contexts", "weights", "runs"),
        "judge": ("set", "benchmark", "runs", "studies"),
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
    given = vars(parser.parse_args())
    seeds = [int(seed) for seed in given.get("seeds", "").split(",") if seed]
    paths = [given[place] for place in places[given["command"]]]
    if given["command"] == "train":
        train(*paths, [name for name in given["arms"].split(";") if name], seeds)
    elif given["command"] == "judge":
        judge(*paths, seeds)
    else:
        report(*paths)


if __name__ == "__main__":
    main()
