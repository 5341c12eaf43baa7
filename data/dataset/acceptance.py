"""Acceptance of recoveries by offset, and the importance weights that undo the effect of rejection."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from rich.table import Table

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord
from swerve.scenes.viewpoints import ViewpointKind
from swerve.scenes.viewpoints.recovery import SCENE_REASONS
from swerve.scenes.viewpoints.recovery_offsets import offset_bins, offsets_at, stratum_of

_KIND = ViewpointKind.RECOVERY.value
# (split, bin of lateral offset, bin of heading)
_Stratum = tuple[str, int, int]


class Acceptance:
    """Counts of the recoveries that were tried and accepted, by split, lateral offset and heading.

    Bins are equally probable in the requested distribution (`offset_bins`). Scenes that reject every sample
    ("standing", "rough_log") do not count.
    """

    def __init__(self, options: AugmentOptions, records: Iterable[ShardRecord]) -> None:
        self._recovery, self._seed = options.recovery, options.seed
        self._tried, self._accepted = Counter[_Stratum](), Counter[_Stratum]()
        for record in records:
            rows = [(row["token"], row["index"]) for row in record.rows if row["kind"] == _KIND]
            failed = [
                (token, index)
                for token, kind, index, reason in record.rejections
                if kind == _KIND and reason not in SCENE_REASONS
            ]
            accepted = [self._stratum(record, *one) for one in rows]
            self._accepted.update(accepted)
            self._tried.update(accepted + [self._stratum(record, *one) for one in failed])

    def weights(self, record: ShardRecord) -> list[float]:
        """Return the weight of each row: requested over accepted density of its stratum, 1 for other kinds.

        The mean over a split's recoveries is 1. Strata without accepted recoveries are not compensated.
        """
        mine = {stratum: count for stratum, count in self._accepted.items() if stratum[0] == record.split}
        mean = sum(mine.values()) / max(len(mine), 1)
        return [
            mean / mine[self._stratum(record, row["token"], row["index"])] if row["kind"] == _KIND else 1.0
            for row in record.rows
        ]

    def summary(self) -> dict[str, Any]:
        """Return tried and accepted counts by lateral offset in metres, heading in degrees, and side."""
        lateral, heading = (self._edges(axis) for axis in (0, 1))
        return {
            "lateral": [self._bin(1, place, edges) for place, edges in enumerate(lateral)],
            "heading": [self._bin(2, place, edges) for place, edges in enumerate(np.rad2deg(heading).tolist())],
            "right": self._counts(lambda stratum: self._side(stratum) == -1),
            "left": self._counts(lambda stratum: self._side(stratum) == 1),
            "empty_strata": sum(self._tried[one] > 0 and not self._accepted[one] for one in self._tried),
        }

    def _stratum(self, record: ShardRecord, token: str, index: int) -> _Stratum:
        return record.split, *stratum_of(self._recovery, self._seed, record.log, token, index)

    def _side(self, stratum: _Stratum) -> int:
        """Return -1 to the right of the path, 1 to the left, 0 without lateral offsets."""
        bins = offset_bins(self._recovery)[0]
        return 0 if bins == 1 else (1 if 2 * stratum[1] >= bins else -1)

    def _edges(self, axis: int) -> list[list[float]]:
        """Return the ends of the bins of lateral offset (0, metres) or heading (1, radians)."""
        shares = np.repeat(np.linspace(0.0, 1.0, offset_bins(self._recovery)[axis] + 1)[:, None], 4, axis=1)
        ends = offsets_at(self._recovery, shares)[:, 2 * axis]
        edges: list[list[float]] = np.stack([ends[:-1], ends[1:]], axis=1).tolist()
        return edges

    def _bin(self, place: int, number: int, edges: list[float]) -> dict[str, Any]:
        return {"from": edges[0], "to": edges[1], **self._counts(lambda stratum: stratum[place] == number)}

    def _counts(self, chosen: Callable[[_Stratum], bool]) -> dict[str, int]:
        pairs = (("tried", self._tried), ("accepted", self._accepted))
        return {name: sum(n for one, n in counts.items() if chosen(one)) for name, counts in pairs}


def acceptance_table(acceptance: dict[str, Any]) -> Table:
    """Return the summary's "acceptance" as a table."""
    table = Table("recoveries", "tried", "accepted", "share", box=None)
    rows = [(f"lateral {one['from']:+.2f} to {one['to']:+.2f} m", one) for one in acceptance["lateral"]]
    rows += [(f"heading {one['from']:+.1f} to {one['to']:+.1f} deg", one) for one in acceptance["heading"]]
    rows += [(side, acceptance[side]) for side in ("left", "right")]
    for name, one in rows:
        share = f"{one['accepted'] / one['tried']:.0%}" if one["tried"] else ""
        table.add_row(name, str(one["tried"]), str(one["accepted"]), share)
    return table
