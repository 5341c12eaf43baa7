"""Untrusted names and texts, wherever they are shown: pages, charts, tables, bars, messages, paths."""

import html
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from swerve.cells import cell
from swerve.data.jobs.failures import Failure, read_failures, write_failures
from swerve.data.jobs.folder import log_names
from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.sources.checks import check_log
from swerve.data.storage.files import safe_name, to_json, write_atomically
from swerve.eval.benchmark.evaluate.call_planner import call_planner
from swerve.eval.benchmark.evaluate.planner_differences import planner_differences
from swerve.eval.benchmark.evaluate.results import Results
from swerve.eval.report.comparison_tables import between_planners, differences_text
from swerve.eval.report.report_page import ReportOptions, report_page
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.quality_page import quality_page
from swerve.eval.study.findings import findings_of
from swerve.eval.study.study_page import study_page
from swerve.eval.study.study_records import stack
from swerve.eval.submission.check_submission import SubmissionCheck
from swerve.evaluate_command import differences_table, leaderboard
from swerve.fit_command import show_report
from swerve.job_report import show_failures
from swerve.scenes import LogError, SwerveError
from swerve.scenes.planning import Observation
from swerve.scenes.printable import name_problem, printable
from swerve.scenes.scene_html import scene_html
from swerve.submission_report import tell_check
from swerve.viz import svg
from swerve.viz.contact_sheet import Panel, Section, write_contact_sheet_html, write_contact_sheet_png
from swerve.viz.html_page import html_page
from swerve.viz.viser_view import plain_text
from tests.support.reported import PLANNERS, HandMade, results
from tests.support.simple_log import simple_log
from tests.support.simple_source import SimpleSource
from tests.support.study_samples import families_of, records

HIDDEN = ("two\nlines", "\x1b[31mred", "\udc80", "\u202eabc", "tab\tbed", "nul\0", "\x9b31m", "line\u2028break")
SHOWN = (
    "<script>alert(1)</script>",
    "'\" onload=alert(1) x='",
    "../../etc/passwd",
    "[/b]",
    "[bold red]x[/]",
    "back\\",
    "&lt;",
    "</title></svg>",
    "a" * 300,
    "{0}%s",
)
NAMES = (*HIDDEN, *SHOWN)


class Tags(HTMLParser):
    """Collects elements, handlers of events, and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.handlers = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def tags_of(text: str) -> Tags:
    """Return what a text holds as HTML."""
    tags = Tags()
    tags.feed(text)
    return tags


def check_page(page: str, scripts: int = 1) -> None:
    """Check that a page can be written, and has no element that a name brought in: one script is every page's own."""
    tags = Tags()
    tags.feed(page.encode().decode())
    assert tags.tags.count("script") <= scripts
    assert not tags.handlers
    assert "\x1b" not in page


def printed(show) -> str:
    """Return what is printed, and check that a terminal obeys nothing in it."""
    stream = io.StringIO()
    show(Console(file=stream, width=1000, force_terminal=False, color_system=None))
    text = stream.getvalue()
    assert all(one.isprintable() or one == "\n" for one in text), text
    text.encode()
    return text


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_messages_are_of_one_line(name):
    for error in (SwerveError(f"planner {name}: no"), LogError(name, name, name, name)):
        assert str(error).isprintable()
        str(error).encode()
    if name in SHOWN:
        assert name in str(LogError(name, "field", "problem"))
    assert printable(name).isprintable()


@pytest.mark.parametrize("name", HIDDEN, ids=ascii)
def test_logs_with_names_that_are_not_seen_are_refused(name):
    log = simple_log()
    lane = replace(log.road_map.lanes[0], id=name)
    camera = replace(log.cameras[0], name=name)
    for changed in (
        replace(log, name=name),
        replace(log, tracks=replace(log.tracks, ids=(name, *log.tracks.ids[1:]))),
        replace(log, road_map=replace(log.road_map, lanes=(lane, *log.road_map.lanes[1:]))),
        replace(log, cameras=(camera, *log.cameras[1:])),
    ):
        with pytest.raises(LogError, match="is not printable"):
            check_log(changed, "log")
    with pytest.raises(SwerveError, match="is not printable"):
        log_names([SimpleSource((name,))])


@pytest.mark.parametrize("name", [None, 5, "", "a" * 501], ids=ascii)
def test_names_are_texts_of_a_bounded_length(name):
    assert name_problem(name)


@pytest.mark.parametrize("name", SHOWN, ids=ascii)
def test_other_names_of_logs_are_names(name):
    assert check_log(replace(simple_log(), name=name), "log").name == name
    assert log_names([SimpleSource((name,))]) == {name: 0}


