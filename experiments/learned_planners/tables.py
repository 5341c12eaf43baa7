"""Tables of the experiment, written into their page between two comments."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float

from experiments.learned_planners.arms import ARMS, COMPARED, REFERENCES
from experiments.tables import commit_here, replaced

_DRAWS: Final = 4000
LOOP: Final = "closed loop"
_OPEN: Final = ("two stages", "stage one", "stage two", "NC", "DAC")
_CHOICE: Final = ("chosen", "best", "mean", "rank correlation", "chosen, rasters", "chosen, other photographs")
_DIFFERENCES: Final = ("two stages", "stage two", "NC", "DAC", "chosen", "best", "closed loop")

Note = dict[str, Any]


class Results:
    """Values of all arms by seed and scene group, of the seeds that all arms have."""

    def __init__(self, runs: Path) -> None:
        self.notes: dict[tuple[str, int | None], Note] = {}
        for path in (runs / "open.jsonl", *sorted(runs.glob("closed*.jsonl")), runs / "samples.jsonl"):
            for line in path.read_text().splitlines() if path.is_file() else ():
                note = json.loads(line)
                known = self.notes.setdefault((note["arm"], note["seed"]), {"values": {}, "logs": note["logs"]})
                for name, values in note.pop("values", {}).items():
                    known["values"][name] = _merged(known["values"].get(name), values)
                known |= note if path.name == "open.jsonl" else {key: note[key] for key in ("samples",) if key in note}
        self._compare_alike()
        self.logs = np.array(next(iter(self.notes.values()))["logs"])

    def _compare_alike(self) -> None:
        """Leave closed-loop scores out of scene groups that were not driven by all runs."""
        driven = {
            key: np.array(note["values"]["closed loop"]) for key, note in self.notes.items() if LOOP in note["values"]
        }
        lost = np.any([np.isnan(one) for one in driven.values()], axis=0)
        for key, values in driven.items():
            self.notes[key]["values"][LOOP] = np.where(lost, np.nan, values).tolist()

    def seeds(self, arm: str, measure: str) -> list[int]:
        """Return the seeds with a measure of an arm."""
        return sorted(
            seed
            for (name, seed), note in self.notes.items()
            if name == arm and seed is not None and measure in note["values"]
        )

    def values(self, arm: str, measure: str, seeds: Sequence[int]) -> Float[np.ndarray, "s c"] | None:
        """Return values by seed and scene group; of a reference the same for all seeds; None if there are none."""
        keys = [(arm, None)] * len(seeds) if arm in REFERENCES else [(arm, seed) for seed in seeds]
        if not keys or any(measure not in self.notes.get(key, {"values": {}})["values"] for key in keys):
            return None
        return np.array([self.notes[key]["values"][measure] for key in keys], dtype=float)

    def common(self, measure: str, *arms: str) -> list[int]:
        """Return the seeds that all the arms have of a measure; one, for references alone."""
        learned = [set(self.seeds(arm, measure)) for arm in arms if arm not in REFERENCES]
        return sorted(set.intersection(*learned)) if learned else [0]


def _merged(known: Sequence[float] | None, more: Sequence[float]) -> list[float]:
    """Return the values of all scene groups; those of closed loop come from several files."""
    return (
        list(more)
        if known is None
        else [other if np.isnan(one) else one for one, other in zip(known, more, strict=True)]
    )


def interval_of(values: Float[np.ndarray, "s c"], logs: np.ndarray) -> tuple[float, float, float]:
    """Return mean and 95 % interval of a bootstrap over seeds and logs jointly; scene groups with NaN are left out."""
    counted: Bool[np.ndarray, "c"] = ~np.isnan(values).any(axis=0)
    values, logs = values[:, counted], logs[counted]
    names, codes = np.unique(logs, return_inverse=True)
    sums = np.stack([values[:, codes == code].sum(axis=1) for code in range(len(names))], axis=1)
    sizes = np.bincount(codes)
    generator = np.random.default_rng(np.random.Philox(0))
    seeds = generator.integers(0, len(values), (_DRAWS, len(values)))
    drawn = generator.integers(0, len(names), (_DRAWS, len(names)))
    totals = np.take_along_axis(sums[seeds].mean(axis=1), drawn, axis=1).sum(axis=1)
    low, high = np.quantile(totals / sizes[drawn].sum(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def _cell(results: Results, arm: str, measure: str, with_interval: bool = True) -> str:
    values = results.values(arm, measure, results.common(measure, arm))
    if values is None or np.isnan(values).all():
        return ""
    mean, low, high = interval_of(values, results.logs)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if with_interval else f"{mean:.3f}"


def _difference(results: Results, arm: str, other: str, measure: str) -> str:
    seeds = results.common(measure, arm, other)
    pair = [results.values(name, measure, seeds) for name in (arm, other)]
    if pair[0] is None or pair[1] is None:
        return ""
    mean, low, high = interval_of(pair[0] - pair[1], results.logs)
    return f"{mean:+.3f} [{low:.3f}, {high:.3f}]"


def _table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows if any(cells)]


def _present(results: Results) -> list[str]:
    there = {name for name, _ in results.notes}
    return [name for name in (*REFERENCES, *(arm.name for arm in ARMS)) if name in there]


def benchmark_table(results: Results) -> list[str]:
    """Return scores on the benchmark."""
    columns = (*_OPEN, "closed loop")
    rows = []
    for arm in _present(results):
        cells = [_cell(results, arm, one, one in ("two stages", "stage two", "closed loop")) for one in columns]
        seeds = "" if arm in REFERENCES else str(len(results.seeds(arm, "two stages")))
        rows.append((arm, [*cells, seeds]))
    return _table(_title(results), (*columns, "seeds"), rows)


def choice_table(results: Results) -> list[str]:
    """Return what the scorers choose on follow-ups, and their calibration."""
    rows = []
    for arm in (one for one in _present(results) if one not in REFERENCES):
        errors = [results.notes[arm, seed]["calibration"] for seed in results.seeds(arm, "chosen")]
        names = ("no_at_fault_collisions", "drivable_area_compliance", "ego_progress")
        cells = [f"{np.mean([one[name] for one in errors]):.3f}" for name in names]
        rows.append((arm, [*(_cell(results, arm, one, one == "chosen") for one in _CHOICE), *cells]))
    columns = (*_CHOICE, "calibration error: NC", "DAC", "progress")
    return _table("follow-ups, log replay", columns, rows)


def difference_table(results: Results) -> list[str]:
    """Return paired differences between arms."""
    rows = []
    for arm, other in COMPARED:
        rows.append((f"{arm} less {other}", [_difference(results, arm, other, one) for one in _DIFFERENCES]))
    return _table("difference", _DIFFERENCES, rows)


def sample_table(results: Results) -> list[str]:
    """Return the scores of the chosen and the best proposal on samples of training towns and of others."""
    rows, columns = [], []
    for arm in ARMS:
        notes = [
            note["samples"] for (name, seed), note in results.notes.items() if name == arm.name and "samples" in note
        ]
        if notes:
            columns = list(notes[0])
            rows.append((arm.name, [f"{np.mean([one[column] for one in notes]):.3f}" for column in columns]))
    return _table("samples of the sets", columns, rows)


def cost_table(results: Results) -> list[str]:
    """Return sizes, steps and CPU time."""
    rows = []
    for arm in ARMS:
        notes = [results.notes[arm.name, seed] for seed in results.seeds(arm.name, "two stages")]
        if notes:
            seconds = [f"{np.mean([one['cpu'][part] for one in notes]):.0f}" for part in ("training", "evaluation")]
            sizes = [f"{notes[0][name]:,}" for name in ("weights", "trained weights")]
            rows.append((arm.name, [*sizes, str(notes[0]["steps"]), str(arm.batch), *seconds]))
    columns = ("weights", "of these trained", "steps", "samples a step", "training, CPU s", "evaluation, CPU s")
    return _table("", columns, rows)


def _title(results: Results) -> str:
    return f"{len(results.logs)} scene groups of {len(set(results.logs))} towns"


TABLES: Final = {
    "learned_benchmark": benchmark_table,
    "learned_differences": difference_table,
    "learned_choice": choice_table,
    "learned_samples": sample_table,
    "learned_costs": cost_table,
}


def write_page(runs: Path, page: Path) -> None:
    """Write all tables into the page, and print them."""
    results, text = Results(runs), page.read_text()
    for name, made in TABLES.items():
        lines = made(results)
        print("\n".join(lines), end="\n\n")
        text = replaced(text, name, lines)
    note = ["*Written at " + commit_here() + " by `python -m experiments.learned_planners tables RUNS PAGE`.*"]
    page.write_text(replaced(text, "learned_commit", note))
