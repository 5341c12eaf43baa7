"""Compares PDM-Closed and reactive traffic with their second implementations in drawn scenes.

    python experiments/check_second_implementation.py --scenes 5000

Draws crowded random logs, and with --towns one moment of a town in every ten. Ends with status 1 if anything differs.
"""

import argparse
import sys
from collections import Counter

from rich.progress import track

from tests.support.second_implementation import compare, crowded_town


def main() -> int:
    """Prints counts, and the seeds of the scenes in which something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--towns", action="store_true", help="every tenth scene is in a town")
    options = parser.parse_args()
    counts, bad = Counter(), []
    for seed in track(range(options.first, options.first + options.scenes), "Comparing scenes"):
        found = compare(seed, crowded_town(seed) if options.towns and seed % 10 == 9 else None)
        counts += found
        if any(number and name.endswith("wrong") for name, number in found.items()):
            bad.append(seed)
    for name, number in sorted(counts.items()):
        print(f"{number:9d} {name}")
    print(f"{len(bad)} of {options.scenes} scenes differ", *bad[:40])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
