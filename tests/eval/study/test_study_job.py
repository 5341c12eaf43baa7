import json
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.data.jobs.stopwatch import COMPILING, Stopwatch
from swerve.data.storage.files import to_json
from swerve.eval.benchmark.renderers import default_renderers
from swerve.eval.closed_loop import ClosedLoopOptions, drive
from swerve.eval.closed_loop.closed_loop_scores import ROLLOUT_METRICS
from swerve.eval.closed_loop.nuplan_metrics import NUPLAN_METRICS
from swerve.eval.closed_loop.rollout_views import RolloutViews
from swerve.eval.study.study_job import PAGE, PLANNERS, SCATTER, STUDY, run_study
from swerve.eval.study.study_options import StudyOptions, StudyPlanner
from swerve.eval.study.study_worker import study_group
from swerve.scenes import SwerveError
from swerve.scenes.resize import Resize
from tests.support.flat_renderer import FlatRenderer
from tests.support.simple_scene_group import RenderedViews, simple_scene_group
from tests.support.study_work import SimpleBenchmark, Steady, load

OPTIONS = StudyOptions("log-replay", ("independent", "same"), seconds=4.0, rate=1.0)
MEMBERS = [
    StudyPlanner("slow", "0.2"),
    StudyPlanner("slow", "0.5"),
    StudyPlanner("fast", "1.0"),
    StudyPlanner("fast", "1.3"),
]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "benchmark.json").write_bytes(to_json({}))
    return SimpleBenchmark(folder, {}, default_renderers("rap", 0))


