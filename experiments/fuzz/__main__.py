"""Mutate valid files, and see what their readers say: `python -m experiments.fuzz --reader all --cases 200 --seed 0`.

Each case changes one of a reader's files. A reader must either accept what it reads and return what is valid, or raise
one error that names the file and the field; anything else is a failure: an exception of a library, memory or time
beyond the limits, a crash. Failures are listed with the command that repeats them.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.fuzz.child import MEMORY_BYTES, SECONDS, Limits, prepare, run_case, run_cases
from experiments.fuzz.outcome import CLASSES, GOOD, Outcome
from experiments.fuzz.reader import write_case
from experiments.fuzz.readers import READERS


def main(arguments: Sequence[str]) -> int:
    """Run the cases, print the table, and return 1 if there was a failure."""
    args = _parsed(arguments)
    names = list(READERS) if args.reader == "all" else args.reader.split(",")
    if args.case is not None:
        return repeat(names[0], args.seed, args.case, args.keep)
    limits, found = Limits(args.memory, args.seconds), dict[str, list[Outcome]]()
    for name in names:
        start = time.perf_counter()
        found[name] = list(run_cases(name, args.seed, range(args.first, args.first + args.cases), limits))
        print(f"{name}: {args.cases} cases in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(table(found))
    failures = [(name, one) for name, outcomes in found.items() for one in outcomes if one.kind not in GOOD]
    for name, one in failures[: args.shown]:
        print(f"{name} case {one.case}, {one.kind}, {one.changed}: {one.told}")
        print(f"    python -m experiments.fuzz --reader {name} --seed {args.seed} --case {one.case}")
    if args.out:
        args.out.write_text(json.dumps(report(found, args.seed), indent=1) + "\n")
    return 1 if failures else 0


def table(found: dict[str, list[Outcome]]) -> str:
    """Return a table of readers and the numbers of cases in each class."""
    counts = {name: Counter(one.kind for one in outcomes) for name, outcomes in found.items()}
    width = max(map(len, found))
    lines = [f"{'reader':<{width}}  {'cases':>6}  " + "  ".join(CLASSES)]
    for name, own in counts.items():
        cells = "  ".join(f"{own[kind]:>{len(kind)}}" for kind in CLASSES)
        lines.append(f"{name:<{width}}  {own.total():>6}  {cells}")
    return "\n".join(lines)


def report(found: dict[str, list[Outcome]], seed: int) -> dict[str, Any]:
    """Return counts and failures as JSON values."""
    return {
        "seed": seed,
        "readers": {
            name: {kind: sum(one.kind == kind for one in outcomes) for kind in CLASSES}
            for name, outcomes in found.items()
        },
        "failures": [
            {"reader": name, "case": one.case, "class": one.kind, "changed": one.changed, "told": one.told}
            for name, outcomes in found.items()
            for one in outcomes
            if one.kind not in GOOD
        ],
    }


def repeat(name: str, seed: int, case: int, keep: Path | None) -> int:
    """Run one case in this process, without limits, and print its traceback; keep its files in a folder if given."""
    with tempfile.TemporaryDirectory() as scratch:
        prepare(READERS[name], Path(scratch) / "seeds")
        if keep is not None:
            print(write_case(READERS[name], Path(scratch) / "seeds", keep, seed, case))
            try:
                READERS[name].read(keep)
            except Exception:
                traceback.print_exc()
        outcome = run_case(READERS[name], Path(scratch), seed, case)
    print(f"{outcome.kind}, {outcome.changed}: {outcome.told}")
    return 0 if outcome.kind in GOOD else 1


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.fuzz", description=__doc__)
    parser.add_argument("--reader", default="all", help=f"names, separated by commas, or all: {', '.join(READERS)}")
    parser.add_argument("--cases", type=int, default=200, help="of each reader (200)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="repeat this case alone, with its traceback")
    parser.add_argument("--keep", type=Path, help="with --case: folder that gets its files")
    parser.add_argument("--memory", type=int, default=MEMORY_BYTES, help="bytes that a case may take (2 GiB)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that a case may take (20)")
    parser.add_argument("--shown", type=int, default=20, help="failures that are printed (20)")
    parser.add_argument("--out", type=Path, help="JSON file for counts and all failures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
