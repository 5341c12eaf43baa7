"""A planner that is told the recorded drive is a reference on the page, not the one to ship."""

import re

import pytest

from swerve.eval.report.privileged_inputs import contenders, privileged_input_of, privileged_note, privileged_tag
from swerve.eval.report.ranking import rankings
from swerve.eval.report.report_page import ReportOptions, report_page
from swerve.planners.baselines.kinematic import ConstantVelocity
from swerve.planners.baselines.privileged import Idm, LoggedHuman, PdmClosed
from tests.support.reported import HandMade, results


@pytest.fixture(scope="module")
def ranked():
    return rankings(results(), "navsim-exact")


def test_what_planners_are_told_is_what_they_declare():
    planners = (ConstantVelocity(), LoggedHuman(), Idm(), PdmClosed())
    assert [privileged_input_of(one) for one in planners] == ["", "recorded drive", "simulator", "simulator"]


def test_the_best_is_among_those_that_are_not_told_the_recorded_drive(ranked):
    first, second = ranked[0].label, ranked[1].label
    assert [one.label for one in contenders(ranked, {first: "recorded drive"})] == [one.label for one in ranked[1:]]
    assert contenders(ranked, {second: "simulator"}) == ranked
    assert contenders(ranked, dict.fromkeys([one.label for one in ranked], "recorded drive")) == ranked


def test_the_page_names_the_best_that_could_be_shipped_and_the_reference(ranked):
    first, second = ranked[0].label, ranked[1].label
    page = report_page(HandMade(), results(), ReportOptions(known={first: "recorded drive", second: "simulator"}))
    answer = re.search(r'<div class="answer"><b>(.*?)</b>', page)
    assert answer
    assert answer[1] == f"{second} scores {ranked[1].score:.3f} (told traffic, lights and map exactly)."
    assert f"{first} is told the recorded drive and scores {ranked[0].score:.3f}: a reference" in page
    assert f"{second} is told traffic, lights and map by the simulator" in page
    assert page.count("<small>told the recorded drive</small>") == 1


def test_the_best_that_is_told_nothing_is_named_where_others_are_ahead(ranked):
    first, second = ranked[0].label, ranked[1].label
    told = f"The best that is told neither is {second}, with {ranked[1].score:.3f}."
    assert told in privileged_note(ranked, {first: "simulator"})
    assert told not in privileged_note(ranked, {second: "simulator"}), "the first is named as the best anyway"


def test_nothing_is_said_where_nobody_is_told_anything(ranked):
    assert privileged_note(ranked, {}) == ""
    assert privileged_tag(ranked[0].label, {}) == ""
