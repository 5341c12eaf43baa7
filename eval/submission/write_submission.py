"""Writing of submission files: pickles of NAVSIM's classes, written without NAVSIM and for any version of numpy.

A pickle is a program for a small stack machine; this module writes the instructions (protocol 4, see the module
pickletools) that Python 3.9 with numpy 1 writes for the same objects. It names `numpy.core`, which both versions of
numpy have, where numpy 2 itself would name `numpy._core`, which the server's does not have.
"""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.files import make_folder, write_atomically
from swerve.data.storage.write_pickle import encode_bytes, encode_float, encode_integer, encode_text
from swerve.eval.submission.submission import Predictions, Submission, SubmittedTrajectory

TRAJECTORY: Final = ("navsim.common.dataclasses", "Trajectory")
SAMPLING: Final = ("nuplan.planning.simulation.trajectory.trajectory_sampling", "TrajectorySampling")
_RECONSTRUCT: Final = ("numpy.core.multiarray", "_reconstruct")
_ARRAY: Final = ("numpy", "ndarray")
_DTYPE: Final = ("numpy", "dtype")
# Everything that a file names, in the order in which the unpickler remembers it.
NAMES: Final = (TRAJECTORY, SAMPLING, _RECONSTRUCT, _ARRAY, _DTYPE)


def write_submission(submission: Submission, path: str | Path) -> None:
    """Write a submission, atomically.

    Raises:
        SwerveError: the folder cannot be created.
    """
    path = Path(path)
    make_folder(path.parent)
    write_atomically(path, pickled_submission(submission))


def pickled_submission(submission: Submission) -> bytes:
    """Return the bytes of a submission file."""
    content: dict[str, bytes] = {key: encode_text(value) for key, value in submission.info.by_key().items()}
    content |= {key: _list([_predictions(value)]) for key, value in submission.predictions.items()}
    head = pickle.PROTO + bytes([4]) + b"".join(_remembered(*name) for name in NAMES)
    return head + _dict(content) + pickle.STOP


def _remembered(module: str, name: str) -> bytes:
    """Find a class or function, remember it under the next number, and leave the stack as it was."""
    return encode_text(module) + encode_text(name) + pickle.STACK_GLOBAL + pickle.MEMOIZE + pickle.POP


def _named(name: tuple[str, str]) -> bytes:
    return pickle.BINGET + bytes([NAMES.index(name)])


def _predictions(predictions: Predictions) -> bytes:
    return _dict({token: _trajectory(trajectory) for token, trajectory in predictions.items()})


def _trajectory(trajectory: SubmittedTrajectory) -> bytes:
    sampling = {
        "num_poses": encode_integer(len(trajectory.poses)),
        "time_horizon": encode_float(trajectory.horizon),
        "interval_length": encode_float(trajectory.interval),
    }
    state = {"poses": _array(trajectory.poses), "trajectory_sampling": _instance(SAMPLING, sampling)}
    return _instance(TRAJECTORY, state)


def _instance(name: tuple[str, str], state: Mapping[str, bytes]) -> bytes:
    """Make an object without calling its constructor, and set its attributes."""
    return _named(name) + pickle.EMPTY_TUPLE + pickle.NEWOBJ + _dict(state) + pickle.BUILD


def _array(array: Float[np.ndarray, "n 3"]) -> bytes:
    """Make an array as numpy's own pickles do: an empty one, then its version, shape, type, order and bytes."""
    code = "f8" if array.dtype == np.float64 else "f4"
    values = np.ascontiguousarray(array, dtype=f"<{code}")
    empty = (
        _named(_RECONSTRUCT) + _tuple([_named(_ARRAY), _tuple([encode_integer(0)]), encode_bytes(b"b")]) + pickle.REDUCE
    )
    shape = _tuple([encode_integer(length) for length in values.shape])
    return (
        empty
        + _tuple([encode_integer(1), shape, _dtype(code), pickle.NEWFALSE, encode_bytes(values.tobytes())])
        + pickle.BUILD
    )


def _dtype(code: str) -> bytes:
    """Make the type f4 or f8, little-endian."""
    dtype = _named(_DTYPE) + _tuple([encode_text(code), pickle.NEWFALSE, pickle.NEWTRUE]) + pickle.REDUCE
    none, unset = [pickle.NONE] * 3, [encode_integer(-1)] * 2
    return dtype + _tuple([encode_integer(3), encode_text("<"), *none, *unset, encode_integer(0)]) + pickle.BUILD


def _dict(items: Mapping[str, bytes]) -> bytes:
    pairs = b"".join(encode_text(key) + value for key, value in items.items())
    return pickle.EMPTY_DICT + pickle.MARK + pairs + pickle.SETITEMS


def _list(items: Iterable[bytes]) -> bytes:
    return pickle.EMPTY_LIST + pickle.MARK + b"".join(items) + pickle.APPENDS


def _tuple(items: Iterable[bytes]) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE
