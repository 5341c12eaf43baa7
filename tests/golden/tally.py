"""Counts of compared values, one line per quantity."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Tally:
    """Comparisons so far: per quantity the number of values, of mismatches, and the largest difference."""

    lines: dict[str, list] = field(default_factory=dict)

    def close(self, quantity, where, mine, golden, tolerance=0.0):
        """Compares numbers; a tolerance of zero means equal. NaN (None in JSON) equals NaN only."""
        mine = np.atleast_1d(np.asarray(mine, dtype=float))
        golden = np.atleast_1d(np.asarray(golden, dtype=float))
        if mine.shape != golden.shape:
            return self._add(quantity, 1, 1, np.inf, tolerance, f"{where}: shape {mine.shape}, golden {golden.shape}")
        difference = np.where(np.isnan(mine) & np.isnan(golden), 0.0, np.abs(mine - golden))
        difference = np.where(np.isnan(difference), np.inf, difference)
        bad = int((difference > tolerance).sum())
        worst = float(difference.max(initial=0.0))
        place = np.unravel_index(difference.argmax(), difference.shape) if difference.size else ()
        example = f"{where} at {tuple(map(int, place))}: {mine[place]}, golden {golden[place]}" if bad else ""
        return self._add(quantity, difference.size, bad, worst, tolerance, example)

    def equal(self, quantity, where, mine, golden):
        """Compares lists entry by entry."""
        mine, golden = list(mine), list(golden)
        bad = sum(a != b for a, b in zip(mine, golden, strict=False)) + abs(len(mine) - len(golden))
        example = f"{where}: {[a for a in mine if a not in golden][:3]} / {[b for b in golden if b not in mine][:3]}"
        return self._add(quantity, max(len(mine), len(golden)), bad, float(bad > 0), 0.0, example if bad else "")

    def _add(self, quantity, count, bad, worst, tolerance, example):
        line = self.lines.setdefault(quantity, [0, 0, 0.0, tolerance, ""])
        line[0], line[1], line[2] = line[0] + count, line[1] + bad, max(line[2], worst)
        line[4] = line[4] or example

    @property
    def mismatches(self):
        """Values that differ by more than their tolerance."""
        return sum(line[1] for line in self.lines.values())

    def table(self):
        """Text: quantity, values, mismatches, largest difference, tolerance, first example."""
        rows = [f"{'quantity':<44}{'values':>9}{'wrong':>7}  largest difference (allowed)"]
        for quantity, (count, bad, worst, tolerance, example) in self.lines.items():
            rows.append(f"{quantity:<44}{count:>9}{bad:>7}  {worst:.1e} ({tolerance:.0e}) {example}".rstrip())
        return "\n".join(rows)
