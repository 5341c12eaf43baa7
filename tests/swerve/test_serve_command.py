"""`swerve serve driver` and `swerve serve renderer` from the shell, and `swerve drive --planners grpc://...`."""

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from swerve.eval.alpasim.protocol import RENDERER, protocol
from swerve.eval.alpasim.stub import Stub
from swerve.planners.open_planner import open_planner
from swerve.scenes import SwerveError
from tests.support.alpasim_client import START_US, Client
from tests.support.command import invoke

FAST = ("--rate", 1, "--seconds", 4, "--scene-interval", 7)


@contextmanager
def serving(*arguments):
    """Run a command that serves; yield its process, its port and what it printed at first."""
    command = [
        sys.executable,
        "-c",
        "from swerve.cli import main; main()",
        "serve",
        *map(str, arguments),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r" on 127\.0\.0\.1:(\d+)", line)
            assert found, line + process.stderr.read()
            yield process, int(found[1]), line
        finally:
            process.kill()


def ended(process, sign=signal.SIGTERM):
    """End a process by a signal; return its exit code, output and errors."""
    process.send_signal(sign)
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


@pytest.mark.slow
def test_rollouts_of_a_served_planner_score_the_same(tmp_path):
    with serving(
        "driver", "--planner", "constant-velocity", "--report", tmp_path / "report.jsonl", "--deadline", 5
    ) as (
        process,
        port,
        line,
    ):
        assert line == f"driver constant-velocity on 127.0.0.1:{port}; cameras: none\n"
        spec = f"grpc://127.0.0.1:{port},cameras=none,label=remote"
        result = invoke("drive", "town:1", tmp_path / "out", "--planners", "constant-velocity", spec, *FAST)
        assert result.exit_code == 0, result.output
        code, out, err = ended(process)
    rows = pq.read_table(tmp_path / "out" / "rollouts.parquet").to_pylist()
    own, there = ([row for row in rows if row["planner"] == name] for name in ("constant-velocity", "remote"))
    assert len(own) == len(there) >= 2
    for one, other in zip(own, there, strict=True):
        assert other["score"] == pytest.approx(one["score"], abs=1e-4)
        assert other["progress"] == pytest.approx(one["progress"], abs=1e-3)
    assert code == 143
    assert re.search(
        rf"{len(own)} sessions: {4 * len(own)} drive calls, 0 late, 0 failed; \d+\.\d ms in the median", out
    )
    assert err.count(" begins; cameras: none") == err.count(" ends: 4 drive calls, 0 late, 0 failed") == len(own)
    assert err.splitlines()[-1] == "Stopped by SIGTERM."
    reports = [json.loads(text) for text in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [one["drives"] for one in reports] == [4] * len(own)


def served_here(monkeypatch, kind, *arguments, client):
    """Run a command that serves in this process; it ends after `client` was called with its port."""

    def until_stopped(server, every_tick=None):
        client(server.port)

    monkeypatch.setattr(f"swerve.serve_{kind}_command.serve_until_stopped", until_stopped)
    return invoke("serve", kind, *arguments, "--port", 0)


def test_a_planner_of_a_user_runs_in_its_process_and_its_failures_are_named(monkeypatch):
    planner, told = "tests.support.hostile_planners:Dies", []

    def drive(port):
        client = Client(port, timeout=120.0)
        client.start()
        client.move([START_US])
        with pytest.raises(SwerveError) as error:
            client.drive()
        told.append(str(error.value))
        client.stub.close()

    # The process that died is started again, which takes seconds on a busy machine.
    result = served_here(monkeypatch, "driver", "--planner", planner, "--deadline", 100, client=drive)
    assert result.exit_code == 0, result.output
    assert f"INTERNAL: drive: planner {planner} failed: " in told[0]
    assert f"driver {planner} on" in result.output
    assert "1 sessions: 1 drive calls, 0 late, 1 failed" in result.output
    assert "prepare_image" not in result.output


def test_the_process_of_a_planner_ends_with_the_command(monkeypatch):
    opened = []

    def note_opened(*arguments):
        opened.append(open_planner(*arguments))
        return opened[0]

    monkeypatch.setattr("swerve.serve_driver_command.open_planner", note_opened)
    planner = "tests.support.hostile_planners:Honest"
    assert served_here(monkeypatch, "driver", "--planner", planner, client=lambda _: None).exit_code == 0
    assert opened[0].planner._process is None


def test_a_served_renderer_draws(monkeypatch):
    told = []

    def ask(port):
        stub = Stub(RENDERER, f"127.0.0.1:{port}", 30.0)
        told.append((port, list(stub.call("get_available_scenes", protocol().Empty()).scene_ids)))
        stub.close()

    result = served_here(monkeypatch, "renderer", "town:1", client=ask)
    assert [names for _, names in told] == [["town-000000"]]
    assert f"renderer raster-rap of 1 logs on 127.0.0.1:{told[0][0]}\n" in result.output


def test_mistakes_are_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command, reason in (
            (
                ("driver", "--planner", "stationary", "--port", port),
                rf"cannot listen on 127\.0\.0\.1:{port}: it is taken",
            ),
            (("renderer", "town:1", "--port", port), "it is taken"),
            (("driver", "--planner", "pdm-closed"), "needs the simulator's traffic"),
            (("driver", "--planner", "nobody"), "no planner is named 'nobody'"),
            (("driver", "--planner", "stationary", "--deadline", 0), "deadline: 0 must be above 0 s"),
            (("driver", "--planner", "stationary", "--port", 70_000), "port: 70000 must lie in"),
            (("driver", "--planner", "stationary", "--vehicle", 1, 1, 1, 1, 1), "vehicle: impossible dimensions"),
            (("renderer", "town:1", "--views", "splat"), "no renderer for splat views"),
            (("renderer", "town:1", "--threads", 0), "threads: 0"),
        ):
            result = invoke("serve", *command)
            assert result.exit_code == 2
            assert re.search(reason, str(result.exception)), str(result.exception)
