"""Training batches from a set: samples are a function of the step, so that any batch can be built at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.data.stream.batch import KINDS, Batch, Provenance
from swerve.data.stream.camera_arrays import camera_arrays
from swerve.data.stream.decoded_sample import DecodedSample, decode_sample, numbers_of
from swerve.data.stream.merged_sets import MergedSets
from swerve.data.stream.order import PartOrder, batch_start
from swerve.data.stream.part import Part
from swerve.data.stream.stream_options import StreamOptions
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import Command, ViewpointKind

_TIMES = ("history_time", "time_2hz", "time_10hz")
_VEHICLE = ("length", "width", "height", "wheelbase", "rear_overhang")


class SampleStream:
    """Batches of one rank.

    Every batch has the same number of samples of each part. A part that is exhausted starts its next epoch, in another
    order, independent of the other parts. No two ranks get the same position of the order.

    Args:
        folder: a finished set, as `swerve augment` writes it, or several, whose samples are mixed: each part of a batch
            takes from all of them, in proportion to their samples of that part.
        options: options of the stream.
        rank: rank of this process.
        world: number of training processes.

    Raises:
        SwerveError: the set is not finished, damaged or of another format, lacks a camera, or has no samples of a part;
            or there is no process of this rank.
    """

    def __init__(
        self, folder: Path | str | Sequence[Path | str], options: StreamOptions, rank: int = 0, world: int = 1
    ) -> None:
        if not 0 <= rank < world:
            raise SwerveError(f"rank: {rank} of {world} processes: ranks are 0 to {world - 1}")
        self.options, self.rank, self.world_size = options, rank, world
        folders = [folder] if isinstance(folder, (str, Path)) else folder
        self._sets = MergedSets([Path(one) for one in folders], options.split)
        known = self._sets.parts
        self._orders = [self._order(part, known) for part in options.parts]
        self._resumed = (0, (0,) * len(options.parts))
        first = self._decoded(int(self._orders[0].at(0, 1)[0]), options.cameras)
        self.cameras: tuple[str, ...] = tuple(entry["name"] for entry in first.entries)

    @property
    def logs(self) -> frozenset[str]:
        """Names of the logs of the split."""
        return self._sets.logs

    @property
    def steps_per_epoch(self) -> dict[str, float]:
        """Number of steps (of all ranks) per epoch, by part."""
        counts = zip(self.options.parts, self._orders, self.options.counts, strict=True)
        return {part.name: len(order) / (count * self.world_size) for part, order, count in counts}

    @property
    def identity(self) -> dict[str, Any]:
        """Return what determines the batches of all ranks together, as JSON values, for comparison on resumption."""
        options = {**asdict(self.options), "cameras": list(self.cameras)}
        options["batch_size"] = self.options.batch_size * self.world_size
        return {"set": self._sets.digest, **options}

    def consumed(self, step: int) -> list[int]:
        """Return the position in each part's order, of all ranks together, before a step."""
        first, offsets = self._resumed
        counts = zip(offsets, self.options.counts, strict=True)
        return [offset + batch_start(step - first, 0, self.world_size, count) for offset, count in counts]

    def resume(self, step: int, consumed: Sequence[int]) -> None:
        """Continue the parts' orders at these positions from a step on, with any number of ranks.

        Raises:
            SwerveError: there are not as many positions as parts.
        """
        if len(consumed) != len(self.options.parts) or min(consumed, default=0) < 0:
            raise SwerveError(f"the stream cannot be resumed: {len(self.options.parts)} parts, positions {consumed}")
        self._resumed = (step, tuple(consumed))

    def targets(self, interval: float, poses: int) -> Float[np.ndarray, "n k 3"]:
        """Read the target trajectories of all samples of the parts; those not known to the end are left out.

        Args:
            interval: seconds between poses.
            poses: number of poses.

        Raises:
            SwerveError: the sets' targets are at other times or end earlier, or none is known.
        """
        wanted = interval * np.arange(1, poses + 1)
        name, found = ", ".join(map(str, self._sets.folders)), []
        for row in np.unique(np.concatenate([order.rows for order in self._orders])):
            number, place = self._sets.where(int(row))
            one = self._sets[number]
            numbers = numbers_of(one.reader.sample(*one.catalogue.where(place)), False)
            times = numbers["time_2hz"][:poses]
            if len(times) < poses or not np.allclose(times, wanted, atol=1e-3):
                raise SwerveError(f"{name}: no targets at {interval:g}, ... {wanted[-1]:g} s")
            if numbers["target_2hz_valid"][:poses].all():
                found.append(numbers["target_2hz"][:poses])
        if not found:
            raise SwerveError(f"{name}: no target is known up to {wanted[-1]:g} s")
        return np.stack(found).astype(np.float64)

    def batch(self, step: int) -> Batch:
        """Build the batch of a step, from 0 on.

        Raises:
            SwerveError: a shard is missing or damaged, or a sample lacks a camera or an image.
        """
        rows, parts = self.rows(step)
        samples = [self._decoded(row, self.cameras) for row in rows]
        wanted = [self.options.parts[part] for part in parts]
        raster, has_raster = self._images(samples, [part.wants_raster for part in wanted], DecodedSample.raster)
        photo, has_photo = self._images(samples, [part.wants_photo for part in wanted], DecodedSample.photo)
        _require_photos(samples, wanted, has_photo)
        return Batch(
            step=step,
            part=parts,
            raster=raster,
            photo=photo,
            has_raster=has_raster,
            has_photo=has_photo,
            cameras=camera_arrays([sample.cameras for sample in samples]),
            weight=self._sets.weights(rows).astype(np.float32),
            provenance=tuple(self._provenance(row, sample) for row, sample in zip(rows, samples, strict=True)),
            **_numbers(samples),
        )

    def rows(self, step: int) -> tuple[list[int], Int[np.ndarray, "b"]]:
        """Return the samples of a step, as rows of the split in the manifest's order, and the part of each."""
        rows, parts = list[int](), list[int]()
        positions = self.consumed(step)
        for part, (order, count) in enumerate(zip(self._orders, self.options.counts, strict=True)):
            rows += order.at(positions[part] + self.rank * count, count).tolist()
            parts += [part] * count
        return rows, np.array(parts)

    def _order(self, part: Part, known: Mapping[str, Int[np.ndarray, "_"]]) -> PartOrder:
        if not len(known[part.name]):
            there = ", ".join(f"{len(rows)} {name}" for name, rows in known.items() if len(rows))
            raise SwerveError(
                f"{self._sets.folders[0]}: split {self.options.split!r} has no samples of part {part.name!r}"
                f"{', logged viewpoints with photos' if part.name == 'paired' else ''}; it has {there}"
            )
        return PartOrder(part, known[part.name], self.options.seed)

    def _decoded(self, row: int, cameras: Sequence[str]) -> DecodedSample:
        number, row = self._sets.where(row)
        opened = self._sets[number]
        stored = opened.reader.sample(*opened.catalogue.where(row))
        return decode_sample(stored, cameras, self.options.fit, opened.drawer)

    def _images(
        self,
        samples: Sequence[DecodedSample],
        wanted: Sequence[bool],
        read: Any,  # noqa: ANN401 a method of a sample
    ) -> tuple[UInt8[np.ndarray, "b c 3 h w"] | None, Bool[np.ndarray, "b c"]]:
        """Load images of one kind of the samples that request them, with a mask of available ones."""
        there = np.zeros((len(samples), len(self.cameras)), bool)
        if not any(wanted):
            return None, there
        width, height = self.options.fit.size
        images = np.zeros((*there.shape, height, width, 3), np.uint8)
        for row in np.flatnonzero(wanted):
            for column in range(len(self.cameras)):
                image = read(samples[row], column)
                if image is not None:
                    images[row, column], there[row, column] = image, True
        return np.moveaxis(images, -1, 2), there

    def _provenance(self, row: int, sample: DecodedSample) -> Provenance:
        dataset, row = self._sets.where(row)
        details, (shard, number, key, *_) = sample.details, self._sets[dataset].catalogue.where(row)
        kind = ViewpointKind(details["kind"])
        names = (details["source"], details["log"], details["token"])
        return Provenance(key, *names, kind, details["index"], shard, number, dataset)


