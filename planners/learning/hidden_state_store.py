"""Hidden states of the views of a training set: shards beside the set's, with a member for each of its samples."""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

from swerve.data.dataset.manifest import ShardRecord
from swerve.data.dataset.set_layout import SetRecords
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.jobs.folder import held
from swerve.data.storage.checked_json import array, fields, integer, list_of, read_json, text
from swerve.data.storage.checked_npz import read_npz
from swerve.data.storage.files import commit, file_digest, make_folder, to_json, write_atomically
from swerve.data.stream import ImageFit
from swerve.data.stream.batch import Provenance
from swerve.data.stream.decoded_sample import decode_sample
from swerve.data.stream.raster_drawer import RasterRenderer
from swerve.data.stream.shard_reader import ShardReader
from swerve.planners.learning.hidden_state_spec import HiddenStateSpec
from swerve.planners.learning.hidden_states import HiddenStates
from swerve.scenes import LogError, SwerveError

VERSION: Final = 1
INFO: Final = "hidden_states.json"
MEMBER: Final = "hidden_states.npz"
# What was asked for, written first: a store is not continued with anything else. It is no job.json, by which `swerve
# verify --repair` would look for records, and remove the shards, which have none.
_REQUEST: Final = "request.json"
_MANIFEST: Final = "manifest.parquet"
Domain = Literal["raster", "photo"]
DOMAINS: Final[tuple[Domain, ...]] = ("raster", "photo")
_SPEC: Final = fields(
    {"digest": text, "layer": integer(), "tokens": integer(1), "prompt": text, "width": integer(1)},
)
_SHAPE: Final = fields(
    {
        "version": integer(),
        "manifest": text,
        "spec": _SPEC,
        "cameras": list_of(text, 1),
        "size": list_of(integer(1), 2, 2),
        "trim": array(4),
        "domains": list_of(text, 1),
    },
)
_HINT: Final = "Make the hidden states again"


@dataclass(frozen=True)
class StoredStates:
    """Description of the hidden states of a set.

    Attributes:
        spec: model, layer, tokens and prompt.
        cameras: names of the cameras, in the order in which the model sees them.
        fit: crop and size of the images: those of the network that is conditioned on them.
        domains: images of a sample, each of which is a view.
    """

    spec: HiddenStateSpec
    cameras: tuple[str, ...]
    fit: ImageFit
    domains: tuple[Domain, ...]

    def to_json(self, manifest: str) -> dict[str, Any]:
        """Convert to JSON values, with the digest of the set's manifest."""
        fit = {"size": list(self.fit.size), "trim": list(self.fit.trim)}
        own = {"spec": asdict(self.spec), "cameras": list(self.cameras), "domains": list(self.domains)}
        return {"version": VERSION, "manifest": manifest, **own, **fit}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "StoredStates":
        """Build from the result of `to_json`."""
        fit = ImageFit((content["size"][0], content["size"][1]), tuple(content["trim"]))
        domains = tuple(one for one in DOMAINS if one in content["domains"])
        return cls(HiddenStateSpec(**content["spec"]), tuple(content["cameras"]), fit, domains)


