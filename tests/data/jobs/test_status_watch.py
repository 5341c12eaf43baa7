"""`swerve status --watch` shows one bar until the job has ended, and ends as `swerve status` does."""

import io
import json
from functools import partial

import pytest
from rich.console import Console

from swerve import status_watch
from swerve.data.jobs import write_failures
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.run_state import RunState, StateFile
from swerve.data.storage.files import make_folder, to_json, write_atomically
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import snapshot
from tests.support.command import invoke


@pytest.fixture
def folder(tmp_path):
    make_folder(tmp_path / "runs")
    job = {"logs": [["simple", "a"]], "kind": "augment", "completion": "summary.json"}
    write_atomically(tmp_path / "job.json", to_json(job))
    return tmp_path


def tell(folder, run, share, failures=0, phase="running", left=60.0):
    count = round(100 * share)
    state = RunState(phase, "samples", count, share, failures, 10.0, count / 10.0, left if phase == "running" else None)
    StateFile(folder / "runs" / f"{run.replace('/', '-of-')}.state.json", run).write(state)


def watched(folder, monkeypatch, *steps, terminal=False):
    """Watch a job that goes on by a step whenever the watch waits; return what was printed, and the waits."""
    waits, output, todo = [], io.StringIO(), iter(steps)

    def wait(seconds):
        waits.append(seconds)
        next(todo)()

    monkeypatch.setattr(status_watch, "_wait", wait)
    console = Console(file=output, width=200, force_terminal=terminal)
    status = status_watch.watch(folder, console)
    assert next(todo, None) is None, "the watch ended before the job"
    return status, output.getvalue(), waits


def complete(folder):
    write_failures(folder, [])
    write_atomically(folder / "summary.json", b"{}")


@pytest.mark.parametrize("terminal", [False, True])
def test_an_array_is_one_bar(folder, monkeypatch, terminal):
    tell(folder, "1/2", 0.25, failures=1)
    tell(folder, "2/2", 0.75, left=90.0)

    def advance():
        tell(folder, "1/2", 1.0, failures=1, phase="ended")
        tell(folder, "2/2", 0.8)

    def end():
        tell(folder, "2/2", 1.0, phase="ended")

    status, text, waits = watched(folder, monkeypatch, advance, end, terminal=terminal)
    assert status.progress == "parts complete"
    assert waits == [2.0, 2.0]
    assert "100 samples, 10.0/s, 1 failed" in text
    assert "0:01:30" in text
    assert "50 %" in text


def test_without_a_terminal_no_line_is_printed_twice(folder, monkeypatch):
    tell(folder, "whole", 0.1)
    shares = [0.1] * 10 + [0.2] * 50 + [0.21] * 50 + [0.3] * 2
    steps = [partial(tell, folder, "whole", share) for share in shares] + [lambda: complete(folder)]
    status, text, waits = watched(folder, monkeypatch, *steps)
    assert status.progress == "complete"
    assert len(waits) == len(steps)
    assert [line.split(" %")[0].strip() for line in text.splitlines()] == ["10", "20", "21", "30"]


def test_a_run_that_has_not_told_yet_is_no_error(folder, monkeypatch):
    StateFile(folder / "runs" / "whole.state.json").begin()
    status, text, _ = watched(folder, monkeypatch, lambda: complete(folder))
    assert status.complete
    assert "starting" in text


@pytest.mark.parametrize(("phase", "code"), [("ended", 1), ("stopped", 1)])
def test_a_job_that_does_not_go_on_is_shown_once(folder, phase, code):
    tell(folder, "whole", 0.5, phase=phase)
    found = invoke("status", folder, "--watch")
    assert found.exit_code == code
    assert "stopped before its end, 50.0 %" in found.output
    complete(folder)
    assert invoke("status", folder, "--watch").exit_code == 0


def test_the_last_state_can_be_a_line_of_json(folder):
    complete(folder)
    found = invoke("status", folder, "--watch", "--json")
    assert found.exit_code == 0
    assert json.loads(found.output)["progress"] == "complete"


def test_states_in_a_store_are_read_anew(folder, monkeypatch):
    tell(folder, "whole", 0.25)
    store = open_store("memory://watched/out")

    def put():
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            store.put(path.relative_to(folder).as_posix(), path)

    put()
    with snapshot(store.url) as local:
        assert job_status(local).share == 0.25
        tell(folder, "whole", 0.75)
        put()
        status_watch.read_anew(local)
        assert job_status(local).share == 0.75
