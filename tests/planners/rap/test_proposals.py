"""Proposals of hand-made promises: numbers, colours, places in the picture; and a page that needs nothing."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from swerve.viz.page_script import SCRIPT
from tests.support.shifted_case import shifted_case
from tests.support.town_logs import town

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.scoring.score import score
from swerve.eval.scoring.sub_scores import Metric
from swerve.planners.learning import LearnedPlanner, save_learned
from swerve.planners.load_planner import planner_name
from swerve.planners.rap import RapConfig, RapModel
from swerve.planners.rap.proposal_pictures import (
    clipped_ahead,
    color_bar,
    ground_of,
    lines_in_image,
    proposal_lines,
    score_color,
)
from swerve.planners.rap.proposals import Proposals, proposals_in, proposals_on, spread_out
from swerve.planners.rap.proposals_page import (
    calibration,
    choice_in_words,
    legend,
    overview,
    proposals_page,
    scene_images,
    scene_section,
    score_table,
)
from swerve.scenes import FORWARD, Camera, SwerveError
from swerve.scenes.transforms import rigid_transform
from tests.support.command import invoke

CONFIG = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=5, image_height=40, image_width=72)
STRAIGHT = np.stack([np.arange(1, 9) * 2.0, np.zeros(8), np.zeros(8)], axis=1)


def made(predicted, true, token="token") -> Proposals:
    """Straight ones beside each other; all sub-scores are 1 but collisions', a factor, which so is the score."""
    columns = np.ones((2, len(true), len(Metric)))
    columns[:, :, Metric.NO_AT_FAULT_COLLISIONS] = predicted, true
    poses = STRAIGHT + np.arange(len(true))[:, None, None] * np.array([0.0, 1.0, 0.0])
    return Proposals(token, "case", poses, 0.5, *columns, int(np.argmax(predicted)))


@cache
def case():
    return shifted_case(town(3), 25, ((0.0, 0.0), (0.5, 0.0)))


class OneGroup(Benchmark):
    """Benchmark of one scene group, without a folder."""

    logs = ("log",)

    def __init__(self):
        super().__init__(Path(), {}, {})

    def scene_groups(self, log):
        return ("case",)

    def scene_group(self, name):
        return case()


@pytest.fixture(scope="module")
def planner():
    torch.manual_seed(2)
    return LearnedPlanner(RapModel(CONFIG).eval(), {"steps": 0, "seed": 2})


def test_choice_regret_and_order():
    one = made([0.2, 0.9, 0.5, 0.1], [0.4, 0.6, 1.0, 0.0])
    np.testing.assert_allclose(one.true_score, [0.4, 0.6, 1.0, 0.0])
    assert (one.chosen, one.best) == (1, 2)
    assert one.regret == pytest.approx(0.4)
    # Ranks 2 4 3 1 and 2 3 4 1: 1 - 6 * 2 / (4 * 15).
    assert one.rank_correlation == pytest.approx(0.8)
    assert made([0.1, 0.5], [0.0, 1.0]).rank_correlation == pytest.approx(1.0)
    assert made([0.5, 0.1], [0.0, 1.0]).rank_correlation == pytest.approx(-1.0)


def test_of_equals_the_most_promising_is_the_best():
    one = made([0.3, 0.9, 0.8], [1.0, 1.0, 0.0])
    assert (one.chosen, one.best, one.regret) == (1, 1, 0.0)
    assert np.isnan(made([0.3, 0.9], [1.0, 1.0]).rank_correlation)
    assert np.isnan(made([0.3], [1.0]).rank_correlation)


def test_scenes_are_spread_evenly():
    assert spread_out(9, 3) == [0, 4, 8]
    assert spread_out(2, 5) == [0, 1]
    assert spread_out(7, 1) == [0]


def test_colours_get_lighter_with_the_score():
    values = [[int(score_color(at)[start : start + 2], 16) for start in (1, 3, 5)] for at in np.linspace(0, 1, 50)]
    light = (np.array(values) / 255) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
    assert light[-1] > 4 * light[0]
    assert score_color(0.0) == "#7a52c8"
    assert score_color(1.0) == score_color(1.5) == "#fbe84a"
    assert color_bar().count("<rect") == 20


def test_every_proposal_has_the_colour_of_its_score():
    one = made([0.2, 0.9, 0.5], [0.4, 0.6, 1.0])
    drawn = [[np.array([[0.0, row], [5.0, row]])] for row in range(3)]
    for scores in (one.predicted_score, one.true_score):
        groups = re.findall(r'<g class="proposal"><title>(.*?)</title>(.*?)</g>', proposal_lines(one, drawn, scores))
        # The best-scored last, over the others.
        assert [int(title.split()[1].rstrip(":")) for title, _ in groups] == np.argsort(scores).tolist()
        for title, lines in groups:
            row = int(title.split()[1].rstrip(":"))
            assert title == f"proposal {row}: predicted {one.predicted_score[row]:.2f}, true {one.true_score[row]:.2f}"
            assert f'stroke="{score_color(scores[row])}" stroke-width="1.6"' in lines
    marks = dict(
        re.findall(r'<g class="(best|chosen)"><title>(.*?)</title>', proposal_lines(one, drawn, one.true_score))
    )
    assert marks == {
        "best": "best: proposal 2: predicted 0.50, true 1.00",
        "chosen": "chosen: proposal 1: predicted 0.90, true 0.60",
    }


