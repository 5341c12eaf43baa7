"""The page is whole, needs nothing, says everything, and believes no stranger's text."""

import base64
import html
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from swerve.eval.benchmark.evaluate.results import Results
from swerve.eval.benchmark.evaluate.view_differences import PlannerViews, differences
from swerve.eval.report.ranking import rankings
from swerve.eval.report.report_page import ReportOptions, report_page, write_report
from swerve.eval.report.report_tables import view_differences
from swerve.eval.report.worst_scenes import camera_views
from tests.support.reported import HOSTILE, PLANNERS, HandMade, results, scene_groups

VOID = ("meta", "img", "br", "link")


class Checked(HTMLParser):
    """Balanced tags, and references to existing anchors."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.links, self.ids, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        self.ids += [value for name, value in attrs if name == "id"]
        self.faults += [(tag, name) for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(("closes", tag))


@pytest.fixture(scope="module")
def page() -> str:
    return report_page(HandMade(), results(), ReportOptions("Made <by> hand", worst=1, cameras={"slow": ()}))


@pytest.fixture(scope="module")
def checked(page) -> Checked:
    parser = Checked()
    parser.feed(page)
    parser.close()
    return parser


def test_the_page_is_well_formed(checked):
    assert checked.faults == []
    assert checked.open == []
    assert len(set(checked.ids)) == len(checked.ids)


def test_the_page_needs_nothing_from_outside(page, checked):
    assert "http" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert {tag for tag in checked.tags if tag in ("link", "iframe", "object", "embed")} == set()
    assert all(link.startswith(("data:image/", "#")) for link in checked.links)
    assert checked.links, "it has pictures"


def test_pictures_can_be_decoded(checked):
    urls = [link for link in checked.links if link.startswith("data:")]
    for url in urls:
        Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).verify()
    # Of each planner: two bird's-eye views, and three cameras of each, except for the planner without cameras.
    assert len(urls) == len(PLANNERS) * 2 + (len(PLANNERS) - 1) * 2 * 3


def test_links_within_the_page_lead_somewhere(checked):
    assert {link[1:] for link in checked.links if link.startswith("#")} <= set(checked.ids)


def test_every_planner_is_there_with_its_worst_case(page):
    groups = results().groups
    panes = page.split('<section class="planner"')[1:]
    ranked = rankings(results(), "navsim-exact")
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert len(panes) == len(PLANNERS)
    for pane, one in zip(panes, ranked, strict=True):
        assert f"<h2>{html.escape(one.label)}</h2>" in pane
        assert pane.count('<article class="group">') == 1
        assert html.escape(groups[one.worst(1)[0]].now.removeprefix("town-000003-")) in pane
    assert page.count(f"<b>{ranked[0].score:.3f}</b>") >= 1


def test_strangers_texts_are_escaped(page):
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert "<b>no idea</b>" not in page
    assert "RuntimeError: &lt;b&gt;no idea&lt;/b&gt; &amp; no plan" in page
    assert "<title>Made &lt;by&gt; hand</title>" in page


def test_sub_scores_that_cannot_fire_are_told(page):
    said = "traffic_light_compliance: no red traffic lights in 2 of 2 logs; ego_progress: no route"
    assert f"<dt>sub-scores that never apply</dt><dd>{said}</dd>" in page


def test_failures_and_cameras_are_told(page):
    ranked = {one.label: one for one in rankings(results(), "navsim-exact")}
    assert ranked[HOSTILE].failures > 0
    assert f"<dd>{ranked[HOSTILE].failures} of {ranked[HOSTILE].scenes}</dd>" in page
    assert "The planner failed: RuntimeError" in page
    assert "<dt>benchmark</dt><dd>hand-made</dd>" in page
    assert "This planner uses no camera." in page
    assert "3 collision, 2 off road" in page


def _of_slow_alone() -> Results:
    whole = results()
    stamp = {**whole.provenance, "planners": {"slow": "shifted_case:Straight"}}
    return replace(whole, table=whole.of("slow"), planners=("slow",), provenance=stamp)


def test_the_page_is_the_same_every_time(tmp_path):
    """A larger number of worst scene groups than exist shows them all."""
    options = ReportOptions(worst=9, cameras={"slow": ()})
    size = write_report(tmp_path / "out" / "index.html", HandMade(), _of_slow_alone(), options)
    written = (tmp_path / "out" / "index.html").read_bytes()
    assert len(written) == size
    assert written.decode() == report_page(HandMade(), _of_slow_alone(), options)
    assert written.decode().count('<article class="group">') == len(scene_groups())
    assert "The 2 worst scene groups" in written.decode()


def test_kinds_of_views_stand_side_by_side():
    scene_group = next(iter(scene_groups().values()))
    frame = scene_group.scenes[scene_group.group.now]
    alone = camera_views(scene_group, frame, None, 2)
    both = camera_views(
        replace(scene_group, view_kind="raster", extra_views={"photo": scene_group.views}), frame, None, 2
    )
    assert (alone.count("<img"), both.count("<img")) == (2, 4)
    assert "given to the planner" not in alone
    assert both.count("raster, given to the planner</figcaption>") == 2
    assert both.count("synthetic photo</figcaption>") == 2


def test_photos_of_towns_alone_are_called_synthetic():
    scene_group = replace(next(iter(scene_groups().values())), view_kind="photo")
    frame = scene_group.scenes[scene_group.group.now]
    scene = frame.viewpoint.scene
    for source, caption in (("town", ", synthetic photo"), ("navsim", ", photo")):
        log = replace(scene.log, source=source)
        shown = replace(frame, viewpoint=replace(frame.viewpoint, scene=replace(scene, log=log)))
        assert camera_views(scene_group, shown, None, 1).count(f"{caption}</figcaption>") == 1


def test_differences_between_views_are_told(page):
    assert "Between views" not in page
    ranked = {one.label: one for one in rankings(results(), "navsim-exact")}
    seen = {
        "slow": PlannerViews("<b>one", "raster"),
        "drifts right": PlannerViews("<b>one", "photo"),
        HOSTILE: PlannerViews("two", "raster"),
    }
    found = differences({label: one.table for label, one in ranked.items()}, results().groups, ["town"] * 2, seen)
    assert [(one.planner, one.before, one.after) for one in found] == [("<b>one", "raster", "photo")]
    told = view_differences(found)
    gain = ranked["drifts right"].score - ranked["slow"].score
    assert found[0].score == pytest.approx(gain)
    assert np.isnan(found[0].interval).all(), "of two scene groups nothing is known"
    assert found[0].as_json()["interval"] == [None, None]
    assert f"<b>{gain:+.3f}</b> interval unknown" in told
    assert "<td>photo − raster</td>" in told
    assert "&lt;b&gt;one" in told
    progress = ranked["drifts right"].table.stage_one[4] - ranked["slow"].table.stage_one[4]
    assert f"<td>{progress:+.3f}</td>" in told


def test_the_page_takes_views_in_the_order_in_which_they_were_asked_for():
    """And not in that of the stamp, whose keys are sorted."""
    stamp = {label: {"planner": "one", "kind": kind} for label, kind in (("drifts right", "raster"), ("slow", "photo"))}
    given = replace(results(), planners=("slow", "drifts right"), provenance={**results().provenance, "views": stamp})
    page = report_page(HandMade(), given, ReportOptions(worst=0))
    assert "<td>raster − photo</td>" in page


def test_planners_are_compared_and_few_scene_groups_warned_of(page):
    assert "<b>2 scene groups</b>: too few to compare planners" in page
    ranked = rankings(results(), "navsim-exact")
    assert page.count(" of 2</td><td>") >= 3, "every two of three planners"
    gain = ranked[0].score - ranked[1].score
    assert f"<td><b>{gain:+.3f}</b></td>" in page
    assert "All scene groups are of source town." in page
    log = results().table["log"][0].as_py()
    assert f"<td>{log}</td><td>2</td><td><b>{ranked[0].score:.3f}</b></td>" in page


def test_a_chart_without_numbers_does_not_speak_of_them(page, monkeypatch):
    monkeypatch.setattr("swerve.eval.report.follow_up_chart._ROOMY", 99.0)
    crowded = report_page(HandMade(), _of_slow_alone(), ReportOptions(worst=1))
    assert "there is no room for the scores, which show where the pointer rests" in crowded
    assert "the numbers are the scores" not in crowded
    assert "the numbers are the scores" in page


def test_unfit_splat_views_are_told(page):
    assert "1 of 2 scenes have a splat view that misses a threshold" in page
    assert "1 covered, 1 vehicle iou" in page
