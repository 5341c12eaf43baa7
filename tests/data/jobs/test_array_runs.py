"""Runs of an array share a job by its folder alone, and make what one run makes."""

import fcntl
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.jobs import ArrayPart, ArrayPartDone, Execution, job_config, open_job, run_work
from swerve.data.jobs.array_runs import remove_leftovers_of_part
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.run_state import RunState, StateFile
from swerve.data.jobs.schedule import Schedule
from swerve.scenes import SwerveError
from tests.data.jobs.test_schedule import drain
from tests.support.counting_work import LAYOUT, CountingWork, finished_of, squares_of

CHUNKS = {"a": 3, "b": 1, "c": 4}


def run(folder, execution, wrong=None, is_last=True, layout=LAYOUT):
    work, config = CountingWork(folder, CHUNKS, wrong or {}), job_config({}, [("simple", log) for log in CHUNKS], ())
    with open_job(folder, config, layout, execution):
        return run_work(work, folder, list(CHUNKS), finished_of(folder, CHUNKS), "squares", execution, None, is_last)


def part(number, count):
    return Execution(1, ArrayPart(number, count))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20), st.integers(1, 7), st.integers(0, 99))
def test_every_part_is_made_by_exactly_one_run(sizes, count, seed):
    chunks = {f"log-{number}": size for number, size in enumerate(sizes)}
    rng, made = random.Random(seed), []
    for number in range(1, count + 1):
        schedule = Schedule(list(chunks), {}, ArrayPart(number, count).owns(list(chunks)), count)
        made += [task for task in drain(schedule, chunks, 2, rng) if task.chunk < chunks[task.log]]
    assert len(made) == len(set(made)) == sum(sizes)


def test_many_logs_are_shared_whole():
    logs = [f"log-{number}" for number in range(12)]
    owners = [[ArrayPart(number, 3).owns(logs)(log, 5) for number in (1, 2, 3)] for log in logs]
    assert [row.index(True) for row in owners] == [0, 1, 2] * 4
    assert ArrayPart(1, 3).owns(logs)("log-0", 0) == ArrayPart(1, 3).owns(logs)("log-0", 1)


def test_runs_make_the_whole_job_together(tmp_path):
    for number in (2, 1):
        with pytest.raises(ArrayPartDone, match=f"Run {number}/2 made") as done:
            run(tmp_path, part(number, 2))
        assert not done.value.failures
    outcome = run(tmp_path, Execution(finish=True))
    assert outcome.item_count == 3 * 8
    assert squares_of(tmp_path) == {f"{log}-{c:05d}": c**2 for log, count in CHUNKS.items() for c in range(count)}


def test_what_is_missing_is_named_with_the_runs_that_make_it(tmp_path):
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))
    with pytest.raises(SwerveError, match=r"1 logs and 3 parts of logs are missing.* again: --part 2/2$"):
        run(tmp_path, Execution(finish=True))
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(2, 2))
    (tmp_path / "squares" / "c-00003.json").unlink()
    with pytest.raises(SwerveError, match=r"1 parts of logs are missing, the first: c, part 3. .*: --part 2/2"):
        run(tmp_path, Execution(finish=True))


def test_a_job_without_runs_cannot_be_finished(tmp_path):
    with pytest.raises(SwerveError, match=r"3 logs are missing, .* Start the job, or its runs with --part K/N"):
        run(tmp_path, Execution(finish=True))


def test_failures_of_runs_are_those_of_the_job(tmp_path):
    wrong = {("a", 1): "killed", ("b", None): "refused"}
    for number in (1, 2):  # both read "b", which may have a part for each
        with pytest.raises(ArrayPartDone) as done:
            run(tmp_path, part(number, 2), wrong)
        assert done.value.failures == number
    outcome = run(tmp_path, Execution(finish=True))
    assert sorted(failure.log for failure in outcome.failures) == ["a", "b"]
    with pytest.raises(ArrayPartDone):  # started again, it heals
        run(tmp_path, part(2, 2))
    assert [failure.log for failure in run(tmp_path, Execution(finish=True)).failures] == []


def test_a_later_stage_waits_for_all_runs(tmp_path):
    with pytest.raises(ArrayPartDone, match="start all runs again") as done:
        run(tmp_path, part(1, 2), is_last=False)
    assert done.value.again
    assert run(tmp_path, part(2, 2), is_last=False).item_count == 3 * 8
    assert run(tmp_path, part(1, 2), is_last=False).item_count >= 3 * 4