@pytest.fixture(scope="module")
def finished(benchmark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "out"
    return folder, run_study(benchmark, [*MEMBERS, StudyPlanner("none", "broken")], load, folder, OPTIONS, workers=1)


def test_a_case_is_driven_in_closed_loop_too():
    told, watch = [], Stopwatch()
    planners = {"half": Steady(0.5), "broken": Steady(broken=True)}
    record = study_group(simple_scene_group(), planners, OPTIONS, None, watch, lambda *said: told.append(said))
    start = simple_scene_group().scenes["now"].viewpoint
    same = drive(start, Steady(0.5), ClosedLoopOptions(1.0, 4.0, "log-replay"))
    other = drive(start, Steady(0.5), ClosedLoopOptions(1.0, 4.0, "lane-following", "dynamic", "nuplan"))
    assert record.references == ("independent", "same")
    assert record.closed_loop.tolist() == [[other.score, same.score], [0.0, 0.0]]
    ours, theirs = record.closed_loop_metrics[0]
    np.testing.assert_array_equal(theirs, [same.metrics[name] for name in ROLLOUT_METRICS])
    np.testing.assert_array_equal(ours[:8], [other.metrics[name] for name in NUPLAN_METRICS])
    assert np.isnan(ours[8:]).all()
    assert record.errors[0] == ""
    assert "no idea" in record.errors[1]
    shares = [share for _, _, share in told]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < shares[-1] < 1.0
    assert watch.seconds.keys() - {COMPILING} == {"frames", "closed loop"}  # the first run compiles kernels


class Looking(Steady):
    """Records the mean colour of its images."""

    seen: list

    def __init__(self, cameras):
        super().__init__(cameras=cameras)
        object.__setattr__(self, "seen", [])

    def plan(self, observation):
        self.seen.append({name: image.mean(axis=(0, 1)).tolist() for name, image in observation.images.items()})
        return super().plan(observation)


def test_planners_see_in_both_loops():
    scene_group = simple_scene_group()
    names = tuple(camera.name for camera in scene_group.scenes["now"].viewpoint.cameras)
    planner, blind = Looking(names), Steady()
    views = RolloutViews(FlatRenderer(), Resize((6, 4)))
    watch = Stopwatch()
    record = study_group(
        simple_scene_group(RenderedViews()), {"looks": planner, "not": blind}, OPTIONS, views, watch, print
    )
    assert record.errors == ("", "")
    assert len(planner.seen) == len(scene_group.group.tokens) + 8  # two loops of four seconds at one plan a second
    stored, drawn = planner.seen[: len(scene_group.group.tokens)], planner.seen[len(scene_group.group.tokens) :]
    assert all(colors == {name: [len(name)] * 3 for name in names} for colors in stored)
    x = scene_group.scenes["now"].viewpoint.world_from_ego[0, 3]
    assert next(iter(drawn[0].values()))[0] == round(x)
    np.testing.assert_array_equal(record.closed_loop[0], record.closed_loop[1])


def test_a_study_comes_to_its_end(finished):
    folder, report = finished
    assert report.study.planners == tuple(planner_spec.spec for planner_spec in MEMBERS)
    assert report.study.families == ("slow", "slow", "fast", "fast")
    assert report.left_out == ("broken",)
    assert [failure.where for failure in report.failures] == ["one now broken", "one now broken", "two now broken"]
    assert report.failures[0].reason == "RuntimeError: no idea"
    summary = json.loads((folder / STUDY).read_bytes())
    assert (summary["planners"], summary["scene_groups"], summary["provenance"]["left_out"]) == (4, 3, ["broken"])
    table = pq.read_table(folder / PLANNERS).to_pylist()
    assert [row["planner"] for row in table] == [planner_spec.spec for planner_spec in MEMBERS]
    assert table[2]["closed_loop independent"] == report.study.closed_loop[2, :, 0].mean()
    assert summary["provenance"]["closed_loops"] == {
        "independent": "dynamic simulation, nuplan scorer, lane-following traffic",
        "same": "navsim simulation, epdms scorer, log-replay traffic",
    }


def test_pictures_are_whole(finished):
    folder, _ = finished
    drawing = ET.fromstring((folder / SCATTER).read_text())
    marks = [one for one in drawing.iter() if one.get("class") == "mark" and one[0].text.startswith("1.3: ")]
    assert len(marks) == 2
    page = (folder / PAGE).read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "broken" in page


def test_the_same_study_goes_on_and_another_is_refused(finished, benchmark):
    folder, report = finished
    (folder / "records" / "one-00001.npz").unlink()
    (folder / STUDY).unlink()
    planner_specs = [*MEMBERS, StudyPlanner("none", "broken")]
    again = run_study(benchmark, planner_specs, load, folder, OPTIONS, workers=1)
    assert again.timing["plans"] * 3 == report.timing["plans"]
    np.testing.assert_array_equal(again.study.closed_loop, report.study.closed_loop)
    with pytest.raises(SwerveError, match=r"options.planners was 5 planners \(.*\), is 4 planners"):
        run_study(benchmark, MEMBERS, load, folder, OPTIONS, workers=1)


def test_a_folder_of_an_older_version_is_refused_in_one_line(finished, benchmark):
    folder, _ = finished
    path = folder / "job.json"
    config = json.loads(path.read_bytes())
    path.write_bytes(to_json({**config, "options": {**config["options"], "version": 2}}))
    try:
        with pytest.raises(
            SwerveError, match=r"^\S+ has format version 2, and this is version 4: choose another folder$"
        ):
            run_study(benchmark, [*MEMBERS, StudyPlanner("none", "broken")], load, folder, OPTIONS, workers=1)
    finally:
        path.write_bytes(to_json(config))


def test_closed_loops_share_what_they_say():
    made = StudyOptions("lane-following").closed_loops
    assert list(made) == ["independent", "same", "replay", "crossed"]
    assert {name: (one.simulation, one.scorer, one.traffic) for name, one in made.items()} == {
        "independent": ("dynamic", "nuplan", "log-replay"),
        "same": ("navsim", "epdms", "lane-following"),
        "replay": ("navsim", "epdms", "log-replay"),
        "crossed": ("navsim", "epdms", "navsim-reactive"),
    }
    for policy in ("log-replay", "constant-velocity", "navsim-reactive", "lane-following"):
        made = StudyOptions(policy, rate=1.0, seconds=6.0).closed_loops
        assert all((one.rate, one.seconds) == (1.0, 6.0) for one in made.values())
        assert made["same"].traffic == policy
        assert policy not in (made["independent"].traffic, made["crossed"].traffic)


def test_options_that_cannot_be():
    with pytest.raises(SwerveError, match="density: 0 must"):
        StudyOptions(density=0.0)
    for wrong in ((), ("same", "same")):
        with pytest.raises(SwerveError, match="references: give each once"):
            StudyOptions(references=wrong)
    with pytest.raises(SwerveError, match="rate"):
        StudyOptions(rate=3.0)
