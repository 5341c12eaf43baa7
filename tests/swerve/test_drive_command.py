import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from swerve.cli import app
from swerve.eval.closed_loop import ROLLOUT_METRICS


def run(*arguments):
    return CliRunner().invoke(app, ["drive", *map(str, arguments)], terminal_width=100)


FAST = ("--rate", 1, "--seconds", 4, "--every", 7)


def test_planners_are_driven_into_tables_and_pictures(tmp_path):
    out = tmp_path / "out"
    result = run("town:1", "--planner", "constant-velocity", "--planner", "human,label=driver", *FAST, "--out", out)
    assert result.exit_code == 0, result.output
    assert "driver" in result.output
    assert "constant-velocity" in result.output
    rows = pq.read_table(out / "rollouts.parquet").to_pylist()
    with open(out / "rollouts.csv") as stream:
        assert [row["token"] for row in csv.DictReader(stream)] == [row["token"] for row in rows]
    assert f"{len(rows)} roll-outs" in result.output
    assert {row["planner"] for row in rows} == {"constant-velocity", "driver"}
    assert len({row["token"] for row in rows}) == len(rows) / 2 >= 2
    assert {*ROLLOUT_METRICS, "score", "reasons", "error"} <= set(rows[0])
    means = {name: _mean_score(rows, name) for name in ("driver", "constant-velocity")}
    lines = [line.split() for line in result.output.splitlines()]
    table = {line[0]: line[1] for line in lines if line and line[0] in means}
    assert table == {name: f"{mean:.3f}" for name, mean in means.items()}
    assert list(table) == sorted(means, key=lambda name: -means[name])
    stamp = json.loads((out / "rollouts.csv.provenance.json").read_text())
    assert (stamp["traffic"], stamp["rate"], stamp["seconds"]) == ("log-replay", 1.0, 4.0)
    for name in ("driver", "constant-velocity"):
        with Image.open(out / f"worst-{name}.png") as picture:
            assert picture.size == (900, 900)
    assert len(list(out.iterdir())) == 6


def _mean_score(rows, planner):
    return np.mean([row["score"] for row in rows if row["planner"] == planner])


def test_a_planner_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    (tmp_path / "wheel.py").write_text(
        "class Bad:\n    cameras = ()\n    def plan(self, observation):\n        raise RuntimeError('no idea')\n"
    )
    monkeypatch.chdir(tmp_path)
    result = run("town:1", "--planner", "wheel:Bad", "--planner", "stationary", *FAST, "--traffic", "lane-following")
    assert result.exit_code == 1
    assert "wheel:Bad failed in log town-000000" in result.output
    assert "RuntimeError: no idea" in result.output
    rows = pq.read_table(tmp_path / "rollouts" / "rollouts.parquet").to_pylist()
    assert all(row["failed"] == (row["planner"] == "wheel:Bad") for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("town:1", "--planner", "stationary", "--rate", 3), "rate: 3 plans per second"),
        (("town:1", "--planner", "stationary", "--planner", "stationary"), "two planners are called 'stationary'"),
        (("town:1", "--planner", "stationary", "--seconds", 60), "use fewer --seconds"),
        (("town:1", "--planner", "nobody"), "no planner is called 'nobody'"),
        (("town:1", "--planner", "stationary", "--log", "town-000009"), "town-000009"),
    ],
)
def test_mistakes_are_named(arguments, message, tmp_path):
    result = run(*arguments, "--out", tmp_path)
    assert result.exit_code != 0
    assert message in str(result.exception)
