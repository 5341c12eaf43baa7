import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.data import open_source
from swerve.eval.scoring.score_tables import METRICS
from swerve.scenes import SwerveError, extract_scenes
from tests.support.command import invoke

# It compares two scenes, and has no reason of its own.
LAST = "two_frame_extended_comfort"


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Trajectories of two names for three neighbouring moments of a town's log."""
    source = open_source("town:1")
    scenes = extract_scenes(source.load(source.names()[0]), history=1.5, future=4.0, interval=0.5)[:3]
    poses = [np.column_stack([np.arange(1, 9) * speed, np.zeros((8, 2))]).tolist() for speed in (0.5, 3.0)]
    entry = [{"name": "slow", "poses": poses[0]}, {"name": "fast", "poses": poses[1]}]
    path = tmp_path_factory.mktemp("plans") / "plans.json"
    path.write_text(json.dumps({scene.token: entry for scene in scenes}))
    return path


def run(*arguments):
    return invoke("score", *arguments)


def test_a_log_is_scored_into_a_table(plans, tmp_path):
    result = run("town:1", plans, tmp_path / "new" / "scores.csv", "--name", "fast")
    assert result.exit_code == 0, result.output
    assert "3 scenes, EPDMS" in result.output
    with open(tmp_path / "new" / "scores.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["token"] for row in rows] == [*json.loads(plans.read_text()), "average_all_frames"]
    assert rows[0]["two_frame_extended_comfort"] == ""
    assert rows[1]["two_frame_extended_comfort"] in ("0.0", "1.0")
    stamp = json.loads((tmp_path / "new" / "scores.csv.provenance.json").read_text())
    assert (stamp["stages"], stamp["traffic"], stamp["weighting"]) == (1, "log-replay", None)
    assert stamp["packages"]["numpy"] == np.__version__
    assert len(list((tmp_path / "new").iterdir())) == 3
    assert rows[3]["reasons"] == ""
    for row in rows[:3]:
        explained = {one.split()[0] for one in row["reasons"].split("; ")} - {""}
        assert {name for name in METRICS if row[name] and float(row[name]) < 1} <= {*explained, LAST}
    assert any("makes" in row["reasons"] for row in rows[:3])
    mean = np.mean([float(row["score"]) for row in rows[:3]])
    assert float(rows[3]["score"]) == pytest.approx(mean)


@pytest.mark.slow
def test_traffic_and_parquet_can_be_chosen(plans, tmp_path):
    for traffic in ("constant-velocity", "navsim-reactive", "lane-following"):
        out = tmp_path / f"{traffic}.parquet"
        result = run("town:1", plans, out, "--name", "slow", "--traffic", traffic)
        assert result.exit_code == 0, result.output
        assert pq.read_table(out).num_rows == 4


def test_mistakes_are_named(plans, tmp_path):
    table = tmp_path / "scores.csv"
    for arguments, complaint in (
        ((plans, table), "2 trajectories to choose from"),
        ((tmp_path / "none.json", table), "none.json: file: cannot be read"),
        ((plans, table, "--name", "fast", "--benchmark", tmp_path / "none.json"), "need a neutral source"),
        ((plans, tmp_path / "scores.txt", "--name", "fast"), "written as .csv or .parquet"),
    ):
        error = run("town:1", *arguments).exception
        assert isinstance(error, SwerveError), error
        assert complaint in str(error)
    strange = tmp_path / "strange.json"
    strange.write_text(json.dumps({"12": [[0.0, 0.0, 0.0]] * 8}))
    assert "no scenes 12" in str(run("town:1", strange, table).exception)


@pytest.mark.slow
def test_two_stages_from_a_benchmark_file(test_data, tmp_path):
    golden = test_data.parent / "golden"
    benchmark = golden / "cli" / "two_stage_neutral.json.gz"
    if not benchmark.is_file():
        pytest.skip(f"no golden file {benchmark}")
    tokens = [row["token"] for row in read(golden / "cli" / "two_stage_reactive_constant_velocity.csv")][:-3]
    still = tmp_path / "still.json"
    still.write_text(json.dumps(dict.fromkeys(tokens, [[0.0, 0.0, 0.0]] * 8)))
    for weighting in ("navsim-exact", "stable"):
        out = tmp_path / f"{weighting}.csv"
        result = run(golden / "logs", still, out, "--benchmark", benchmark, "--weighting", weighting)
        # A folder of JSON files is not recognised by itself; it must be named.
        assert isinstance(result.exception, SwerveError)
        source = f"neutral:{golden / 'logs'}"
        result = run(source, still, out, "--benchmark", benchmark, "--weighting", weighting)
        assert result.exit_code == 0, result.output
        assert [row["token"] for row in read(out)][-1] == "extended_pdm_score_combined"


def read(path):
    with open(path) as stream:
        return list(csv.DictReader(stream))
