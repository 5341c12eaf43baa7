"""Every reader of files under seeded mutations: a clean error that names the file, or what is valid.

200 cases a reader; more by hand: `python -m experiments.fuzz --reader all --cases 10000`.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.fuzz.__main__ import main, report, table
from experiments.fuzz.child import Limits, run_cases
from experiments.fuzz.hostile import mutate_bytes, mutate_tree
from experiments.fuzz.outcome import CLASSES, CLEAN, GOOD, INVALID, MEMORY, RAW, UNCLEAR, VALID, Outcome, judged
from experiments.fuzz.reader import Reader, generator_of, write_case
from experiments.fuzz.readers import READERS
from swerve.scenes import LogError, SwerveError

CASES = int(os.environ.get("SWERVE_FUZZ_CASES", "200"))
NEEDS = {"waymo": "waymo_open_dataset", "trained": "torch", "splats": "numpy"}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_case_is_a_failure(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is an extra")
    outcomes = list(run_cases(name, 0, range(CASES), Limits()))
    failures = [one for one in outcomes if one.kind not in GOOD]
    assert not failures, "\n".join(f"case {one.case}, {one.kind}, {one.changed}: {one.told}" for one in failures[:5])
    assert len(outcomes) == CASES
    # Neither refuses everything, nor accepts everything: then the cases would say nothing.
    assert {one.kind for one in outcomes} == {CLEAN, VALID}


def text_reader(read) -> Reader:
    """A reader of one file that holds "valid"."""
    return Reader("text", lambda folder: (folder / "a.txt").write_bytes(b"valid"), {"*.txt": mutate_bytes}, read)


def test_a_case_is_the_same_each_time(tmp_path):
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    reader = text_reader(lambda folder: None)
    reader.write(seeds)
    contents = set()
    for case in range(20):
        made = [tmp_path / f"{case}-{run}" for run in range(2)]
        changed = {write_case(reader, seeds, folder, 5, case) for folder in made}
        assert len(changed) == 1
        assert {path.name for path in made[0].iterdir()} == {path.name for path in made[1].iterdir()}
        if (made[0] / "a.txt").is_file():
            assert (made[0] / "a.txt").read_bytes() == (made[1] / "a.txt").read_bytes()
            contents.add((made[0] / "a.txt").read_bytes())
    assert (seeds / "a.txt").read_bytes() == b"valid"
    assert len(contents) > 10


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, VALID),
        (LogError("/case/a.txt", "field", "is wrong"), CLEAN),
        (SwerveError("/case/a.txt: field: is wrong"), CLEAN),
        (SwerveError("something is wrong"), UNCLEAR),
        (SwerveError("/case/a.txt"), UNCLEAR),
        (LogError("/case/a.txt", "", "is wrong"), UNCLEAR),
        (ValueError("/case/a.txt: field"), RAW),
        (AssertionError("a nan"), INVALID),
        (MemoryError(), MEMORY),
    ],
)
def test_outcomes_are_told_apart(error, kind):
    assert judged(3, "a.txt", Path("/case"), error).kind == kind


def test_trees_are_changed_in_one_place_and_keep_the_rest():
    tree = {"a": [1, 2, {"b": "text"}], "c": np.arange(3.0), "d": (1, 2)}
    before = written(tree)
    changed = [written(mutate_tree(generator_of("tree", 0, case), tree)) for case in range(50)]
    assert written(tree) == before
    assert len(set(changed)) > 25


def written(tree) -> str:
    """Return the tree as text; a deep one cannot be written."""
    try:
        return repr(tree)
    except RecursionError:
        return "deep"


def test_the_table_and_the_report_count_all_classes():
    found = {"one": [Outcome(0, CLEAN, "a"), Outcome(1, RAW, "a", "KeyError")], "two": [Outcome(0, VALID, "b")]}
    lines = table(found).splitlines()
    assert lines[0].split()[:2] == ["reader", "cases"]
    assert lines[1].split() == ["one", "2", "1", "0", "0", "1", "0", "0", "0", "0"]
    counted = report(found, 7)
    assert counted["readers"]["one"] == {**dict.fromkeys(CLASSES, 0), CLEAN: 1, RAW: 1}
    assert counted["failures"] == [{"reader": "one", "case": 1, "class": RAW, "changed": "a", "told": "KeyError"}]


@pytest.mark.slow
def test_the_command_writes_its_report(tmp_path, capsys):
    assert main(["--reader", "plans", "--cases", "5", "--seed", "3", "--out", str(tmp_path / "fuzz.json")]) == 0
    assert "plans" in capsys.readouterr().out
    counts = json.loads((tmp_path / "fuzz.json").read_text())["readers"]["plans"]
    assert sum(counts.values()) == 5
    assert main(["--reader", "plans", "--seed", "3", "--case", "2"]) == 0
