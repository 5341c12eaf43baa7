"""Positions in images match world positions, and replays match the recorded scores."""

import re
from dataclasses import replace

import numpy as np
import pytest
import shapely

from swerve.eval.context.scene_context import build_context
from swerve.eval.report.follow_up_chart import follow_up_chart, seen_from, short
from swerve.eval.report.ranking import chain_scores, group_rows, rankings
from swerve.eval.report.replay import Replay, ego_footprints, footprint_of, replay
from swerve.eval.report.scene_images import SIDE, MapView, scene_svg, view_of, weight_color
from swerve.eval.report.sentences import scene_summary, sentences
from swerve.eval.report.worst_scenes import shown_scenes
from swerve.eval.scoring.aggregate import aggregate_two_stage
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.scenes.primitives import build_static
from swerve.viz.birds_eye import BirdsEye
from tests.support.reported import HOSTILE, results, scene_groups


def _told(planner: str, number: int) -> list[Replay]:
    """Replay all scenes of a planner in a scene group."""
    scene_group = list(scene_groups().values())[number]
    rows = group_rows(results(), planner, scene_group.group)
    frames = [scene_group.scenes[row.token] for row in rows]
    contexts = [build_context(frame.viewpoint.scene, frame.token, frame.follow_up) for frame in frames]
    return [
        replay(frame, row, context, "log-replay") for frame, row, context in zip(frames, rows, contexts, strict=True)
    ]


@pytest.fixture(scope="module")
def drifting() -> list[Replay]:
    return _told("drifts right", 0)


def test_view_by_hand():
    """The centre of the image is the view's centre; up is +y, so right is +x; 48 m on 480 units are 10 units per
    metre."""
    view = MapView(BirdsEye(np.array([10.0, 20.0]), np.pi / 2, 24.0, 720))
    pixels = view.at(np.array([[10.0, 20.0], [13.0, 20.0], [10.0, 32.0], [-14.0, 44.0]]))
    np.testing.assert_allclose(pixels, [[240, 240], [270, 240], [240, 120], [0, 0]], atol=1e-9)
    assert view.unit == 10.0


def test_follow_ups_lie_at_their_pixels(drifting):
    first, rows = drifting[0], [one.row for one in drifting[2::2]]
    svg = scene_svg(first, build_static(first.benchmark_scene.viewpoint.scene.log.road_map), rows)
    eye = view_of(first).eye
    found = re.findall(
        r'class="follow-up" cx="([\d.-]+)" cy="([\d.-]+)".*?<title>follow-up (\S+): weight ([\d.]+)', svg
    )
    assert len(found) == len(rows)
    for x, y, token, weight in found:
        row = next(row for row in rows if row.token == token)
        ahead = row.start[:2] - eye.center
        cos, sin = np.cos(eye.up), np.sin(eye.up)
        right, up = ahead[0] * sin - ahead[1] * cos, ahead[0] * cos + ahead[1] * sin
        scale = SIDE / 2 / eye.reach
        np.testing.assert_allclose([float(x), float(y)], [240 + scale * right, 240 - scale * up], atol=0.051)
        assert float(weight) == pytest.approx(row.weight, abs=5e-4)


def test_all_that_matters_is_in_the_picture(drifting):
    for one in drifting:
        view = view_of(one)
        places = [one.plan, one.path, *(event.place[None] for event in one.numbered.values())]
        pixels = view.at(np.concatenate([place[:, :2] for place in places]))
        assert pixels.min() > 0
        assert pixels.max() < SIDE


def test_replays_are_what_was_recorded(drifting):
    table = results().of("drifts right").to_pylist()
    for one in drifting:
        row = next(row for row in table if row["token"] == one.row.token)
        np.testing.assert_allclose(one.path.ravel(), row["path"], atol=1e-9)
        assert [event.reason.text for event in one.events] == [reason["text"] for reason in row["reasons"]]
        np.testing.assert_allclose(one.row.values[:8], [row[name] for name in METRIC_NAMES])


def test_events_are_where_they_happened(drifting):
    kinds = set()
    for one in drifting:
        for event in one.numbered.values():
            kinds.add(event.reason.metric)
            assert event.reason.seconds == pytest.approx(event.step * 0.1)
            ego = shapely.Polygon(ego_footprints(one.path[event.step : event.step + 1])[0])
            assert ego.distance(shapely.Point(event.place)) < 1e-6
            if event.reason.metric == "no_at_fault_collisions":
                other = shapely.Polygon(footprint_of(one.scoring_traffic.boxes[event.step, event.track]))
                assert other.distance(shapely.Point(event.place)) < 1e-6
                assert one.scoring_traffic.ids[event.track] in event.reason.text
            if event.reason.metric == "drivable_area_compliance":
                ground = [lane.polygon[:, :2] for lane in one.benchmark_scene.viewpoint.scene.log.road_map.lanes]
                road = shapely.union_all([shapely.Polygon(shape) for shape in ground])
                assert not road.contains(shapely.Point(event.place))
    assert {"no_at_fault_collisions", "drivable_area_compliance"} <= kinds


