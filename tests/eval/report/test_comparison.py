"""Evaluations are compared scene by scene, and only where they may be."""

import html
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from swerve.eval.benchmark.evaluate.planner_differences import planner_differences
from swerve.eval.report.compared import compare, few_warning, read_evaluations, reason, verdict
from swerve.eval.report.comparison_page import ComparisonOptions, comparison_page, gap_chart
from swerve.eval.report.ranking import rankings
from swerve.eval.report.scene_pairs import most_telling_token, plan_line
from swerve.eval.scoring.aggregate import COLUMNS
from swerve.scenes import SwerveError
from tests.support.reported import HOSTILE, results, scene_groups
from tests.support.written_evaluation import only, write_evaluation


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("evaluations")
    whole = results()
    return (
        write_evaluation(place / "one", only(whole, "slow", HOSTILE)),
        write_evaluation(place / "two", only(whole, "drifts right", "slow")),
    )


@pytest.fixture(scope="module")
def comparison(folders):
    return compare(read_evaluations(folders))


def test_scores_are_those_of_the_evaluations(comparison):
    ranked = {one.label: one for one in rankings(results(), "navsim-exact")}
    assert {one.label for one in comparison.planners} == {"one: slow", "two: slow", "drifts right", HOSTILE}
    assert [one.score for one in comparison.planners] == sorted(one.score for one in comparison.planners)[::-1]
    for one in comparison.planners:
        np.testing.assert_array_equal(one.scene_group_scores, ranked[one.own_label].scene_group_scores)
        assert one.failures == ranked[one.own_label].failures
    assert comparison.tokens == tuple(scene_groups())


def test_differences_are_paired_as_those_within_an_evaluation(comparison):
    expected = planner_differences(comparison.scores, comparison.logs)
    assert [one.as_json() for one in comparison.differences] == [one.as_json() for one in expected]
    same = next(one for one in comparison.differences if {one.first, one.second} == {"one: slow", "two: slow"})
    assert (same.score, same.better, same.worse) == (0.0, 0, 0)


def test_scenes_that_differ_most_come_first_and_equal_ones_not_at_all(comparison):
    first, second = comparison.planners[0].label, comparison.planners[-1].label
    gaps = np.abs(comparison.scores[first] - comparison.scores[second])
    assert comparison.most_different(first, second, 9) == sorted(np.flatnonzero(gaps), key=lambda row: -gaps[row])
    assert comparison.most_different("one: slow", "two: slow", 9) == []


def test_only_shared_scenes_count(tmp_path, folders):
    whole = results()
    first = whole.groups[0].now
    part = whole.table.filter(pa.array([token == first for token in whole.table["group_token"].to_pylist()]))
    fewer = write_evaluation(tmp_path / "part", only(replace(whole, table=part), "drifts right"))
    found = compare(read_evaluations((folders[0], fewer)))
    assert (found.tokens, found.left_out) == ((first,), 1)
    assert found.notes[0] == "1 scene groups are not in every evaluation and are left out."
    for one in found.planners:
        table = one.evaluated.results.of(one.own_label)
        rows = [row for row in table.to_pylist() if row["group_token"] == first]
        assert one.failures == sum(row["failed"] for row in rows)
        own = [row["no_at_fault_collisions"] for row in rows if row["stage"] == 1]
        assert one.means[0, COLUMNS.index("no_at_fault_collisions")] == pytest.approx(np.mean(own))


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ({"traffic": "navsim-reactive"}, "traffic policies differ, navsim-reactive and log-replay"),
        ({"weighting": "stable"}, "weightings differ"),
        ({"metric": "other"}, "metrics differ"),
        ({"benchmark": {"name": "made", "digest": "e"}}, "is of another benchmark"),
    ],
)
def test_scores_that_must_not_be_compared_are_refused(tmp_path, folders, stamp, said):
    other = write_evaluation(tmp_path / "other", only(results(), "slow"), **stamp)
    with pytest.raises(SwerveError, match=said):
        compare(read_evaluations((folders[0], other)))


def test_mistakes_are_told(tmp_path, folders):
    with pytest.raises(SwerveError, match=r"no evaluation: has no provenance\.json"):
        read_evaluations((tmp_path,))
    with pytest.raises(SwerveError, match="is given twice"):
        read_evaluations((folders[0], folders[0].parent / "." / "one"))
    alone = write_evaluation(tmp_path / "alone", only(results(), "slow"))
    with pytest.raises(SwerveError, match="has one planner"):
        compare(read_evaluations((alone,)))


def test_other_versions_of_packages_are_told(tmp_path, folders):
    other = write_evaluation(tmp_path / "other", only(results(), "slow"), packages={"numpy": "0.1"})
    assert any("numpy" in note and "other 0.1" in note for note in compare(read_evaluations((folders[0], other))).notes)


def test_planners_that_saw_other_kinds_of_views_are_told(tmp_path):
    places = [
        write_evaluation(tmp_path / kind, only(results(), label), views={label: {"kind": kind}})
        for kind, label in (("raster", "slow"), ("photo", "drifts right"))
    ]
    told = "Planners saw different kinds of views: raster: slow raster, photo: drifts right photo."
    assert told in compare(read_evaluations(places)).notes


