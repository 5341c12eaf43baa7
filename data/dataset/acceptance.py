"""Acceptance of recoveries and follow-ups by offset, and the importance weights that undo the effect of rejection."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord
from swerve.scenes.viewpoints import ViewpointKind
from swerve.scenes.viewpoints.follow_up import start_draws
from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions
from swerve.scenes.viewpoints.recovery import SCENE_REASONS
from swerve.scenes.viewpoints.recovery_offsets import offset_bins, offsets_at, stratum_of

# Both ends of the bin of follow-ups that arrive at free speed.
_FREE = -1.0
# (split, bin along the first axis, bin along the second)
_Stratum = tuple[str, int, int]


@dataclass(frozen=True)
class _Kind:
    """Strata of one kind of random viewpoints.

    Attributes:
        scene_reasons: reasons of rejection that hold for a scene whatever the draw; these do not count.
        stratum: bins of a viewpoint by (log, token of the scene that it is drawn in, index).
        token: returns the token of that scene from a row's.
        names: of the two axes, the first of them signed.
        edges: ends of the bins of each axis, in metres, degrees or a share.
    """

    scene_reasons: tuple[str, ...]
    stratum: Callable[[str, str, int], tuple[int, int]]
    token: Callable[[str], str]
    names: tuple[str, str]
    edges: tuple[list[list[float]], list[list[float]]]


class Acceptance:
    """Counts of the recoveries and follow-ups that were tried and accepted, by split and offsets.

    Bins are equally probable in the requested distribution (`offset_bins`, `start_bins`): of recoveries by lateral
    offset and heading, of follow-ups by longitudinal offset and speed. Scenes that reject every sample, such as
    "standing", do not count.
    """

    def __init__(self, options: AugmentOptions, records: Iterable[ShardRecord]) -> None:
        self._kinds = {
            ViewpointKind.RECOVERY.value: _recovery(options),
            ViewpointKind.FOLLOW_UP.value: _follow_up(options),
        }
        self._tried = {kind: Counter[_Stratum]() for kind in self._kinds}
        self._accepted = {kind: Counter[_Stratum]() for kind in self._kinds}
        self._way_backs = Counter[tuple[_Stratum, bool]]()
        for record in records:
            for kind in self._kinds:
                self._add(record, kind)

    def _add(self, record: ShardRecord, kind: str) -> None:
        rows = [row for row in record.rows if row["kind"] == kind]
        failed = [
            (token, index)
            for token, other, index, reason in record.rejections
            if other == kind and reason not in self._kinds[kind].scene_reasons
        ]
        accepted = [self._of_row(record, row) for row in rows]
        self._accepted[kind].update(accepted)
        self._tried[kind].update(accepted)
        self._tried[kind].update((record.split, *self._kinds[kind].stratum(record.log, *one)) for one in failed)
        if kind == ViewpointKind.FOLLOW_UP.value:
            pairs = zip(accepted, rows, strict=True)
            self._way_backs.update((one, bool(json.loads(row["parameters"])["way_back"])) for one, row in pairs)

    def weights(self, record: ShardRecord) -> list[float]:
        """Return the weight of each row: requested over accepted density of its stratum, 1 for other kinds.

        The mean over a split's recoveries is 1, and over its follow-ups. Strata without any that is accepted are not
        compensated.
        """
        means = dict[str, float]()
        for kind, accepted in self._accepted.items():
            mine = [count for stratum, count in accepted.items() if stratum[0] == record.split]
            means[kind] = sum(mine) / max(len(mine), 1)
        return [
            means[row["kind"]] / self._accepted[row["kind"]][self._of_row(record, row)] if row["kind"] in means else 1.0
            for row in record.rows
        ]

    def summary(self) -> dict[str, Any]:
        """Return tried and accepted counts: of recoveries by lateral offset in metres, heading in degrees, and side.

        Under "follow_up": by longitudinal offset in metres and by speed as a share of the logged one (both ends are -1
        for free speed), with the number of those accepted that have a way back.
        """
        recovery, follow_up = ViewpointKind.RECOVERY.value, ViewpointKind.FOLLOW_UP.value
        bins = len(self._kinds[recovery].edges[0])
        result = {
            **self._axes(recovery),
            "right": self._counts(recovery, lambda one: _side(one, bins) == -1),
            "left": self._counts(recovery, lambda one: _side(one, bins) == 1),
            "empty_strata": self._empty(recovery),
        }
        if self._tried[follow_up]:
            result["follow_up"] = {**self._axes(follow_up), "empty_strata": self._empty(follow_up)}
        return result

    def _of_row(self, record: ShardRecord, row: dict[str, Any]) -> _Stratum:
        kind = self._kinds[row["kind"]]
        return record.split, *kind.stratum(record.log, kind.token(row["token"]), row["index"])

    def _axes(self, kind: str) -> dict[str, Any]:
        axes = zip(self._kinds[kind].names, self._kinds[kind].edges, strict=True)
        return {
            name: [self._bin(kind, axis, number, ends) for number, ends in enumerate(edges)]
            for axis, (name, edges) in enumerate(axes, 1)
        }

    def _bin(self, kind: str, axis: int, number: int, ends: list[float]) -> dict[str, Any]:
        return {"from": ends[0], "to": ends[1], **self._counts(kind, lambda one: one[axis] == number)}

    def _counts(self, kind: str, chosen: Callable[[_Stratum], bool]) -> dict[str, int]:
        pairs = (("tried", self._tried[kind]), ("accepted", self._accepted[kind]))
        counts = {name: sum(n for one, n in known.items() if chosen(one)) for name, known in pairs}
        if kind == ViewpointKind.FOLLOW_UP.value:
            counts["way_back"] = sum(n for (one, has), n in self._way_backs.items() if has and chosen(one))
        return counts

    def _empty(self, kind: str) -> int:
        return sum(self._tried[kind][one] > 0 and not self._accepted[kind][one] for one in self._tried[kind])


def _recovery(options: AugmentOptions) -> _Kind:
    recovery, seed = options.recovery, options.seed
    bins = offset_bins(recovery)
    ends = [offsets_at(recovery, np.repeat(np.linspace(0.0, 1.0, n + 1)[:, None], 4, axis=1)) for n in bins]
    return _Kind(
        SCENE_REASONS,
        lambda *key: stratum_of(recovery, seed, *key),
        lambda token: token,
        ("lateral", "heading"),
        (_pairs(ends[0][:, 0]), _pairs(np.rad2deg(ends[1][:, 2]))),
    )


def _follow_up(options: AugmentOptions) -> _Kind:
    drawn, seed = options.follow_up, options.seed
    bins = start_draws.start_bins(drawn)
    along = np.linspace(-drawn.longitudinal, drawn.longitudinal, bins[0] + 1)
    free = int(drawn.free_speed)
    speeds = _pairs(np.linspace(drawn.slowest, drawn.fastest, bins[1] - free + 1))
    later = round(FollowUpOptions().horizon * 1e6)
    return _Kind(
        start_draws.SCENE_REASONS,
        lambda log, token, index: start_draws.start_stratum(seed, log, token, index, drawn),
        lambda token: str(int(token) - later),
        ("longitudinal", "speed_share"),
        (_pairs(along), [[_FREE, _FREE]] * free + speeds),
    )


def _pairs(ends: np.ndarray) -> list[list[float]]:
    edges: list[list[float]] = np.stack([ends[:-1], ends[1:]], axis=1).tolist()
    return edges


def _side(stratum: _Stratum, bins: int) -> int:
    """Return -1 to the right of the path, 1 to the left, 0 without lateral offsets."""
    return 0 if bins == 1 else (1 if 2 * stratum[1] >= bins else -1)


def acceptance_tables(summary: dict[str, Any]) -> list[Table]:
    """Return the "acceptance" of a summary as tables, one for recoveries and one for follow-ups if there are any."""
    acceptance, tables = summary["acceptance"], list[Table]()
    if "recovery" in summary["samples_by_kind"]:
        rows = [(f"lateral {one['from']:+.2f} to {one['to']:+.2f} m", one) for one in acceptance["lateral"]]
        rows += [(f"heading {one['from']:+.1f} to {one['to']:+.1f} deg", one) for one in acceptance["heading"]]
        rows += [(side, acceptance[side]) for side in ("left", "right")]
        tables.append(_table("recoveries", rows))
    if follow_ups := acceptance.get("follow_up"):
        rows = [(f"along {one['from']:+.1f} to {one['to']:+.1f} m", one) for one in follow_ups["longitudinal"]]
        rows += [(_speeds(one), one) for one in follow_ups["speed_share"]]
        tables.append(_table("follow-ups", rows))
    return tables


def _speeds(one: dict[str, Any]) -> str:
    return "free speed" if one["from"] == _FREE else f"speed {one['from']:.0%} to {one['to']:.0%}"


def _table(what: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    columns = [name for name in ("tried", "accepted", "way_back") if name in rows[0][1]]
    table = Table(what, *(name.replace("_", " ") for name in columns), "share", box=None)
    for name, one in rows:
        share = f"{one['accepted'] / one['tried']:.0%}" if one["tried"] else ""
        table.add_row(name, *(str(one[column]) for column in columns), share)
    return table
