"""The status of a job tells complete from complete with failures, and where the reasons are."""

import json
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from swerve.data.jobs import (
    ArrayPart,
    ArrayPartDone,
    Execution,
    Failure,
    job_config,
    open_job,
    run_work,
    write_failures,
)
from swerve.data.jobs.execution import PartsMissingError
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.run_state import RunState, StateFile, read_states
from swerve.data.storage.files import write_atomically
from swerve.scenes import SwerveError
from swerve.scenes.errors import WriteError
from tests.support.command import invoke
from tests.support.counting_work import LAYOUT, CountingWork, finished_of

CHUNKS = {"a": 3, "b": 1}
# Two parts that cannot be made, and a log that cannot be read.
WRONG = {("a", 0): "refused", ("a", 2): "bug", ("b", None): "refused"}


def run(folder: Path, wrong=None, execution=None, completes=True):
    """Run a job as those of the commands run: failures are written, then the file that completes it."""
    execution = execution or Execution(1)
    config = job_config({}, [("simple", log) for log in CHUNKS], ())
    with open_job(folder, config, LAYOUT, execution):
        work, finished = CountingWork(folder, CHUNKS, wrong or {}), finished_of(folder, CHUNKS)
        outcome = run_work(work, folder, list(CHUNKS), finished, "squares", execution)
        write_failures(folder, outcome.failures)
        if completes or not outcome.failures:
            write_atomically(folder / LAYOUT.completion_file, b"{}")


def told(folder):
    """Return the exit code, the line of JSON and the text of the status."""
    state, text = invoke("status", folder, "--json"), invoke("status", folder)
    assert state.exit_code == text.exit_code
    return text.exit_code, json.loads(state.output), text.output


def test_complete_with_failures_is_not_complete(tmp_path):
    run(tmp_path, WRONG)
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures"], state["complete"]) == (1, "complete with failures", 3, True)
    assert Path(state["failures_file"]) == tmp_path / "failures.json"
    assert "complete with 3 failures, 100.0 %" in text
    assert "a token-0, b: this cannot be squared" in text
    assert "ZeroDivisionError: a fault of the program" in text
    assert f"{tmp_path}/failures.json. The same command tries them again" in text.replace("\n", "")
    checked = invoke("verify", tmp_path)
    assert f"3 failures of the job, in {tmp_path}/failures.json: no damage" in checked.output
    run(tmp_path)
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures"], "failure" in text.split("\n")[0]) == (0, "complete", 0, False)
    assert "failures.json" not in invoke("verify", tmp_path).output


def test_a_job_that_failures_leave_incomplete_has_failed(tmp_path):
    run(tmp_path, WRONG, completes=False)
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures"], state["complete"]) == (1, "failed", 3, False)
    assert "ended incomplete with 3 failures" in text
    # What failed has been tried: no time remains, and the bar is full.
    assert state["share"] == 1.0


def test_the_list_of_an_earlier_run_is_not_that_of_a_killed_one(tmp_path):
    run(tmp_path, WRONG, completes=False)
    path = tmp_path / "runs" / "whole.state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "phase": "stopped", "failures": 1, "share": 0.5}))
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures"], state["failures_file"]) == (1, "stopped", 1, None)
    assert "1 failure counted by the runs" in text


def array_of_two(folder, wrong=None):
    for number in (1, 2):
        with pytest.raises(ArrayPartDone):
            run(folder, wrong, Execution(1, ArrayPart(number, 2)))
        assert job_status(folder).progress == ("stopped", "parts complete")[number - 1]


def test_runs_of_an_array_have_ended_and_then_complete_with_failures(tmp_path):
    array_of_two(tmp_path, WRONG)
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures_file"]) == (1, "parts complete", None)
    assert "parts complete, not yet completed" in text
    assert "all 2 runs have ended: complete the job with swerve finish OUT" in text
    run(tmp_path, execution=Execution(finish=True))
    code, state, _ = told(tmp_path)
    assert (code, state["progress"], state["failures"]) == (1, "complete with failures", 3)