def _require_photos(samples: Sequence[DecodedSample], wanted: Sequence[Part], there: Bool[np.ndarray, "b c"]) -> None:
    """Check that a sample with requested photos has at least one.

    Raises:
        SwerveError: it has none of the selected cameras.
    """
    for sample, part, has in zip(samples, wanted, there, strict=True):
        if part.wants_photo and not has.any():
            raise SwerveError(
                f"{sample.stored.path}: part {part.name!r} requests photos, and sample {sample.stored.key} has "
                "none of the selected cameras. Request rasters there, or other cameras"
            )


def _numbers(samples: Sequence[DecodedSample]) -> dict[str, np.ndarray]:
    """Stack the numeric arrays of the samples, one row for each."""
    for sample in samples:
        for name, array in sample.numbers.items():
            if array.shape != samples[0].numbers[name].shape:
                raise SwerveError(
                    f"{sample.stored.path}: {sample.stored.key}.npz: {name} is of shape {array.shape}, that of sample "
                    f"{samples[0].stored.key} of {samples[0].numbers[name].shape}. Make the set again"
                )
    arrays = {name: samples[0].numbers[name] for name in _TIMES}
    arrays |= {
        name: np.stack([one.numbers[name] for one in samples]) for name in samples[0].numbers if name not in _TIMES
    }
    details = [sample.details for sample in samples]
    experts = [one.get("expert") for one in details]
    kinds = [KINDS.index(ViewpointKind(one["kind"])) for one in details]
    commands = [int(Command[one["command"].upper()]) for one in details]
    return {
        **arrays,
        "command": np.array(commands, np.int64),
        "speed": np.linalg.norm(arrays["history_velocity"][:, -1], axis=-1),
        "vehicle": np.array([[one["vehicle"][name] for name in _VEHICLE] for one in details], np.float32),
        "kind": np.array(kinds, np.int64),
        "expert_score": np.array([one["score"] if one else np.nan for one in experts], np.float32),
    }