def test_files_are_named_inside_their_folder(tmp_path):
    long = ["a" * 300, "a" * 299 + "b"]
    for name in (*NAMES, *long):
        own = safe_name(name)
        path = tmp_path / f"{own}-00000.parquet.part"
        assert path.parent == tmp_path
        path.touch()
    assert safe_name(long[0]) != safe_name(long[1])
    assert safe_name("front.left/1") == "front_left_1"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_failures_are_stored_read_and_shown(tmp_path, name):
    failure = Failure(name, name, name, f"reason {name}", f"Traceback:\n\tline {name}")
    write_failures(tmp_path, [failure])
    assert read_failures(tmp_path) == [failure]
    assert printed(lambda console: show_failures(console, [failure])).count("\n") == 2

    def progress(console):
        bar = JobProgress(console, Schedule([name], {}), "samples")
        bar.failed(Task(name, 0), failure)

    assert "Traceback" in printed(progress)
    write_atomically(tmp_path / "other.json", to_json({name: name}))
    assert json.loads((tmp_path / "other.json").read_bytes())


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_what_planners_raise_is_stored(name):
    class Raises:
        def plan(self, observation: Observation):
            raise ValueError(name)

    [output] = call_planner(Raises(), [observation()])
    assert "ValueError" in output.error
    pa.array([output.error])
    assert "\x1b" not in output.error


def observation() -> Observation:
    from tests.support.observations import moving

    return moving()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_tables_and_reports_of_the_terminal(name):
    stage = dict.fromkeys(("score", *(metric for metric in leaderboard_metrics())), 0.5)
    row = {"score": 0.5, "failures": 0, "stage_one": stage, "stage_two": stage}
    summary = {"scene_groups": 1, "scenes": 2, "planners": {name: row}}
    shown = printed(lambda console: console.print(leaderboard(summary)))
    difference = {"planner": name, "after": "photo", "before": "raster", "score": 0.1, "interval": (0.0, 0.2)}
    difference |= {"stage_one": stage, "stage_two": stage}
    shown += printed(lambda console: console.print(differences_table([difference])))
    quality = {"images": 1, "psnr": 20.0, "ssim": 0.5}
    fit = {"held_out": quality, "held_out_exposed": None, "test_cameras": {name: quality}, "gaussians": 1, "seconds": 1}
    shown += printed(lambda console: show_report(console, Path("out"), {name: fit}))
    check = SubmissionCheck((f"holds {name}",), (f"names {name}",), {name: 3})
    shown += printed(lambda console: tell_check(check, console))
    if name in SHOWN and len(name) < 100:
        assert shown.count(name) >= 6
    assert printed(lambda console: console.print(cell(name))).strip() == printable(name).strip()


def leaderboard_metrics():
    from swerve.eval.scoring.sub_scores import METRIC_NAMES

    return (*METRIC_NAMES, "two_frame_extended_comfort")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_charts(name):
    series = [svg.Series(name, np.array([[0.0, 1.0], [1.0, 2.0]]))]
    for drawn in (
        svg.lines(series, name, name),
        svg.element((10, 10), svg.text(0.0, 0.0, name), name),
        svg.mark(1.0, 2.0, 3, name),
    ):
        check_page(html_page(name, drawn))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_contact_sheets(tmp_path, name):
    section = Section(name, name, (Panel(name, np.zeros((8, 8, 3), np.uint8)),))
    write_contact_sheet_html(tmp_path / "index.html", name, name, (section,))
    check_page((tmp_path / "index.html").read_text())
    write_contact_sheet_png(tmp_path / "sheet.png", printable(name), (section,))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_quality_pages(name):
    check_page(quality_page(name, [], [], GateOptions(), name))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_comparisons_and_views(name):
    """Differences of planners on pages, facts in the 3D viewer, and captions of scenes in notebooks."""
    scores = {name: np.array([0.2, 0.4, 0.6]), "other": np.array([0.1, 0.4, 0.9])}
    found = planner_differences(scores, ["a", "b", name])
    check_page(html_page("", between_planners(found, list(scores)) + html.escape(differences_text(found))))
    assert not tags_of(plain_text(name)).tags
    drawn = scene_html(name, (), simple_log().ego, simple_log().tracks, 0, np.zeros((4, 2)))
    assert "script" not in tags_of(drawn).tags
    assert not tags_of(drawn).handlers


def test_pages_of_studies():
    made = records(np.random.default_rng(0))
    study, _ = stack(made, families_of(made[0].planners))
    findings = findings_of(study, count=20)
    for name in NAMES:
        shown = study_page(study, findings, {name: name})
        check_page(shown)
        renamed = replace(study, planners=tuple(f"{name}{number}" for number in range(len(study.planners))))
        check_page(study_page(renamed, findings, {}))


@pytest.mark.slow
def test_the_page_of_an_evaluation():
    """Names as they come from a file of results: those that are not seen have been refused or escaped before."""
    known = results()
    scripts = Scripts.of(report_page(HandMade(), known, ReportOptions("", worst=0, cameras={}))).count("script")
    first = next(iter(PLANNERS))
    for name in (*SHOWN, *map(printable, HIDDEN)):
        table = known.table
        for column, old in (("planner", first), ("log", None), ("error", None)):
            values = [name if old in (None, value) else value for value in table[column].to_pylist()]
            table = table.set_column(table.column_names.index(column), column, pa.array(values))
        planners = tuple(name if one == first else one for one in known.planners)
        stamp = {**known.provenance, "planners": dict.fromkeys(planners, name), "benchmark": {"name": name}}
        renamed = Results(table, planners, known.groups, stamp)
        page = report_page(HandMade(), renamed, ReportOptions(name, worst=0, cameras={}))
        check_page(page, scripts)


class Scripts(Tags):
    @classmethod
    def of(cls, page):
        tags = cls()
        tags.feed(page)
        return [tag for tag in tags.tags if tag == "script"]