def test_texts_are_for_people(drifting):
    """Track ids that are digests are truncated; coordinates are left out."""
    hit = next(one for one in drifting if any(event.track is not None for event in one.events))
    digest = "f5e7cc26-f036-4128-995a-3c804c6b2ead"
    world = replace(hit.context.traffic, ids=tuple(f"{digest}{name}" for name in hit.context.traffic.ids))
    told = replay(hit.benchmark_scene, hit.row, replace(hit.context, traffic=world), "log-replay")
    texts = [event.text for event in told.events]
    assert any("f5e7cc26" in text for text in texts)
    assert not any(digest in text or "rear axle" in text for text in texts)
    assert any(digest in event.reason.text for event in told.events)


def test_numbers_in_the_picture_are_those_in_the_list(drifting):
    one = next(one for one in drifting if len(one.numbered) > 1)
    svg = scene_svg(one, build_static(None))
    assert re.findall(r"<g class=\"event\"><title>(\d+):", svg) == [str(number) for number in one.numbered]
    listed = re.findall(r'<b class="badge">(\d+)</b>', sentences(one))
    assert listed == [str(number) for number in one.numbered]


def test_a_failed_frame_is_drawn_and_told():
    one = next(one for one in _told(HOSTILE, 0) if one.row.failed)
    assert "<svg" in scene_svg(one, build_static(None))
    assert scene_summary(one) == "The planner failed: RuntimeError: <b>no idea</b> & no plan. The scene scores 0."
    assert "&lt;b&gt;no idea" in sentences(one)


def test_verdicts_name_what_costs_the_most(drifting):
    zero = next(one for one in drifting if one.row.score == 0.0)
    first = min(
        (event for event in zero.events if event.reason.value == 0.0 and event.reason.metric in METRIC_NAMES[:4]),
        key=lambda event: event.step if event.step is not None else 99,
    )
    assert scene_summary(zero).startswith("Scores 0: ")
    assert first.text in scene_summary(zero)
    fine = replace(zero, events=(), row=replace(zero.row, values=np.ones(10)))
    assert scene_summary(fine) == "Scores 1.00: no violations."
    invisible = replace(fine, row=replace(fine.row, values=np.array([1, 1, 1, 1, 0.9999, *[1.0] * 5])))
    assert scene_summary(invisible) == "Scores 1.00: no violations."
    assert sentences(fine) == ""


def test_chart_coordinates_by_hand():
    """Facing +y: 3 m ahead and 1 m to the left of (10, 20) is (9, 23)."""
    seen = seen_from(np.array([10.0, 20.0, np.pi / 2]), np.array([[9.0, 23.0], [10.0, 20.0]]))
    np.testing.assert_allclose(seen, [[3.0, -1.0], [0.0, 0.0]], atol=1e-12)


def test_the_chart_shows_every_start_left_above(drifting):
    rows = [one.row for one in drifting[2::2]]
    svg, numbered = follow_up_chart(drifting[0], rows, rows[0].token)
    assert numbered
    places = dict(re.findall(r'class="follow-up" cx="[\d.]+" cy="([\d.]+)".*?<title>follow-up (\S+):', svg))
    heights = {token: float(y) for y, token in places.items()}
    # Starts were moved aside by 0, 0.5 and -1 m.
    assert heights[rows[1].token] < heights[rows[0].token] < heights[rows[2].token]
    assert svg.count('stroke="#ff5d6c"') == 1


def test_colors_and_short_numbers():
    assert [weight_color(share) for share in (0.0, 0.5, 1.0)] == ["#3e4a63", "#9676f0", "#decaff"]
    assert [short(score) for score in (0.0, 0.004, 0.5, 0.841, 0.996, 1.0)] == ["0", "0", ".5", ".84", "1", "1"]


def test_case_scores_are_those_of_each_case_alone():
    for one in rankings(results(), "navsim-exact"):
        for group, value in zip(results().groups, one.scene_group_scores, strict=True):
            assert value == pytest.approx(aggregate_two_stage(results().scores(one.label), [group]).score, abs=1e-12)
            rows = group_rows(results(), one.label, group)
            assert chain_scores(rows).prod(axis=1).mean() == pytest.approx(value, abs=1e-12)
        assert one.scene_group_scores.mean() == pytest.approx(one.score, abs=1e-12)
        assert np.isnan(one.interval).all(), "of two scene groups of one log nothing is known"


def test_shown_frames_cost_the_most():
    for planner in results().planners:
        for group in results().groups:
            rows = group_rows(results(), planner, group)
            first, follow = shown_scenes(rows)
            chains = chain_scores(rows).prod(axis=1)
            assert chains[first.chain] == chains.min()
            assert first.token == (group.now, group.before)[first.chain]
            others = [row for row in rows if row.follow_up and row.chain == first.chain]
            assert follow.weight * (1 - follow.score) == max(row.weight * (1 - row.score) for row in others)