def test_lines_are_cut_where_they_pass_behind_the_camera():
    line = np.array([[0.0, 1.0, -1.0], [0.0, 1.0, 1.0], [2.0, 1.0, 3.0], [0.0, 1.0, -3.0], [0.0, 1.0, 1.0]])
    first, second = clipped_ahead(line, 0.5)
    np.testing.assert_allclose(first, [[0, 1, 0.5], [0, 1, 1], [2, 1, 3], [2 - 2 * 2.5 / 6, 1, 0.5]])
    np.testing.assert_allclose(second, [[0, 1, 0.5], [0, 1, 1]])
    assert clipped_ahead(line - np.array([0.0, 0.0, 9.0]), 0.5) == []
    ahead = line + np.array([0.0, 0.0, 9.0])
    np.testing.assert_array_equal(clipped_ahead(ahead, 0.5), [ahead])


def test_a_line_on_the_ground_is_where_the_camera_sees_it():
    """From 1.5 m above, what is 10 m ahead lies 15 pixels below the middle at a focal length of 100."""
    camera = Camera("front", 200, 100, 100.0, 100.0, 100.0, 50.0, rigid_transform(FORWARD, np.array([0.0, 0.0, 1.5])))
    pose = rigid_transform(np.eye(3), np.array([40.0, 7.0, 2.0]))
    line = np.array([[40.0, 7.0, 2.0], [50.0, 7.0, 2.0], [50.0, 9.0, 2.0]])
    [seen] = lines_in_image(line, camera, pose)
    np.testing.assert_allclose(seen[-1], [80.0, 65.0], atol=1e-9)
    assert np.abs(seen - [100.0, 65.0]).sum(axis=1).min() < 1e-9
    # It begins 0.3 m before the lens: 500 pixels below the middle.
    np.testing.assert_allclose(seen[0], [100.0, 550.0], atol=1e-9)
    assert lines_in_image(np.zeros((0, 3)), camera, pose) == []
    assert lines_in_image(line - [30.0, 0.0, 0.0], camera, pose) == []


