"""Compares Swerve's nuPlan and NAVSIM readers with the official code: `python tests/golden/check_nuplan.py FOLDER`.

FOLDER has archives (maps.tar.gz, nuplan_db.tar.gz, ...) and `answers/`, in the layout of its README, or an archive
already unpacked where a second argument names that folder. Each module of `nuplan_checks` compares the files of
answers that it knows. Prints one line per quantity and ends with exit code 1 where anything differs.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from nuplan_checks import agent_answers, db_answers, map_answers, navsim_answers, navsim_contexts, navsim_scores
from tally import Tally

from tests.support.nuplan_files import unpack

# Each has `check(folder, root, tally)`: the folder of archives and answers, and that of the unpacked files.
SECTIONS = (agent_answers, map_answers, db_answers, navsim_answers, navsim_contexts, navsim_scores)


def check_folder(folder: Path, root: Path, tally: Tally) -> None:
    """Compares everything that the folder's answers hold."""
    for section in SECTIONS:
        section.check(folder, root, tally)


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    folder, tally = Path(arguments[0]), Tally()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(arguments[1]) if len(arguments) == 2 else unpack(folder, Path(temporary))
        check_folder(folder, root, tally)
    print(tally.table())
    print(f"{tally.mismatches} mismatches")
    return int(tally.mismatches > 0 or not tally.lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
