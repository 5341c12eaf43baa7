"""Untrusted texts in tables and progress bars of rich, which takes brackets in plain texts for markup."""

from rich.markup import escape
from rich.text import Text

from swerve.scenes.printable import printable


def cell(text: str, style: str = "") -> Text:
    """Return a name for a cell or a title: in one line, printable, and nothing in it is markup."""
    return Text(printable(text), style)


def bar_text(text: str) -> str:
    """Return a name for a progress bar, which takes texts with markup only."""
    return escape(printable(text))