def test_proposals_lie_on_the_road(planner):
    frame = next(iter(case().scenes.values()))
    proposals, context = proposals_in(frame, case(), "case", planner)
    road_map, pose = frame.viewpoint.scene.log.road_map, frame.viewpoint.world_from_ego
    ground = ground_of(proposals, context, pose, road_map)
    assert ground.lines.shape == (5, 9, 3)
    np.testing.assert_allclose(ground.lines[:, 0, :2], np.tile(pose[:2, 3], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(ground.lines[..., 2], road_map.ground.at(ground.lines[..., :2]))
    level = ground_of(proposals, context, pose, None)
    assert (level.lines[..., 2] == pose[2, 3]).all()
    # In the ego frame they are what the network said.
    turned = (ground.lines[:, 1:, :2] - pose[:2, 3]) @ pose[:2, :2]
    np.testing.assert_allclose(turned, proposals.poses[..., :2], atol=0.02)


def test_promises_are_the_networks_and_worth_the_scorers(planner):
    [alone] = proposals_on(OneGroup(), planner, 5, follow_ups=False)
    many = proposals_on(OneGroup(), planner, 5, follow_ups=True)
    now, *later = [proposals.token for proposals in many]
    assert now == alone.token == case().group.now
    assert later == [now for now, _ in case().group.follow_ups]
    frame = case().scenes[alone.token]
    again, context = proposals_in(frame, case(), "case", planner)
    np.testing.assert_array_equal(alone.true, score(context, again.poses, interval=0.5).metrics)
    assert ((alone.predicted > 0) & (alone.predicted < 1)).all()
    blind = LearnedPlanner(RapModel(RapConfig.tiny(cameras=("nose",))).eval(), {})
    with pytest.raises(SwerveError, match="needs camera 'nose'"):
        proposals_in(frame, case(), "case", blind)


class Links(HTMLParser):
    """Everything that a browser would fetch or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.ids = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        self.ids += [value for name, value in attrs if name == "id"]


def test_the_page_shows_scenes_and_needs_nothing(planner):
    judged = list(proposals_on(OneGroup(), planner, 5, True))
    page = proposals_page("Made <by> hand", ["one & two"], judged, OneGroup(), planner, shown=2)
    assert "<h1>Made &lt;by&gt; hand</h1><p>one &amp; two</p>" in page
    assert page.count('<article class="scene">') == 2
    links = Links()
    links.feed(page)
    assert all(link.startswith("data:image/") or link[1:] in links.ids for link in links.found)
    assert len(links.ids) == len(set(links.ids)) == 2
    own = page.replace("http://www.w3.org/2000/svg", "").replace(f"<script>{SCRIPT}</script>", "")
    assert not re.search(r"https?:|url\(|@import|<script|<link", own)
    # Two looks of every proposal in two pictures, and more where one comes back into sight.
    assert page.count('<g class="proposal">') == 2 * 4 * 5
    most = max(judged, key=lambda one: one.regret)
    assert f"1 of 3 by regret: {most.regret:.3f}" in page


def test_numbers_are_said():
    low, high = made([0.2, 0.9], [1.0, 0.25], "low"), made([0.4, 0.3], [0.5, 0.0], "high")
    said = overview([low, high])
    for name, value in (
        ("score of the chosen proposal", "0.375"),
        ("of the best proposal", "0.750"),
        ("of a random proposal", "0.438"),
        ("regret: best minus chosen", "0.375"),
        ("rank correlation, median", "0.00"),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in said
    assert "0 scenes with equal true scores" in said
    assert "1 scenes with equal true scores" in overview([low, made([0.2, 0.9], [1.0, 1.0])])
    assert "mean true score: 0.25 at 0.9" in calibration([low])
    table = score_table(low)
    assert "<td>No at-fault collision</td><td>0.90</td><td class=off>0.25</td><td>0.20</td><td class=off>1.00" in table
    assert "<td>Lane keeping</td><td>1.00</td><td>1.00</td>" in table
    assert "It is the chosen one" not in table
    assert "It is the chosen one" in score_table(high)
    assert all(word in legend() for word in ("chosen", "best", "human", "score"))


def test_the_chosen_proposal_is_the_planners_with_weights_of_its_own(planner):
    frame = case().scenes[case().group.now]
    weights = replace(planner.model.config, selection_exponents=(0.0,) * 4, selection_weights=(0.0, 0.0, 0.0, 1.0))
    model = RapModel(weights, weights=False)
    model.load_state_dict(planner.model.state_dict())
    for one in (planner, LearnedPlanner(model.eval(), {})):
        proposals, context = proposals_in(frame, case(), "case", one)
        driven = one.plan(observation_of(frame, context, one, case().views))
        np.testing.assert_allclose(proposals.poses[proposals.chosen], driven.poses, atol=1e-6)
    assert proposals.chosen == proposals.predicted[:, Metric.HISTORY_COMFORT].argmax()


def test_a_scene_that_no_one_ranks_is_drawn_too(planner):
    frame = case().scenes[case().group.follow_ups[0][0]]
    proposals, context = proposals_in(frame, case(), "case", planner)
    still = Proposals("<b>", "case", np.zeros((5, 8, 3)), 0.5, proposals.predicted, np.ones((5, 8)), 0)
    story = scene_section(2, 3, still, scene_images(frame, case(), context, planner))
    assert "A follow-up scene, 2 of 3 by regret: 0.000. Rank correlation none" in story
    assert "&lt;b&gt;" in story
    assert "<b>" not in story


def test_the_command_writes_the_page(planner, tmp_path, monkeypatch):
    save_learned(planner.model, planner.record, tmp_path / "eyes.safetensors")
    monkeypatch.setattr("swerve.proposals_command.open_benchmark", lambda *_, **__: OneGroup())
    arguments = ["proposals", tmp_path / "eyes.safetensors", tmp_path / "bench", tmp_path / "new" / "page.html"]
    result = invoke(*arguments, "--shown", 1)
    assert result.exit_code == 0, result.output
    assert re.search(r"^score of the chosen proposal: [01]\.\d{3}$", result.output, re.MULTILINE)
    assert "<h1>Proposals of eyes</h1>" in (tmp_path / "new" / "page.html").read_text()
    assert planner_name(tmp_path / "planner.safetensors") == tmp_path.name


def test_the_answer_says_what_the_predicted_scores_are_worth():
    assert "gain 50 % of what a perfect choice" in choice_in_words(0.5, 0.8, 0.2)
    assert "no better than a random one" in choice_in_words(0.1, 0.8, 0.2)
    assert "nothing to choose" in choice_in_words(0.2, 0.2, 0.2)


class RenamedViews:
    """Views of a scene group whose front camera has the name that a car of other data gives it."""

    def __init__(self, views):
        self._views = views

    def cameras(self, frame):
        return [replace(one, name="CAM_F0") if one.name == "front" else one for one in self._views.cameras(frame)]

    def images(self, frame, names):
        assert names == ["CAM_F0"]
        return {"CAM_F0": self._views.images(frame, ["front"])["front"]}


def test_a_camera_that_the_data_name_otherwise_is_drawn(planner):
    assert planner.cameras == ("front",)
    frame = next(iter(case().scenes.values()))
    _, context = proposals_in(frame, case(), "case", planner)
    group = replace(case(), views=RenamedViews(case().views))
    drawn, plain = (scene_images(frame, one, context, planner) for one in (group, case()))
    assert (drawn.camera.name, plain.camera.name) == ("CAM_F0", "front")
    np.testing.assert_array_equal(drawn.image, plain.image)
