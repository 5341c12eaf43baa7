"""Hidden states of the views of a training set: shards beside the set's, with a member for each of its samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

from swerve.data.storage.checked_json import array, fields, integer, list_of, read_json, text
from swerve.data.storage.checked_npz import read_npz
from swerve.data.storage.files import file_digest
from swerve.data.stream import ImageFit
from swerve.data.stream.batch import Provenance
from swerve.data.stream.shard_reader import ShardReader
from swerve.planners.learning.hidden_state_spec import HiddenStateSpec
from swerve.scenes import LogError, SwerveError

VERSION: Final = 1
INFO: Final = "hidden_states.json"
MEMBER: Final = "hidden_states.npz"
MANIFEST: Final = "manifest.parquet"
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


class HiddenStateStore:
    """Reader of what `swerve hidden-states` wrote, for any number of threads.

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
    if content["manifest"] != file_digest(dataset / MANIFEST):
        raise SwerveError(f"{folder}: these hidden states are of another set than {dataset}. {_HINT}")
    return StoredStates.from_json(content)