def finishing(folder, error=None):
    """Complete an array up to its last file, look at the status, and end with an error if one is given."""
    execution = Execution(finish=True)
    with open_job(folder, job_config({}, [("simple", log) for log in CHUNKS], ()), LAYOUT, execution):
        found = [told(folder)]  # while the records are read
        run_work(CountingWork(folder, CHUNKS), folder, list(CHUNKS), finished_of(folder, CHUNKS), "squares", execution)
        found.append(told(folder))
        if error is not None:
            raise error
        write_atomically(folder / LAYOUT.completion_file, b"{}")
    return found


def test_an_array_that_is_being_completed_is_neither_complete_nor_waiting(tmp_path):
    array_of_two(tmp_path)
    for code, state, text in finishing(tmp_path):
        assert (code, state["progress"], state["complete"], state["running"]) == (0, "finishing", False, True)
        assert (state["finish"]["alive"], [one["run"] for one in state["runs"]]) == (True, ["1/2", "2/2"])
        assert "parts complete, being completed" in text
        assert f"all 2 runs have ended: swerve finish is at work ({platform.node()}, process {os.getpid()})" in text
    code, state, text = told(tmp_path)
    assert (code, state["progress"]) == (0, "complete")
    assert "all 2 runs have ended\n" in text
    assert "swerve finish" not in text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), WriteError("no space")])
def test_an_array_whose_completion_was_stopped_is_not_complete(tmp_path, error):
    array_of_two(tmp_path)
    with pytest.raises(type(error)):
        finishing(tmp_path, error)
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["finish"]["phase"]) == (1, "stopped", "stopped")
    assert "has not completed the job: start it again" in text
    # A run that goes on makes it an old attempt.
    with pytest.raises(ArrayPartDone):
        run(tmp_path, execution=Execution(1, ArrayPart(1, 2)))
    assert told(tmp_path)[1]["progress"] == "parts complete"


def test_a_completion_that_was_killed_is_not_at_work(tmp_path):
    array_of_two(tmp_path)
    state = StateFile.of(tmp_path / "runs", None, finish=True)
    state.begin()
    assert told(tmp_path)[1]["progress"] == "finishing"
    state.path.write_text(re.sub(r'"pid": \d+', '"pid": 4194305', state.path.read_text()))
    code, found, text = told(tmp_path)
    assert (code, found["progress"], found["running"]) == (1, "stopped", False)
    assert "has not completed the job" in text


def test_a_completion_at_work_counts_where_clocks_differ(tmp_path):
    """The clock of the machine that ran the last part is ahead of that of the one that completes the job."""
    array_of_two(tmp_path)
    StateFile.of(tmp_path / "runs", None, finish=True).begin()
    for path in (tmp_path / "runs").glob("?-of-2.state.json"):
        write_atomically(path, re.sub(rb'"time": \d+', b'"time": %d' % (time.time() + 30), path.read_bytes()))
    assert told(tmp_path)[1]["progress"] == "finishing"


def test_missing_parts_leave_the_completion_stopped(tmp_path):
    array_of_two(tmp_path, {("a", None): "refused"})
    write_failures(tmp_path, [Failure("a", "", "", "of an earlier attempt")])
    (tmp_path / "squares" / "b-00000.json").unlink()
    with pytest.raises(PartsMissingError):
        finishing(tmp_path)
    code, state, _ = told(tmp_path)
    assert (code, state["progress"], state["failures_file"]) == (1, "stopped", None)


def test_a_completion_with_failures_that_leave_no_result_has_failed(tmp_path):
    array_of_two(tmp_path, WRONG)
    write_failures(tmp_path, [Failure("a", "", "", "refused")])
    with pytest.raises(SwerveError, match="no results"):
        finishing(tmp_path, SwerveError("no results"))
    code, state, _ = told(tmp_path)
    assert (code, state["progress"], state["failures"]) == (1, "failed", 1)


def test_a_run_that_waits_for_others_has_not_ended(tmp_path):
    """As of the first stage of a build: its parts are not all that the run has to make."""

    def first_stage():
        execution, config = Execution(1, ArrayPart(1, 2)), job_config({}, [("simple", log) for log in CHUNKS], ())
        with open_job(tmp_path, config, LAYOUT, execution):
            assert [one.state.phase for one in read_states(tmp_path / "runs", "*.state.json")] == ["starting"]
            assert told(tmp_path)[1]["progress"] == "running"
            run_work(CountingWork(tmp_path, CHUNKS), tmp_path, list(CHUNKS), {}, "squares", execution, is_last=False)

    with pytest.raises(ArrayPartDone):
        first_stage()
    assert [one.state.phase for one in read_states(tmp_path / "runs", "*.state.json")] == ["stopped"]


