"""Every golden file must come out the same; see check.py, which does the same from the command line."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check import check_file
from tally import Tally

NAMES = (
    "adcf7d18",
    "3b3570b4",
    "adcf7d18_variants",
    "3b3570b4_variants",
    "adcf7d18_reactive",
    "3b3570b4_reactive",
    "extended_comfort",
    "aggregation",
    "cli/two_stage_neutral",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_official_code(test_data, name):
    file = test_data.parent / "golden" / f"{name}.json.gz"
    if not file.is_file():
        pytest.skip(f"no golden file {file}")
    tally = Tally()
    check_file(file, tally)
    assert tally.lines
    assert not tally.mismatches, tally.table()


def test_tally_counts_what_differs():
    tally = Tally()
    tally.close("numbers", "here", [1.0, 2.0, float("nan")], [1.0, 2.1, float("nan")], 0.01)
    tally.equal("names", "here", ["a", "b"], ["a", "c", "d"])
    assert [line[:2] for line in tally.lines.values()] == [[3, 1], [3, 2]]
    tally.close("shapes", "here", [1.0], [1.0, 2.0])
    assert tally.mismatches == 4
