"""Alignment on real photos: `python -m experiments.probe_real PLANNER... [--train] [--out FILE.json]`.

For every set of photos in the test data (nuScenes 6, Waymo 5, KITTI 7, DDAD 18; its Argoverse 2 logs have none): the
distance of a photo's features to those of its own raster and of the rasters of others (docs/alignment.md). Planners
that differ only in their last number, the seed, are averaged.

With --train each planner's neck is trained on the pairs of one set alone, and of all but one, by spatial alignment, and
measured again on all sets: what was not trained on is held out. Run by hand, with trained planners.
"""

import copy
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import scipy.stats
import torch
from jaxtyping import Float

from benchmarks.measure import real_data
from swerve.data import open_source
from swerve.planners.learning.alignment import EmaTeacher, neck_of, spatial_alignment
from swerve.planners.learning.image_augmentation import jittered
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.model import ModelOutput, PlannerModel
from swerve.planners.rap.alignment_probe import features_of
from swerve.planners.rap.image_pairs import ImagePairs, measure, pairs_of_logs
from swerve.probe_command import measured
from swerve.scenes import Log
from tests.support.nuscenes_log import nuscenes_log

FRAME: Final = "pvps_data_one_frame"
STEPS, DRAWS, RATE, JITTER, DECAY = 150, 4, 1e-3, 0.3, 0.99
# Photos of one camera show much the same where a log is short; of KITTI's two cameras those of one time do.
BY_CAMERA: Final = ("nuScenes", "Waymo", "DDAD")


@dataclass(frozen=True)
class Gaps:
    """Distances of each photo, in units of both domains' variances.

    Attributes:
        own: to its own raster.
        others: mean to the rasters of other groups.
        nearer: share of those that are farther than its own.
        groups: group of each photo, within which photos show much the same.
    """

    own: Float[np.ndarray, "n"]
    others: Float[np.ndarray, "n"]
    nearer: Float[np.ndarray, "n"]
    groups: tuple[str, ...]


def real_logs(folder: Path) -> dict[str, Log]:
    """Return the logs with photos of the test data."""
    return {
        "nuScenes": nuscenes_log(folder / "nuscenes"),
        "Waymo": open_source(f"waymo:{folder / 'waymo' / FRAME}.tfrecord").load(FRAME),
        "KITTI": open_source(f"kitti:{folder / 'kitti_tracking'}").load("0001"),
        "DDAD": open_source(f"dgp:{folder / 'ddad'}").load("ddad"),
    }


def gaps(model: PlannerModel, pairs: ImagePairs, groups: Sequence[str]) -> Gaps:
    """Compute the distances of a network's features of the photos."""
    photos, rasters = (features_of(model, images).astype(np.float64) for images in (pairs.photos, pairs.rasters))
    spread = sum(one.var(axis=(0, 1)).sum() for one in (photos, rasters))
    apart = np.array([[((photo - raster) ** 2).sum(axis=1).mean() for raster in rasters] for photo in photos]) / spread
    own, other = np.diag(apart), np.array(groups)[:, None] != np.array(groups)[None]
    others = np.array([row[mask].mean() for row, mask in zip(apart, other, strict=True)])
    nearer = np.array([(row[mask] > near).mean() for row, mask, near in zip(apart, other, own, strict=True)])
    return Gaps(own, others, nearer, tuple(groups))


def mean_and_interval(values: Float[np.ndarray, "n"], groups: Sequence[str]) -> tuple[float, float]:
    """Return the mean of the groups' means, and the half width of its 95 % interval (Student's t over groups)."""
    means = np.array([values[np.array(groups) == name].mean() for name in dict.fromkeys(groups)])
    half = scipy.stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean()), float(half)


