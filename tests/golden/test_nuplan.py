"""Every answer of the official nuPlan and NAVSIM code must come out the same; see check_nuplan.py."""

import copy
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check_nuplan import SECTIONS
from nuplan_checks import agent_answers, db_answers, map_answers
from tally import Tally

from swerve.data.sources.nuplan.nuplan_db import NuplanDb
from tests.support.nuplan_files import answers_in, nuplan_archives


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_same_as_the_official_code(nuplan_root, section):
    if section is agent_answers:
        pytest.importorskip("torch", reason="NAVSIM agents need torch")
    tally = Tally()
    section.check(nuplan_archives(), nuplan_root, tally)
    assert tally.lines
    assert not tally.mismatches, tally.table()


def test_a_changed_answer_of_the_map_is_noticed(nuplan_root):
    answers = next(iter(answers_in(nuplan_archives(), "map_*").values()))
    answers["objects"]["LANE"][0]["outgoing"] += ["1"]
    answers["objects"]["LANE"][1]["baseline_length"] += 2e-6
    answers["points"][0]["proximal"]["30.0"]["LANE"].reverse()
    tally = Tally()
    map_answers.check_map(answers, nuplan_root / "maps", "changed", tally)
    wrong = {quantity for quantity, line in tally.lines.items() if line[1]}
    assert wrong == {"lanes: outgoing", "lanes: baseline length", "points: proximal objects"}


def test_a_changed_answer_of_the_data_base_is_noticed(nuplan_root):
    answers = copy.deepcopy(next(iter(answers_in(nuplan_archives(), "db_*").values())))
    answers["samples"][0]["ego"]["rear_axle"][2] += 2e-6
    answers["samples"][1]["lights"].reverse()
    answers["builder"]["scenarios"][0][1] = "other"
    tally = Tally()
    file = next(nuplan_root.rglob(f"{answers['log_name']}.db"))
    db_answers.check_db(NuplanDb(file), answers, nuplan_root, "changed", tally)
    wrong = {quantity for quantity, line in tally.lines.items() if line[1]}
    assert wrong == {"ego: rear axle", "lights", "scenarios: tokens and types"}
