"""Contact sheet of a training set."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.data.dataset.augment_options import LOGGED_KINDS
from swerve.data.dataset.calibration import camera_of
from swerve.data.dataset.image_encoding import decode_depth, decode_image, decode_instance
from swerve.data.storage.checked_json import anything, fields, mapping_of, read_json
from swerve.data.stream.decoded_sample import DecodedSample
from swerve.data.stream.image_fit import ImageFit
from swerve.job_report import counted
from swerve.rasterizer import Style
from swerve.scenes import Camera
from swerve.scenes.camera_roles import cameras_by_role
from swerve.set_reader import open_set
from swerve.sheet_images import (
    CROSS_AGENT,
    EXPERT,
    LOGGED,
    RECOVERY,
    evenly,
    front_of,
    gray,
    off_path_text,
    offsets_text,
    palette,
)
from swerve.viz.contact_sheet import Panel, Section
from swerve.viz.overlay import draw_path

_EXPERT: Final = "Magenta: the pseudo-expert, which is the target where there is no way back."
_KINDS: Final = {
    "logged": ("The vehicle that recorded the log. White: what its driver did next.", LOGGED),
    "recovery": ("The vehicle beside its path. Orange: the target, a trajectory back to it.", RECOVERY),
    "cross_agent": ("Another vehicle of the scene. Green: what it did next.", CROSS_AGENT),
    "follow_up": (
        "The vehicle off its path, 4 s after a scene of the log, in traffic that moved on. Orange: the way back to "
        f"the human's path. {_EXPERT}",
        RECOVERY,
    ),
    "visited": (
        "Where a planner got to in a rollout, in the rollout's traffic. Orange: the way back to the human's path. "
        f"{_EXPERT}",
        RECOVERY,
    ),
}
_AGAIN = "Run the job that made the set again"
_COLUMNS = ("source", "log", "kind", "command")
_CAMERA_COLUMNS: Final = ("camera", "role", "pixels", "degrees across", "lens", "photo")
# Samples shown of each kind, logs whose cameras are read, rejections listed, and the width of images.
_SHOWN, _LOGS, _REASONS, _WIDTH = 8, 50, 12, 480


class SetSheet:
    """Sheet of a training set: its contents, and some of its samples.

    Args:
        folder: a finished set.

    Raises:
        SwerveError: it is not finished, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._summary = read_json(folder / "summary.json", mapping_of(anything), _AGAIN)
        self._options = read_json(folder / "job.json", fields({"options": mapping_of(anything)}), _AGAIN)["options"]
        self._reader, self._rows = open_set(folder, _COLUMNS)

    @property
    def title(self) -> str:
        """Return the heading."""
        return f"Training set {self._folder.resolve().name}"

    @property
    def text(self) -> str:
        """Return a sentence on what is in the set."""
        summary, options = self._summary, self._options
        extras = ", ".join(["RGB", *options["extra_outputs"]])
        size = options["size"]
        pixels = "the cameras' own size" if size is None else f"{size[0]}x{size[1]} ({options['fit']})"
        return (
            f"{counted(summary['samples'], 'sample')} of {counted(len({row['log'] for row in self._rows}), 'log')} in "
            f"{counted(summary['shards'], 'shard')}, {summary['bytes'] / 1e6:.1f} MB. {extras} at {pixels}, style "
            f"{options['style']}, rasters {options['rasters']}. {counted(summary['failures'], 'failure')}."
        )

    def sections(self) -> tuple[Section, ...]:
        """Return all sections of the sheet."""
        kinds = [self._kind(kind) for kind in _KINDS]
        return (
            self._samples(),
            self._sources(),
            self._cameras(),
            *(section for section in kinds if section.panels),
            *self._layers(),
            *self._rejections(),
        )

    def _samples(self) -> Section:
        counts, splits = Counter((row["kind"], row["split"]) for row in self._rows), list(self._reader.catalogues)
        shown = [kind for kind in _KINDS if kind in LOGGED_KINDS or any(counts[kind, split] for split in splits)]
        of_kind = {kind.replace("_", "-"): [counts[kind, split] for split in splits] for kind in shown}
        commands = Counter(row["command"] for row in self._rows).most_common()
        text = f"Viewpoints by split. Commands: {', '.join(f'{count} {name}' for name, count in commands)}."
        cells = [(kind, *map(str, numbers), str(sum(numbers))) for kind, numbers in of_kind.items()]
        return Section("Samples", text, (), table=(("viewpoint", *splits, "all"), *cells))

    def _sources(self) -> Section:
        found = dict[str, list[str]]()
        for row in self._rows:
            found.setdefault(row["source"], []).append(row["log"])
        rows = [(source, str(len(set(logs))), str(len(logs)), logs[0]) for source, logs in sorted(found.items())]
        return Section("Sources", "", (), table=(("source", "logs", "samples", "first log"), *rows))

    def _cameras(self) -> Section:
        first = {row["log"]: row for row in reversed(self._rows)}
        shown = evenly(list(first.values()), _LOGS)
        samples = [(row["source"], self._reader.sample(row)) for row in shown]
        counts = Counter((source, *row) for source, sample in samples for row in _camera_rows(sample))
        rigs = {frozenset(entry["name"] for entry in sample.entries) for _, sample in samples}
        alike = (
            "The names of cameras are the same in all."
            if len(rigs) == 1
            else f"Their cameras have {len(rigs)} sets of names."
        )
        text = f"In one sample of each of {counted(len(samples), 'log')} of {len(first)}. {alike}"
        table = [("source", *_CAMERA_COLUMNS, "logs"), *((*row, str(count)) for row, count in sorted(counts.items()))]
        of_one = len({row["source"] for row in self._rows}) == 1
        return Section("Cameras", text, (), table=tuple(row[1:] if of_one else row for row in table))

    def _kind(self, kind: str) -> Section:
        """Return some samples of a kind, seen by the camera that looks ahead."""
        text, color = _KINDS[kind]
        rows = [row for row in self._rows if row["kind"] == kind]
        panels = []
        for row in evenly(rows, _SHOWN) if rows else []:
            sample, ahead = self._front(row)
            panels.append(Panel(_caption(sample), _with_target(sample, ahead, sample.raster(ahead), color)))
            photo = sample.photo(ahead)
            if photo is not None:
                panels.append(Panel("its photo", _with_target(sample, ahead, photo, color)))
        return Section(f"{kind.replace('_', '-').capitalize()} samples", text, tuple(panels))

    def _layers(self) -> Iterator[Section]:
        """Yield all cameras of one sample, and its other outputs."""
        sample, ahead = self._front(self._rows[0])
        entries = enumerate(sample.entries)
        panels = [Panel(entry["name"], self._fitted(sample, row).raster(row)) for row, entry in entries]
        yield Section("Cameras of one sample", _caption(sample), tuple(panels))
        member = sample.entries[ahead]["member"]
        images = [
            Panel(f"{member}: {output}", _shown(output, sample.stored.read(f"{member}.{output}.png")))
            for output in self._options["extra_outputs"]
        ]
        if images:
            yield Section("Other outputs", "Of the camera that looks ahead.", tuple(images))

    def _rejections(self) -> Iterator[Section]:
        found = [
            (kind.replace("_", "-"), reason.replace("_", " "), str(count))
            for kind, reasons in self._summary["rejections"].items()
            for reason, count in sorted(reasons.items(), key=lambda item: -item[1])
        ]
        if found:
            text = "Viewpoints that were left out; docs/formats.md explains the reasons."
            yield Section("Rejected viewpoints", text, (), table=(("viewpoint", "reason", "count"), *found))

    def _front(self, row: dict[str, Any]) -> tuple[DecodedSample, int]:
        """Return a sample with images of the width of a panel, and the index of the camera that looks ahead."""
        sample = self._reader.sample(row)
        ahead = front_of([camera_of(entry) for entry in sample.entries])
        return self._fitted(sample, ahead), ahead

    def _fitted(self, sample: DecodedSample, camera: int) -> DecodedSample:
        """Return a sample whose images have the aspect ratio of a camera."""
        entry = sample.entries[camera]
        width = min(_WIDTH, entry["width"])
        return replace(sample, fit=ImageFit((width, max(round(width * entry["height"] / entry["width"]), 1))))