def refused(folder, execution):
    """Open a job, and find an error before a part is made, such as a source that is another one."""
    with open_job(folder, job_config({}, [("simple", log) for log in CHUNKS], ()), LAYOUT, execution):
        raise SwerveError("is not the source that the job began with")


def test_runs_that_are_refused_at_their_start_have_made_no_parts(tmp_path):
    """They would be told to complete the job."""
    for number in (1, 2):
        with pytest.raises(SwerveError, match="is not the source"):
            refused(tmp_path, Execution(1, ArrayPart(number, 2)))
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["share"]) == (1, "stopped", 0.0)
    assert [one["phase"] for one in state["runs"]] == ["stopped"] * 2
    assert "swerve finish" not in text
    with pytest.raises(SwerveError, match="is not the source"):
        refused(tmp_path / "whole", Execution(1))
    assert told(tmp_path / "whole")[1]["runs"][0]["phase"] == "stopped"


def test_a_running_job_has_not_failed(tmp_path):
    run(tmp_path, WRONG, completes=False)
    path = tmp_path / "runs" / "whole.state.json"
    path.write_text(path.read_text().replace('"ended"', '"running"'))
    assert [one.is_alive for one in read_states(tmp_path / "runs", "*.state.json")] == [True]
    code, state, text = told(tmp_path)
    assert (code, state["progress"], state["failures"]) == (0, "running", 3)
    assert "running, " in text
    assert "3 failures counted by the runs" in text
    assert "tries them again" not in text


def test_failures_in_records_are_listed(tmp_path):
    """As of planners, whose failures are scored: the job is complete."""
    run(tmp_path)
    write_failures(tmp_path, [Failure("a", "scene", "planner", "no idea")])
    code, state, text = told(tmp_path)
    assert (code, state["failures"]) == (1, 1)
    assert "a scene planner: no idea" in text


def test_runs_are_summed_and_those_that_need_a_look_come_first(tmp_path):
    with open_job(tmp_path, job_config({}, [("simple", log) for log in CHUNKS], ()), LAYOUT, Execution(1)):
        (tmp_path / "runs").mkdir(exist_ok=True)
    for number in range(1, 41):
        state = RunState("running" if number < 40 else "stopped", "squares", 3, 0.5, 0, 10.0, 0.25, 60.0 + number)
        StateFile(tmp_path / "runs" / f"{number}-of-40.state.json", f"{number}/40").write(state)
    code, state, text = told(tmp_path)
    assert (code, state["count"], state["per_second"], state["seconds_left"]) == (0, 120, 9.75, 99.0)
    assert "120 squares so far, 9.8 a second, 0:01:39 left" in text
    rows = text.split("machine")[1].splitlines()
    assert rows[1].split()[:2] == ["40/40", "stopped"]
    assert "and 10 running: all with --json" in text
    (tmp_path / "runs" / "1-of-40.state.json").unlink()
    assert told(tmp_path)[1]["seconds_left"] is None


@pytest.mark.parametrize(("error", "phase"), [(None, "ended"), (SwerveError("no"), "ended"), (OSError(), "stopped")])
def test_a_job_goes_on_until_it_is_complete(tmp_path, error, phase):
    """Its last part is made, and tables are written, which may take minutes."""
    config = job_config({}, [("simple", log) for log in CHUNKS], ())
    with suppress(SwerveError, OSError), open_job(tmp_path, config, LAYOUT, Execution(1)):
        run_work(CountingWork(tmp_path, CHUNKS), tmp_path, list(CHUNKS), {}, "squares", 1)
        code, state, _ = told(tmp_path)
        assert (code, state["progress"], state["runs"][0]["phase"]) == (0, "running", "completing")
        if error:
            raise error
    assert [one.state.phase for one in read_states(tmp_path / "runs", "*.state.json")] == [phase]
