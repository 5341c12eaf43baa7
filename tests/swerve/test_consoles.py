"""Consoles of commands, and tables wider than they are."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from swerve.consoles import print_table, progress_console, results_console


def test_a_table_is_as_wide_as_it_needs_to_be():
    table = Table("planner", "score", box=None)
    table.columns[0].no_wrap = True
    table.add_row("a" * 100, "0.5")
    console = Console(width=40, file=StringIO())
    print_table(console, table)
    assert "a" * 100 in console.file.getvalue()


@pytest.mark.parametrize("make", [results_console, progress_console])
def test_lines_in_a_pipe_are_not_broken_unless_columns_are_given(make, capfd, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    make().print("word " * 100)
    assert [len(one.splitlines()) for one in capfd.readouterr() if one] == [1]
    monkeypatch.setenv("COLUMNS", "40")
    make().print("word " * 100)
    assert all(len(line) <= 40 for one in capfd.readouterr() for line in one.splitlines())