def test_evaluations_whose_last_two_folders_are_alike_have_different_names(tmp_path):
    whole = results()
    places = [tmp_path / one / "same" / "results" for one in ("a", "b")]
    found = compare(read_evaluations([write_evaluation(place, only(whole, "slow")) for place in places]))
    assert {one.label for one in found.planners} == {"a/same/results: slow", "b/same/results: slow"}


def test_the_verdict_says_no_more_than_the_logs_do(comparison):
    """A certain difference is called unlikely to be chance only where enough logs were drawn."""
    found = replace(comparison.differences[0], low=0.1, high=0.3, clusters=20)
    told = {
        drawn: verdict(replace(comparison, differences=(replace(found, drawn=drawn),)))
        for drawn in ("logs", "scene groups")
    }
    assert told["logs"].endswith("It is unlikely to be chance: the interval excludes zero.")
    assert told["scene groups"].endswith("but rests on 20 scene groups of one log.")


def test_a_planner_that_is_told_the_recorded_drive_is_marked_and_not_called_the_better_one(tmp_path, folders):
    best = compare(read_evaluations(folders)).planners[0]
    told = {best.own_label: "recorded drive"}
    places = [
        write_evaluation(tmp_path / "knows", only(results(), best.own_label), privileged_input=told),
        write_evaluation(tmp_path / "rest", results()),
    ]
    found = compare(read_evaluations(places))
    marked = f"knows: {best.own_label}"
    assert found.known == {marked: "recorded drive"}
    assert marked not in verdict(found)
    page = comparison_page(found, None, ComparisonOptions())
    assert f"<b>{html.escape(marked)}</b><small>told the recorded drive</small>" in page
    assert f"{html.escape(marked)} is told the recorded drive and scores {best.score:.3f}" in page


def test_few_logs_are_warned_of_in_plain_words(comparison):
    assert few_warning(comparison).startswith("Only 2 scene groups of 1 log: too few to say which planner is better.")
    assert "cannot be said: fewer than three scene groups" in verdict(comparison)


def test_the_page_says_who_won_and_shows_both(comparison):
    page = comparison_page(comparison, lambda token: scene_groups()[token], ComparisonOptions(scenes=1))
    assert html.escape(verdict(comparison)) in page
    assert "too few to say which planner is better" in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    articles = page.split('<article class="group">')[1:]
    best = comparison.planners[0].label
    unequal = [one for one in comparison.differences if one.first == best and (one.better or one.worse)]
    assert len(articles) == len(unequal)
    for article in articles:
        assert article.count('<figure class="above plate">') == 2
    assert page.count('<rect class="gap"') == 3 * len(comparison.tokens)
    top = next(one for one in comparison.differences)
    assert f"{top.better} won</b>" in page
    assert len(page) < 7_000_000


def test_without_a_benchmark_the_page_says_why(comparison):
    page = comparison_page(comparison, None, ComparisonOptions(without_images="It is <gone>."))
    assert "It is &lt;gone&gt;." in page
    assert "<article" not in page


def test_the_scene_shown_is_the_one_with_the_most_unequal_loss(comparison):
    planners = [next(one for one in comparison.planners if one.label == name) for name in ("drifts right", HOSTILE)]
    group = next(iter(scene_groups().values()))
    token = most_telling_token(planners, group)
    losses = {}
    for planner in planners:
        for row in planner.evaluated.results.of(planner.own_label).to_pylist():
            if row["token"] in group.scenes:
                losses.setdefault(row["token"], []).append(row["weight"] * (1 - row["score"]))
    gaps = {name: abs(one - other) for name, (one, other) in losses.items()}
    assert gaps[token] == max(gaps.values())


def test_a_plan_is_drawn_from_before_the_vehicle_on():
    line = plan_line(np.array([[2.0, 0.0, 0.0], [6.0, 0.0, 0.0], [10.0, 1.0, 0.1]]))
    assert line[0] == pytest.approx([3.0, 0.0, 0.0])
    assert line[-1] == pytest.approx([10.0, 1.0, 0.0])
    assert len(plan_line(np.zeros((3, 3)))) == 1


def test_equal_scenes_are_neither_won_nor_lost_in_the_chart(comparison):
    chart = gap_chart(np.array([0.0, 0.5]), comparison)
    assert [color.split(",")[0] for color in re.findall(r'class="gap".*?fill="([^"]*)"', chart)] == [
        "var(--faint", "var(--won",
    ]  # fmt: skip


def test_headings_of_the_page_are_whole(comparison):
    page = comparison_page(comparison, None, ComparisonOptions())
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Scores", "Between planners", "Won and lost", "All scene groups", "How to read this",
    ]  # fmt: skip


def test_both_stages_and_the_reason_are_shown(comparison):
    page = comparison_page(comparison, None, ComparisonOptions())
    for one in comparison.planners:
        table = next(own.table for own in rankings(results(), "navsim-exact") if own.label == one.own_label)
        np.testing.assert_allclose(one.means, [table.stage_one, table.stage_two], atol=1e-12)
        assert f"<td>{one.means[0, 5]:.3f}<br>{one.means[1, 5]:.3f}</td>" in page
    assert html.escape(reason(comparison)) in page
