"""Store of exact sub-scores of a fixed vocabulary, computed once per sample: 3 bytes per proposal."""

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from swerve.data.storage.files import make_folder
from swerve.eval.scoring.score import PreparedContext, score_prepared
from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning.vocabulary import PROFILES, profile_poses
from swerve.scenes import SwerveError

NAME: Final = "vocabulary-scores.sqlite"
_PROGRESS: Final = int(Metric.EGO_PROGRESS)
# All sub-scores but progress are 0, 1/2 or 1: two bits each, in the lowest 14; then ten bits of progress.
_STEPS: Final = 1023
_SHIFT: Final = 14
_DISCRETE: Final = tuple(column for column in range(len(Metric)) if column != _PROGRESS)


def pack(metrics: Float[np.ndarray, "n 8"]) -> UInt8[np.ndarray, "n 3"]:
    """Pack sub-scores into three bytes a proposal; progress is rounded to 1/1023, the others are exact.

    Raises:
        ValueError: a sub-score other than progress is not 0, 1/2 or 1, or progress is not between 0 and 1.
    """
    doubled = 2 * metrics[:, _DISCRETE]
    if not (np.isin(doubled, (0, 1, 2)).all() and (np.abs(metrics[:, _PROGRESS] - 0.5) <= 0.5).all()):
        raise ValueError("sub-scores must be 0, 1/2 or 1, and progress between 0 and 1")
    code = np.rint(metrics[:, _PROGRESS] * _STEPS).astype(np.uint32) << _SHIFT
    for place, column in enumerate(doubled.astype(np.uint32).T):
        code |= column << (2 * place)
    return np.stack([code >> shift for shift in (0, 8, 16)], axis=1).astype(np.uint8)


def unpack(packed: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 8"]:
    """Unpack the result of `pack`."""
    code = packed.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    metrics = np.empty((len(packed), len(Metric)), np.float32)
    for place, column in enumerate(_DISCRETE):
        metrics[:, column] = ((code >> np.uint32(2 * place)) & np.uint32(3)) / 2
    metrics[:, _PROGRESS] = (code >> np.uint32(_SHIFT)) / _STEPS
    return metrics


class ScoreStore:
    """Sub-scores of a vocabulary's proposals by sample, in a file; several processes may share it.

    Args:
        folder: folder of the file.
        anchors: anchors of the vocabulary.
        profiles: whether the profiles are proposals, too.
        interval: seconds between poses.
        dataset: what identifies the set, whose samples' keys are used.
    """

    def __init__(
        self, folder: Path, anchors: Float[Tensor, "a k 3"], profiles: bool, interval: float, dataset: str
    ) -> None:
        self._anchors, self._profiles, self._interval = anchors.cpu().float(), profiles, interval
        self.size = len(anchors) + len(PROFILES) * profiles
        content = self._anchors.numpy().tobytes() + repr((profiles, PROFILES, interval, dataset)).encode()
        self._vocabulary = hashlib.sha256(content).hexdigest()
        make_folder(folder)
        self._path, self._lock = folder / NAME, threading.Lock()
        # To be held from `missing` to `add`, by threads that must not score a sample twice.
        self.adding = threading.Lock()
        self._file = sqlite3.connect(self._path, timeout=600.0, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS scores (vocabulary TEXT, sample TEXT, packed BLOB, "
            "PRIMARY KEY (vocabulary, sample)) WITHOUT ROWID"
        )

    def missing(self, keys: Sequence[str]) -> list[int]:
        """Return the rows of samples without stored scores."""
        known = self._read(keys)
        return [row for row, key in enumerate(keys) if key not in known]

    def add(
        self,
        keys: Sequence[str],
        contexts: Sequence[PreparedContext | None],
        motion: Float[Tensor, "b 2"],
        threads: int = 1,
    ) -> None:
        """Score the vocabulary in samples' contexts and store the sub-scores; None marks samples without one."""
        plans = self._proposals(motion)
        with ThreadPoolExecutor(threads) as pool:
            packed = list(pool.map(self._packed, contexts, plans))
        rows = [(self._vocabulary, key, one) for key, one in zip(keys, packed, strict=True)]
        with self._lock, self._file:
            self._file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)

    def scores(self, keys: Sequence[str]) -> tuple[Float[np.ndarray, "b a 8"], Bool[np.ndarray, "b"]]:
        """Return the sub-scores of samples' proposals, and the mask of samples with a context; others are zero.

        Raises:
            SwerveError: a sample has none, or the file is damaged.
        """
        found, known = self._read(keys), np.zeros(len(keys), bool)
        metrics = np.zeros((len(keys), self.size, len(Metric)), np.float32)
        for row, key in enumerate(keys):
            content = found.get(key)
            if content is None or len(content) not in (0, 3 * self.size):
                raise SwerveError(f"{self._path}: the scores of sample {key} are damaged. Delete the file")
            if content:
                metrics[row] = unpack(np.frombuffer(content, np.uint8).reshape(-1, 3))
                known[row] = True
        return metrics, known

    def _proposals(self, motion: Float[Tensor, "b 2"]) -> Float[np.ndarray, "b a k 3"]:
        poses = self._anchors.expand(len(motion), -1, -1, -1)
        if self._profiles:
            more = profile_poses(motion.float(), self._anchors.shape[1], self._interval)
            poses = torch.cat([poses, more], dim=1)
        return poses.double().numpy()

    def _packed(self, context: PreparedContext | None, plans: Float[np.ndarray, "a k 3"]) -> bytes:
        if context is None:
            return b""
        return pack(score_prepared(context, plans, interval=self._interval).metrics).tobytes()

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(keys))
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT sample, packed FROM scores WHERE vocabulary = ? AND sample IN ({marks})"
        with self._lock:
            return dict(self._file.execute(query, [self._vocabulary, *wanted]).fetchall())
