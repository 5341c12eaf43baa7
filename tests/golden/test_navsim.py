"""NAVSIM's scenes, contexts and scores must be those of the official code; see check_nuplan.py for the command line."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nuplan_checks import agent_answers, navsim_answers, navsim_contexts, navsim_scores
from tally import Tally

from tests.support.nuplan_files import nuplan_archives, unpack


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    archives = nuplan_archives()
    return archives, unpack(archives, tmp_path_factory.mktemp("navsim"))


@pytest.mark.parametrize("section", [agent_answers, navsim_answers, navsim_contexts, navsim_scores])
def test_same_as_the_official_code(unpacked, section):
    if section is agent_answers:
        pytest.importorskip("torch", reason="NAVSIM agents need torch")
    tally = Tally()
    section.check(*unpacked, tally)
    assert tally.lines
    assert not tally.mismatches, tally.table()
