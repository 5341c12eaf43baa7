"""Write the tables of the documentation: `python -m experiments.tables [NAME...]`.

A table stands in its page between two comments, `<!-- table: NAME -->` and `<!-- end of table -->`. Each is measured
by one function, and written with the command that repeats it and the commit it was measured at. Without names all are
measured; `--list` says which there are. Some take minutes.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import closed_loop_tables, interval_coverage, study_tables

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Table:
    """A table of the documentation.

    Attributes:
        page: file that it stands in, relative to the repository.
        measure: returns its lines in Markdown.
    """

    page: str
    measure: Callable[[], list[str]]


TABLES = {
    "closed_loop_traffic": Table("docs/closed_loop.md", closed_loop_tables.by_traffic),
    "closed_loop_simulations": Table("docs/closed_loop.md", closed_loop_tables.by_simulation),
    "study_intervals": Table("docs/study.md", interval_coverage.table),
    "study_measures": Table("docs/study.md", study_tables.measures),
    "study_references": Table("docs/study.md", study_tables.references),
    "study_variants": Table("docs/study.md", study_tables.variants),
}


def replaced(text: str, name: str, lines: Sequence[str]) -> str:
    """Return a page with the lines in the place of a table's.

    Raises:
        ValueError: the page does not have the table's comments exactly once.
    """
    pattern = rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end of table -->)"
    if len(re.findall(pattern, text, re.DOTALL)) != 1:
        raise ValueError(f"no place, or several, for table {name}: it stands between two comments, see the help")
    block = "\n".join(lines) + "\n"
    return re.sub(pattern, lambda found: f"{found[1]}\n{block}\n{found[2]}", text, count=1, flags=re.DOTALL)


def caption(name: str, commit: str) -> str:
    """Return the line under a table: how to repeat it, and what it was measured at."""
    return f"*Measured at {commit} by `python -m experiments.tables {name}`.*"


def commit_here() -> str:
    """Return the short hash of the checkout, marked where files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: Sequence[str]) -> int:
    """Measure and write the tables named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*TABLES, []], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the tables' names and pages")
    asked = parser.parse_args(arguments)
    if asked.list:
        print("\n".join(f"{name}: {table.page}" for name, table in TABLES.items()))
        return 0
    commit = commit_here()
    for name in asked.names or TABLES:
        page = ROOT / TABLES[name].page
        lines = [*TABLES[name].measure(), "", caption(name, commit)]
        page.write_text(replaced(page.read_text(), name, lines))
        print(f"{name}: written to {TABLES[name].page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
