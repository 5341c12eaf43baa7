"""Make the consoles of commands: results go to stdout, progress and notices to stderr."""

import os
import sys
from typing import Final

from rich.console import Console
from rich.table import Table

# Columns where nothing breaks lines: greater than any line or table.
_PIPE_WIDTH: Final = 100_000


def results_console() -> Console:
    """Return the console for results: stdout; its lines are not broken where that is a pipe or a file."""
    return Console(width=None if _has_width(sys.stdout.isatty()) else _PIPE_WIDTH)


def progress_console() -> Console:
    """Return the console for progress and notices: stderr, so that stdout has the results alone."""
    return Console(stderr=True, width=None if _has_width(sys.stderr.isatty()) else _PIPE_WIDTH)


def print_table(console: Console, table: Table) -> None:
    """Print a table as wide as it needs to be: a terminal that is narrower wraps lines, and no label is broken."""
    needed = console.measure(table, options=console.options.update(max_width=_PIPE_WIDTH)).maximum
    if needed <= console.width:
        console.print(table)
        return
    wide = Console(file=console.file, width=needed, force_terminal=console.is_terminal, no_color=console.no_color)
    wide.print(table, crop=False, no_wrap=True, overflow="ignore")


def _has_width(is_terminal: bool) -> bool:
    """Return whether lines have a width to keep to: that of the terminal, or the one in the variable COLUMNS."""
    return is_terminal or "COLUMNS" in os.environ