def write_hidden_states(
    dataset: str | Path,
    folder: str | Path,
    encoder: HiddenStates,
    cameras: Sequence[str],
    fit: ImageFit,
    domains: Sequence[Domain] = DOMAINS,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Compute the hidden states of every view of a set; return the number of views that were computed now.

    The folder mirrors the set: shards of the same names with the samples in the same order. A shard is written at once;
    a job that was stopped goes on at the first shard that is missing.

    Args:
        dataset: a finished set.
        folder: of the hidden states.
        encoder: the model.
        cameras: names of cameras.
        fit: crop and size of the images.
        domains: images of a sample.
        report: called after each shard with the number of shards done, and that of all.

    Raises:
        SwerveError: the set is not finished, lacks a camera or has none of the images, or the folder is of another job.
    """
    dataset, folder = Path(dataset), Path(folder)
    if not (dataset / _MANIFEST).is_file():
        raise SwerveError(f"{dataset}: no {_MANIFEST}: not a finished set. Run `swerve augment` to its end")
    wanted = StoredStates(encoder.spec, tuple(cameras), fit, tuple(domains))
    request = wanted.to_json(file_digest(dataset / _MANIFEST))
    make_folder(folder)
    with held(folder):
        _check_same(folder, request)
        records = [record for record in SetRecords(dataset) if record.shard]
        if "raster" not in domains and not any(row["photos"] for record in records for row in record.rows):
            raise SwerveError(f"{dataset}: has no photos. Make hidden states of its rasters (--images raster)")
        write_atomically(folder / _REQUEST, to_json(request))
        views, renderer, reader = 0, RasterRenderer(dataset), ShardReader(dataset)
        for number, record in enumerate(records):
            path = folder / record.shard
            if not path.is_file():
                make_folder(path.parent)
                views += _write_shard(path, record, reader, renderer, encoder, wanted)
            report(number + 1, len(records))
        write_atomically(folder / INFO, to_json(request))
    return views


def _check_same(folder: Path, request: dict[str, Any]) -> None:
    """Check that the shards of a folder, if it has any, were made by the same request.

    Raises:
        SwerveError: they were not, or the folder does not say what they are of.
    """
    if not any(folder.glob("*/*.tar")):
        return
    path = folder / _REQUEST
    if not path.is_file():
        raise SwerveError(f"{folder}: holds shards that are no hidden states. Choose another folder")
    was = read_json(path, _SHAPE, _HINT)
    changed = [name for name in request if was[name] != request[name] and name != "spec"]
    changed += [name for name, value in request["spec"].items() if was["spec"][name] != value]
    if changed:
        raise SwerveError(
            f"{folder}: holds hidden states of another set or model: other {', '.join(changed)}. Choose another folder"
        )


def _write_shard(
    path: Path,
    record: ShardRecord,
    reader: ShardReader,
    renderer: RasterRenderer,
    encoder: HiddenStates,
    wanted: StoredStates,
) -> int:
    """Write the shard of a part of the set; return its number of views."""
    views = 0
    with ShardWriter(path, record.split) as writer:
        for number, row in enumerate(record.rows):
            stored = reader.sample(record.shard, number, row["key"])
            sample = decode_sample(stored, wanted.cameras, wanted.fit, renderer)
            count, found = len(wanted.cameras), dict[str, np.ndarray]()
            if "raster" in wanted.domains:
                found["raster"] = encoder.tokens([sample.raster(camera) for camera in range(count)])
            photos = [sample.photo(camera) for camera in range(count)] if "photo" in wanted.domains else []
            # Cameras without a photo are black in a batch, too.
            if any(one is not None for one in photos):
                black = np.zeros((wanted.fit.size[1], wanted.fit.size[0], 3), np.uint8)
                found["photo"] = encoder.tokens([black if one is None else one for one in photos])
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **found)
            writer.add(Sample(row["key"], record.split, {MEMBER: content.getvalue()}, row))
            views += len(found)
        writer.finish()
    commit(path)
    return views


class HiddenStateStore:
    """Reader of `write_hidden_states`, for any number of threads.

    Args:
        folders: of the hidden states of each set.
        datasets: the sets, in the order of the stream.

    Attributes:
        stored: what they are of.

    Raises:
        SwerveError: a store is not finished, or of another set; or they are of different models or images.
    """

    def __init__(self, folders: Sequence[Path], datasets: Sequence[Path]) -> None:
        if len(folders) != len(datasets):
            raise SwerveError(f"hidden states of {len(folders)} sets are given for {len(datasets)} sets")
        infos = [_info(folder, dataset) for folder, dataset in zip(folders, datasets, strict=True)]
        if any(one != infos[0] for one in infos):
            raise SwerveError("hidden states of the sets are of different models, cameras or sizes")
        self.stored = infos[0]
        self._readers = [ShardReader(folder) for folder in folders]

    def states(self, origin: Provenance) -> dict[str, Float[np.ndarray, "t e"]]:
        """Return the hidden states of a sample's views, by the kind of image.

        Raises:
            SwerveError: the store is damaged.
        """
        stored = self._readers[origin.dataset].sample(origin.shard, origin.index_in_shard, origin.key)
        where, spec = f"{stored.path}: {stored.key}.{MEMBER}", self.stored.spec
        found = read_npz(stored.read(MEMBER), where, hint=_HINT)
        for name, values in found.items():
            if values.shape != (spec.tokens, spec.width) or values.dtype != np.float16 or not np.isfinite(values).all():
                raise LogError(where, name, f"is of {values.dtype} and shape {values.shape}, or not finite", _HINT)
        return found

    def of_views(self, origins: Sequence[Provenance], is_photo: Sequence[bool]) -> Float[np.ndarray, "b t e"]:
        """Return the hidden states of views, as float32.

        Raises:
            SwerveError: a view has none, or the store is damaged.
        """
        rows, known = [], dict[tuple[int, str], dict[str, np.ndarray]]()
        for origin, photo in zip(origins, is_photo, strict=True):
            key, kind = (origin.dataset, origin.key), "photo" if photo else "raster"
            if key not in known:
                known[key] = self.states(origin)
            if kind not in known[key]:
                raise SwerveError(f"sample {origin.key} has no hidden states of its {kind}. Make them of these")
            rows.append(known[key][kind])
        return np.stack(rows).astype(np.float32)


def _info(folder: Path, dataset: Path) -> StoredStates:
    """Read what the hidden states of a set are of."""
    if not (folder / INFO).is_file():
        raise SwerveError(f"{folder}: no {INFO}: not finished hidden states. Run `swerve hidden-states` to its end")
    content: dict[str, Any] = read_json(folder / INFO, _SHAPE, _HINT)
    if content["version"] != VERSION:
        raise SwerveError(f"{folder}: hidden states of version {content['version']}, this is {VERSION}. {_HINT}")
    if content["manifest"] != file_digest(dataset / _MANIFEST):
        raise SwerveError(f"{folder}: these hidden states are of another set than {dataset}. {_HINT}")
    return StoredStates.from_json(content)
