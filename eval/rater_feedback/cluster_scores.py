"""Means over scenario clusters: the leaderboard's score is the mean of the clusters' means."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.scenes import SwerveError

CLUSTER_FILE: Final = "val_sequence_name_to_scenario_cluster.json"
_CLUSTER: Final = "scenario_cluster"
_SHOWN: Final = 3


def find_side_file(path: Path, name: str) -> Path | None:
    """Return a JSON file of the data set, in the folder of the shards or one of the two above it; None if not there."""
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    places = [place / name for place in (folder, *folder.parents[:2])]
    return next((place for place in places if place.is_file()), None)


def read_json_table(file: Path) -> dict[str, Any]:
    """Read a JSON file with a value for each sequence.

    Raises:
        SwerveError: it cannot be read, or is no such table.
    """
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise SwerveError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise SwerveError(f"{file}: is not JSON ({error})") from error
    if not isinstance(content, dict) or not content:
        raise SwerveError(f"{file}: must be a JSON object with a value for each sequence")
    return content


def read_clusters(file: Path) -> dict[str, str]:
    """Read the scenario cluster of each sequence: a name, or an object with `scenario_cluster`.

    Raises:
        SwerveError: it cannot be read, or a value is something else.
    """
    clusters = {}
    for sequence, value in read_json_table(file).items():
        name = value.get(_CLUSTER) if isinstance(value, dict) else value
        if not isinstance(name, str) or not name:
            raise SwerveError(f"{file}: {sequence}: has no cluster, a name or an object with {_CLUSTER!r}")
        clusters[sequence] = name
    return clusters


def clusters_of(sequences: Sequence[str], clusters: Mapping[str, str], file: Path) -> list[str]:
    """Return the cluster of each sequence.

    Raises:
        SwerveError: the file does not name some of them.
    """
    if missing := [name for name in dict.fromkeys(sequences) if name not in clusters]:
        examples = ", ".join(missing[:_SHOWN])
        raise SwerveError(f"{file}: has no cluster for {len(missing)} rated sequences, such as {examples}")
    return [clusters[name] for name in sequences]


def cluster_means(
    values: Float[np.ndarray, "n c"], clusters: Iterable[str]
) -> tuple[dict[str, Float[np.ndarray, "c"]], Float[np.ndarray, "c"]]:
    """Return the mean of each column by cluster, in order of their names, and the mean of these means.

    Values that are NaN do not count; a mean of none is NaN.
    """
    names = np.array(list(clusters))
    means = {str(name): _mean(values[names == name]) for name in np.unique(names)}
    return means, _mean(np.stack(list(means.values())))


def _mean(values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "c"]:
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means: Float[np.ndarray, "c"] = np.where(count, sums / np.maximum(count, 1), np.nan)
    return means