def test_one_folder_has_one_array_and_each_run_once(tmp_path):
    config = job_config({}, [("simple", log) for log in CHUNKS], ())

    def opened(execution):
        return open_job(tmp_path, config, LAYOUT, execution)

    with opened(part(1, 2)), opened(part(2, 2)):
        with pytest.raises(SwerveError, match="--part 1/2 of this job is writing"), opened(part(1, 2)):
            pass
        with pytest.raises(SwerveError, match=r"--part ./2 of this job is writing"), opened(part(1, 3)):
            pass
        with pytest.raises(SwerveError, match="another job is writing"), opened(Execution()):
            pass
    with opened(Execution()), pytest.raises(SwerveError, match="another job is writing"), opened(part(1, 2)):
        pass
    with opened(part(1, 3)):
        pass


def test_a_run_leaves_the_files_of_others(tmp_path):
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))
    (tmp_path / "squares" / "c-00001.json.part").write_text("half")
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))
    assert (tmp_path / "squares" / "c-00001.json.part").exists()
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(2, 2))
    run(tmp_path, Execution(finish=True))
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_that_is_started_again_removes_what_it_left(tmp_path):
    """Each preemption would leave one more shard, until the job is completed."""
    layout = replace(LAYOUT, parts={**LAYOUT.parts, "records": ".json"})
    mine, other = (tmp_path / "records" / f"c-0000{chunk}.json.node-7-123.part" for chunk in (0, 1))
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2), layout=layout)
    mine.write_text("half")
    other.write_text("half")
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2), is_last=False, layout=layout)
    assert mine.exists(), "parts of a later stage may be other runs'"
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2), layout=layout)
    assert (mine.exists(), other.exists()) == (False, True)


def test_only_files_of_a_runs_own_parts_are_removed(tmp_path):
    kept = (
        "train/c-00001.tar",
        "train/x-00000.tar",
        "squares/c-00000.json",
        "maps/c-00000.npz",
        "records/c-00003.json",
    )
    for name in ("train/c-00000.tar", "records/c-00002.json", *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.node-7-123.part").write_text("half")
    remove_leftovers_of_part(tmp_path, list(CHUNKS), ArrayPart(1, 2).owns(list(CHUNKS)))
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part")}
    assert left == {f"{name}.node-7-123.part" for name in kept}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "a/b", "1", "-1/2", "1/2/3", ""])
def test_shares_are_checked(text):
    with pytest.raises(SwerveError, match=r"--part"):
        Execution.parse(None, text, "bar")


def test_the_status_is_read_from_the_folder(tmp_path):
    with pytest.raises(SwerveError, match="not the output of a job"):
        job_status(tmp_path)
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))
    status = job_status(tmp_path)
    assert (status.logs, status.complete, status.is_running, status.array) == (3, False, False, 2)
    assert status.share == pytest.approx(0.5)
    (state,) = status.runs
    assert (state.run, state.state.phase, state.state.share, state.state.noun) == ("1/2", "ended", 1.0, "squares")
    running = RunState("running", "squares", 3, 0.25, 1, 10.0, 0.3, 30.0)
    StateFile(tmp_path / "runs" / "2-of-2.state.json", "2/2").write(running)
    status = job_status(tmp_path)
    assert status.is_running
    assert status.share == pytest.approx(0.625)
    (tmp_path / "done.json").write_text("{}")
    assert job_status(tmp_path).complete
    (tmp_path / "runs" / "2-of-2.state.json").write_text("{")
    assert len(job_status(tmp_path).runs) == 1


def test_a_run_whose_process_is_gone_is_dead(tmp_path):
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))
    path = tmp_path / "runs" / "1-of-2.state.json"
    text = path.read_text().replace('"ended"', '"running"')
    pid = text.split('"pid": ')[1].split(",")[0]
    path.write_text(text)
    assert job_status(tmp_path).is_running
    path.write_text(text.replace(f'"pid": {pid}', '"pid": 4194303'))
    assert not job_status(tmp_path).is_running
    path.write_text(text.replace('"time": 1', '"time": 0'))
    assert not job_status(tmp_path).is_running


def test_a_lock_is_held_while_the_job_is_set_up(tmp_path):
    """A run that starts at the same moment waits, and takes the folder for this job's."""
    (tmp_path / "runs").mkdir()
    with open(tmp_path / "runs" / "setup.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(ArrayPartDone):
        run(tmp_path, part(1, 2))


def test_failures_of_another_job_are_not_those_of_the_job_that_replaces_it(tmp_path):
    """A job of other options had made nothing: its runs' failures say nothing about the parts of this one."""
    everything = {(log, None): "refused" for log in CHUNKS}
    for number in (1, 2):
        with pytest.raises(ArrayPartDone):
            run(tmp_path, part(number, 2), everything)
    other = job_config({"size": 2}, [("simple", log) for log in CHUNKS], ())
    with open_job(tmp_path, other, LAYOUT, Execution(finish=True)), pytest.raises(SwerveError, match="are missing"):
        run_work(CountingWork(tmp_path, CHUNKS), tmp_path, list(CHUNKS), {}, "squares", Execution(finish=True))
