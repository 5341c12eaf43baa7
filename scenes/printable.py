"""Texts from files that are safe to show: on a terminal, in a message of one line, in a file's name."""

import unicodedata
from typing import Final

LONGEST_NAME: Final = 500
# Control characters, formatting characters (which reorder what follows them), surrogates, unassigned and private use,
# line and paragraph separators.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def printable(text: str) -> str:
    """Return a text of one line in which every character that would not be seen stands as its escape."""
    if text.isprintable():
        return text
    return "".join(one if _is_shown(one) else one.encode("unicode_escape").decode("ascii") for one in text)


def printable_lines(text: str) -> str:
    """Return a text whose lines are printable, such as a traceback; tabs become four blanks."""
    return "\n".join(printable(line.expandtabs(4)) for line in text.split("\n"))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters of it; the name of its class without one."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def sentence(text: str) -> str:
    """Return a text with a full stop, unless it ends as a sentence does: another can follow then."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def name_problem(name: object) -> str | None:
    """Return what is wrong with the name of a log, a track or a lane; None if nothing is.

    A name is a text of 1 to 500 characters, all of which are seen. What it means in HTML, in a path or to rich is for
    those who write it there to escape.
    """
    if not isinstance(name, str):
        return f"is a {type(name).__name__}, not a text"
    if not 0 < len(name) <= LONGEST_NAME:
        return f"has {len(name)} characters, not 1 to {LONGEST_NAME}"
    if not name.isprintable() and not all(map(_is_shown, name)):
        return f"has a character that is not printable: {printable(name)[:80]}"
    return None


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN
