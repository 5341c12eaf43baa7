"""Tables of the documentation: where they stand, and what their intervals are."""

import re

import numpy as np
import pytest

from experiments.closed_loop_tables import with_interval
from experiments.tables import TABLES, main, replaced
from tests.support.rooms import ROOT

END = "<!-- end of table -->\n"
PAGE = f"before\n<!-- table: one -->\n\n| old |\n\n{END}between\n<!-- table: two -->\n{END}"


def test_a_table_takes_the_place_of_the_old_one():
    page = replaced(PAGE, "one", ["| new |", "|---|"])
    assert "old" not in page
    assert page.startswith("before\n<!-- table: one -->\n\n| new |\n|---|\n\n<!-- end of table -->\nbetween")
    assert replaced(page, "one", ["| new |", "|---|"]) == page


def test_a_page_without_the_place_is_refused():
    with pytest.raises(ValueError, match="three"):
        replaced(PAGE, "three", [])


def test_every_table_has_its_place_and_every_place_its_table():
    places = {
        (name, page.relative_to(ROOT).as_posix())
        for page in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
        for name in re.findall(r"<!-- table: (\w+) -->", page.read_text())
    }
    elsewhere = {place for place in places if place[0].startswith("learned_")}  # of experiments.learned_planners
    assert places - elsewhere == {(name, table.page) for name, table in TABLES.items()}


def test_intervals_draw_whole_logs():
    """Two logs of constant scores 0 and 1: resampled means are 0, 1/2 or 1, so that the interval is all of 0 to 1."""
    logs = ["a"] * 10 + ["b"] * 10
    assert with_interval(np.repeat([0.0, 1.0], 10), logs) == "0.50 [0.00, 1.00]"
    assert with_interval(np.full(20, 0.25), logs) == "0.25 [0.25, 0.25]"


def test_names_are_checked(capsys):
    assert main(["--list"]) == 0
    assert "docs/closed_loop.md" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["no_such_table"])