def _camera_rows(sample: DecodedSample) -> Iterator[tuple[str, ...]]:
    """Yield the values of `_CAMERA_COLUMNS` for each camera of a sample."""
    cameras = [camera_of(entry) for entry in sample.entries]
    role_of = {camera.name: role for role, camera in cameras_by_role(cameras).items()}
    for entry, camera in zip(sample.entries, cameras, strict=True):
        photo = "synthetic" if entry["synthetic"] else "yes" if entry["photo"] else "no"
        pixels, lens = f"{camera.width}x{camera.height}", camera.lens.model.name.lower()
        yield camera.name, role_of.get(camera.name, "none"), pixels, f"{_degrees_across(camera):.0f}", lens, photo


def _degrees_across(camera: Camera) -> float:
    """Return the angle between the rays of the ends of the image's middle row; NaN beyond the lens's limit."""
    ends = camera.unproject(np.array([[0.0, camera.height / 2], [camera.width, camera.height / 2]]))
    ends = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    return float(np.rad2deg(np.arccos(np.clip(ends[0] @ ends[1], -1.0, 1.0))))


def _caption(sample: DecodedSample) -> str:
    details = sample.details
    offsets = f"; {offsets_text(details['parameters'])}" if details["kind"] == "recovery" else ""
    if details["kind"] in ("follow_up", "visited"):
        offsets = f"; {off_path_text(details['parameters'], details.get('expert'))}"
    speed = float(np.linalg.norm(sample.numbers["history_velocity"][-1]))
    return f"{details['log']}, scene {details['token']}: {speed:.1f} m/s, command {details['command']}{offsets}"


def _with_target(sample: DecodedSample, camera: int, image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Draw a sample's target and pseudo-expert on the ground of its image."""
    expert = sample.details.get("expert")
    paths = [("expert_10hz", EXPERT)] if expert else []
    if sample.details["parameters"].get("way_back", 1.0):
        paths.append(("target_10hz", color))
    for name, shown in paths:
        poses = sample.numbers[name][sample.numbers[f"{name}_valid"]]
        ground = np.zeros((len(poses) + 1, 3))
        ground[1:, :2] = poses[:, :2]
        image = draw_path(image, sample.cameras[camera], ground, shown)
    return image


def _shown(output: str, content: bytes) -> np.ndarray:
    """Return an output other than RGB as an image for people."""
    if output == "depth":
        return gray(np.clip(1 - decode_depth(content) / Style.rap().depth_limit, 0, 1).astype(float))
    numbers = decode_instance(content) if output == "instance" else decode_image(content)
    return palette(numbers.astype(np.int64))