def trained_on(planner: LearnedPlanner, pairs: Sequence[ImagePairs], seed: int) -> PlannerModel:
    """Return the network after training its neck by spatial alignment on pairs, all of them in each step.

    Photos and rasters are mirrored together at random, photos' colours vary, in a few draws. The backbone and what
    plans stay as they are, so that only the features say something afterwards.
    """
    torch.manual_seed(seed)
    model = copy.deepcopy(planner.model).train()
    neck = neck_of(model)
    assert neck is not None
    teacher, backbone = EmaTeacher(neck, DECAY), model.get_submodule("backbone").eval()
    optimizer = torch.optim.AdamW(neck.projector.parameters(), RATE)
    images = [
        torch.as_tensor(np.concatenate([getattr(one, name) for one in pairs])).movedim(-1, 1)
        for name in ("photos", "rasters")
    ]
    count = len(images[0])
    batch: Any = SimpleNamespace(
        pairs=torch.stack([torch.arange(count), torch.arange(count, 2 * count)]),
        inputs=SimpleNamespace(present=torch.ones(2 * count, 1, dtype=torch.bool)),
    )
    empty = torch.zeros(1, 2 * count, 0, 0, 3), torch.zeros(2 * count, 0, 8)
    # The backbone is frozen: its features of some draws are enough.
    drawn = [varied_features(backbone, *images) for _ in range(DRAWS)]
    for step in range(STEPS):
        features = drawn[step % DRAWS]
        loss = spatial_alignment(
            ModelOutput(*empty, features, neck.content(features)), batch, teacher, planner.model.config.direction
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        teacher.update(neck)
    return model.eval()


@torch.no_grad()
def varied_features(backbone: torch.nn.Module, photos: torch.Tensor, rasters: torch.Tensor) -> torch.Tensor:
    """Compute the backbone's features of photos and rasters, mirrored alike at random, the photos' colours varied."""
    mirrored = torch.rand(len(photos))[:, None, None, None] < 0.5
    photos, rasters = (torch.where(mirrored, one.flip(-1), one) for one in (photos, rasters))
    return backbone(torch.cat([jittered(photos[:, None], JITTER)[:, 0], rasters]))[:, None]


def rows_of(
    label: str, model: PlannerModel, pairs: dict[str, ImagePairs], accuracies: bool
) -> Iterator[dict[str, Any]]:
    """Yield the measurements of a network on every set; `accuracies` are those of `swerve probe`."""
    for name, own in pairs.items():
        found = asdict(gaps(model, own, groups_of(name, own)))
        yield {
            "planner": label,
            "on": name,
            "gaps": {key: list(value) for key, value in found.items()},
            **(asdict(measure(model, own)) if accuracies else {}),
        }


def groups_of(name: str, pairs: ImagePairs) -> tuple[str, ...]:
    """Return the groups of photos that show much the same: of one camera, for KITTI of one time."""
    if name in BY_CAMERA:
        return pairs.cameras
    # The photos of the second camera are of the first two times of the first.
    counts = dict.fromkeys(pairs.cameras, 0)
    found = []
    for camera in pairs.cameras:
        found.append(str(counts[camera]))
        counts[camera] += 1
    return tuple(found)


def labelled(planner: str, trained: str) -> str:
    """Return the name of a row: of the planner without its seed, and what it was trained on."""
    stem, _, seed = planner.partition(",")[0].rpartition("-")
    arm = (stem if seed.isdigit() else planner.partition(",")[0]) + planner[len(planner.partition(",")[0]) :]
    return f"{arm} | {trained}"


def run(specs: Sequence[str], train: bool) -> list[dict[str, Any]]:
    """Measure all planners, and with `train` the same after training on sets."""
    folder = real_data()
    if folder is None:
        sys.exit(1)
    logs, rows = real_logs(folder), []
    for label, planner in measured(specs, untrained=True):
        pairs = {name: pairs_of_logs([log], planner.model.config, 100) for name, log in logs.items()}
        rows += rows_of(labelled(label, "nothing real"), planner.model, pairs, not train)
        for name in pairs if train and not label.endswith("untrained") else ():
            rest = [own for other, own in pairs.items() if other != name]
            for what, used in ((name, [pairs[name]]), (f"all but {name}", rest)):
                model = trained_on(planner, used, planner.record["seed"])
                rows += rows_of(labelled(label, what), model, pairs, False)
        print(label, flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table: for each planner and set, means over seeds with intervals over photos."""
    names = list(dict.fromkeys(row["on"] for row in rows))
    lines = ["| planner | trained on | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for label in dict.fromkeys(row["planner"] for row in rows):
        cells = [cell([row for row in rows if row["planner"] == label and row["on"] == name]) for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(seeds: Sequence[dict[str, Any]]) -> str:
    """Return own distance, others' minus own with its interval, and the share of others that are farther."""
    groups = seeds[0]["gaps"]["groups"]
    own, others, nearer = (np.mean([row["gaps"][key] for row in seeds], axis=0) for key in ("own", "others", "nearer"))
    gain, half = mean_and_interval(others - own, groups)
    share = mean_and_interval(nearer, groups)[0]
    return f"{mean_and_interval(own, groups)[0]:.2f}, {gain:+.3f} ± {half:.3f}, {100 * share:.0f} %"


def main(arguments: list[str]) -> None:
    """Measure the planners of the command line, print the table, and write the numbers."""
    at = arguments.index("--out") if "--out" in arguments else len(arguments)
    specs = [one for one in arguments[:at] if one != "--train"]
    rows = run(specs, "--train" in arguments)
    print("own distance, others' minus own, share of others that are farther\n\n" + table(rows))
    for out in arguments[at + 1 : at + 2]:
        Path(out).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
