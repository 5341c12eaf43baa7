"""Arrow IPC files as py123d 0.7 writes them: columns named after the modality, its description in the schema."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import scipy
from jaxtyping import Float

from swerve.data.storage.files import commit, make_folder, temporary_path
from swerve.data.storage.msgpack import pack

# Release of py123d whose files these are.
VERSION: Final = "0.7.0"
POSE: Final = pa.list_(pa.float64(), 7)


def write_table(
    path: Path, columns: Mapping[str, pa.DataType], batches: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> None:
    """Write a table batch by batch, atomically.

    Args:
        path: the file.
        columns: type of each column, in order.
        batches: values of the columns, rows that are kept in memory together.
        metadata: description.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(path.parent)
    schema = pa.schema(list(columns.items()), metadata={b"metadata": pack(dict(metadata))})
    temporary = temporary_path(path)
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                arrays = [pa.array(batch[name], kind) for name, kind in columns.items()]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    except BaseException:
        temporary.unlink(missing_ok=True)  # such as where a photo of the log cannot be read
        raise
    commit(path)


def pose_rows(poses: Float[np.ndarray, "n 4 4"], shift: Float[np.ndarray, "3"]) -> list[list[float]]:
    """Return poses as x, y, z, qw, qx, qy, qz; positions are moved by `shift`."""
    quaternions = scipy.spatial.transform.Rotation.from_matrix(poses[:, :3, :3]).as_quat(scalar_first=True)
    rows: list[list[float]] = np.column_stack([poses[:, :3, 3] + shift, quaternions]).tolist()
    return rows
