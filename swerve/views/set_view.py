"""3D view of a training set: a sample per step, each in its own ego frame."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.dataset.calibration import camera_of
from swerve.data.storage.checked_npz import read_npz
from swerve.data.stream.decoded_sample import DecodedSample
from swerve.data.stream.image_fit import ImageFit
from swerve.scenes import SwerveError, Tracks, Vehicle
from swerve.set_reader import open_set
from swerve.sheet_images import CROSS_AGENT, EXPERT, LOGGED, PAST, RECOVERY, evenly
from swerve.views.log_view import IMAGE_WIDTH
from swerve.viz.scene_view import CameraView3D, Curve, Path3D, SceneView3D

MOST: Final = 60
_COLORS: Final = {
    "logged": LOGGED,
    "recovery": RECOVERY,
    "cross_agent": CROSS_AGENT,
    "follow_up": RECOVERY,
    "visited": RECOVERY,
}
_BOXES: Final = ("box_id", "box_class", "box_center", "box_size", "box_heading", "box_velocity")


def set_view(folder: Path, log: str | None = None) -> SceneView3D:
    """Describe some samples of a set, evenly chosen, of all logs or of one.

    Raises:
        SwerveError: the set is not finished, damaged, or has no sample of the log.
    """
    reader, rows = open_set(folder, ("log", "kind"))
    own = [row for row in rows if log in (None, row["log"])]
    if not own:
        raise SwerveError(
            f"{folder}: has no sample of log {log!r}; it has {', '.join(sorted({one['log'] for one in rows})[:5])}"
        )
    chosen = evenly(own, MOST)
    samples = [reader.sample(row) for row in chosen]
    found = Counter(row["kind"] for row in own)
    counts = ", ".join(f"{found[kind]} {kind.replace('_', '-')}" for kind in _COLORS if found[kind])
    steps = np.arange(len(samples), dtype=float)
    return SceneView3D(
        title=f"Training set {folder.resolve().name}",
        text=f"{len(own)} samples: {counts}; {len(samples)} of them, a step each, in their own ego frames. White: "
        "logged targets; orange: ways back to the human's path; green: cross-agent; magenta: pseudo-experts; grey: "
        "histories.",
        times=steps,
        world_from_ego=np.repeat(np.eye(4)[None], len(samples), axis=0),
        vehicle=Vehicle.pacifica(),
        tracks=_boxes(samples),
        paths=tuple(path for step, sample in enumerate(samples) for path in _paths(step, sample)),
        cameras=_cameras(samples),
        curves=(Curve("speed, m/s", np.array([_speed(sample) for sample in samples])),),
        unit="samples",
    )


def _speed(sample: DecodedSample) -> float:
    return float(np.linalg.norm(sample.numbers["history_velocity"][-1]))


def _paths(step: int, sample: DecodedSample) -> list[Path3D]:
    """Return history and target of a sample."""
    numbers, kind = sample.numbers, sample.details["kind"]
    parameters = {name: f"{value:.2f}" for name, value in sample.details["parameters"].items()}
    facts = {
        "sample": sample.details["key"],
        "viewpoint": kind.replace("_", "-"),
        "command": str(sample.details["command"]),
        **parameters,
    }
    drawn = [("pseudo-expert", "expert_10hz", EXPERT)] if sample.details.get("expert") else []
    if sample.details["parameters"].get("way_back", 1.0):
        drawn.append(("target", "target_10hz", _COLORS[kind]))
    past = numbers["history_pose"][numbers["history_valid"]]
    found = [
        Path3D(f"{name} {step}", "targets", _ahead(numbers, field), color, 0.2, facts, (step, step))
        for name, field, color in drawn
    ]
    if len(past) > 1:
        found.append(Path3D(f"history {step}", "histories", _flat(past), PAST, 0.15, facts, (step, step)))
    return found


def _ahead(numbers: Mapping[str, Any], field: str) -> Float[np.ndarray, "k 3"]:
    """Return the ego's place and the known poses after it."""
    return _flat(np.concatenate([np.zeros((1, 3)), numbers[field][numbers[f"{field}_valid"]]]))


def _flat(poses: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    return np.column_stack([poses[:, :2], np.full(len(poses), 0.1)]).astype(float)


def _boxes(samples: Sequence[DecodedSample]) -> Tracks:
    """Return the boxes of all samples, in as many rows of each class as a sample has at most."""
    found = [_arrays(sample) for sample in samples]
    kinds = sorted({int(kind) for one in found for kind in one["box_class"]})
    most = {kind: max(int((one["box_class"] == kind).sum()) for one in found) for kind in kinds}
    first = dict(zip(kinds, np.cumsum([0, *most.values()])[:-1].tolist(), strict=True))
    count, steps = sum(most.values()), len(samples)
    tracks = Tracks(
        tuple(f"box {row}" for row in range(count)),
        np.repeat(np.array(kinds, np.uint8), [most[kind] for kind in kinds]),
        np.zeros((count, steps, 3)),
        np.zeros((count, steps)),
        np.ones((count, steps, 3)),
        np.zeros((count, steps, 2)),
        np.zeros((count, steps), bool),
    )
    for step, one in enumerate(found):
        for kind in kinds:
            boxes = np.flatnonzero(one["box_class"] == kind)
            rows = first[kind] + np.arange(len(boxes))
            tracks.positions[rows, step], tracks.headings[rows, step] = (
                one["box_center"][boxes],
                one["box_heading"][boxes],
            )
            tracks.sizes[rows, step], tracks.velocities[rows, step] = one["box_size"][boxes], one["box_velocity"][boxes]
            tracks.valid[rows, step] = True
    return tracks


def _arrays(sample: DecodedSample) -> dict[str, np.ndarray]:
    where = f"{sample.stored.path}: {sample.stored.key}.npz"
    return read_npz(sample.stored.read("npz"), where, _BOXES, "Run the job that made the set again")


def _cameras(samples: Sequence[DecodedSample]) -> tuple[CameraView3D, ...]:
    """Return the cameras of the first sample; in each step, the image of the sample's camera of that name."""
    entries = samples[0].entries
    found = []
    for row, entry in enumerate(entries):
        camera = samples[0].cameras[row]
        whole = camera_of(entry)
        found.append(CameraView3D(whole.mounted(camera.ego_from_camera), _reader(samples, entry["name"])))
    return tuple(found)


def _reader(samples: Sequence[DecodedSample], name: str) -> Callable[[int], UInt8[np.ndarray, "_ _ 3"] | None]:
    @lru_cache(maxsize=8)
    def image(step: int) -> UInt8[np.ndarray, "_ _ 3"] | None:
        sample = samples[step]
        names = [entry["name"] for entry in sample.entries]
        if name not in names:
            return None
        row = names.index(name)
        entry = sample.entries[row]
        width = min(IMAGE_WIDTH, entry["width"])
        height = max(round(width * entry["height"] / entry["width"]), 1)
        fitted = replace(sample, fit=ImageFit((width, height)))
        photo = fitted.photo(row)
        return fitted.raster(row) if photo is None else photo

    return image
