"""Tracks that two parts of a context share: those of 4 s begin as those of 5 s do, but for few."""

import numpy as np
from jaxtyping import Bool, Int

from swerve.eval.traffic.traffic import Traffic


def shared_tracks(traffic: Traffic, longer: Traffic) -> Int[np.ndarray, "m"]:
    """Return the row of each track in the longer traffic, where its states are the same to the last bit, else -1."""
    steps, rows = len(traffic.present), {name: row for row, name in enumerate(longer.ids)}
    if len(longer.present) < steps:
        return np.full(len(traffic.ids), -1, np.int64)
    found = np.array([rows.get(name, -1) for name in traffic.ids], np.int64)
    known = np.flatnonzero(found >= 0)
    same = _is_same(traffic.of(known), longer.until(steps).of(found[known]))
    found[known[~same]] = -1
    return found


def join_tracks(own: Traffic, longer: Traffic, rows: Int[np.ndarray, "m"]) -> Traffic:
    """Return tracks of which some are those of the longer traffic, as `shared_tracks` gives their rows.

    Args:
        own: the other tracks, in their order.
        longer: at least as many steps, where any row is of it.
        rows: of each track in the longer traffic; -1 for the next of the others.
    """
    if not (rows >= 0).any():
        return own
    cut, count = longer.until(len(own.present)), len(longer.ids)
    both = Traffic(
        cut.ids + own.ids,
        np.concatenate([cut.classes, own.classes]),
        np.concatenate([cut.poses, own.poses], axis=1),
        np.concatenate([cut.velocities, own.velocities], axis=1),
        np.concatenate([cut.sizes, own.sizes]),
        np.concatenate([cut.present, own.present], axis=1),
    )
    return both.of(np.where(rows >= 0, rows, count - 1 + np.cumsum(rows < 0)))


def rows_problem(own: Traffic, longer: Traffic, rows: Int[np.ndarray, "m"]) -> str | None:
    """Return what is wrong with rows that come from a file; None if nothing is."""
    if len(rows) and not -1 <= rows.min() <= rows.max() < len(longer.ids):
        return f"has rows {rows.min()} to {rows.max()}, of {len(longer.ids)}"
    if (rows < 0).sum() != len(own.ids):
        return f"has {(rows < 0).sum()} tracks of its own, of {len(own.ids)}"
    if (rows >= 0).any() and len(longer.present) < len(own.present):
        return f"shares tracks of {len(longer.present)} steps, of {len(own.present)}"
    return None


def _is_same(one: Traffic, other: Traffic) -> Bool[np.ndarray, "m"]:
    """Return which tracks are the same to the last bit, also where they are not present."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("poses", "velocities", "present")]
    pairs = [(np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0)) for a, b in pairs]
    pairs += [(one.classes, other.classes), (one.sizes, other.sizes)]
    same = np.ones(len(one.ids), bool)
    for a, b in pairs:
        same &= (_bytes(a) == _bytes(b)).all(axis=1)
    return same


def _bytes(values: np.ndarray) -> np.ndarray:
    """Return the bytes of each row."""
    flat = np.ascontiguousarray(values).view(np.uint8)
    return flat.reshape(len(values), -1) if len(values) else np.zeros((0, 0), np.uint8)
