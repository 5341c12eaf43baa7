"""Every part of every log is handed out once, whatever the workers do."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.jobs.schedule import Schedule, Task


def drain(schedule, chunks, workers, rng):
    """Workers that finish in any order; the log's parts are known when its first part begins."""
    done, held, busy = [], [None] * workers, [None] * workers
    while True:
        for worker in range(workers):
            if busy[worker] is None and (task := schedule.next(held[worker])):
                busy[worker], held[worker] = task, task.log
        active = [worker for worker in range(workers) if busy[worker]]
        if not active:
            return done
        worker = rng.choice(active)
        task = busy[worker]
        schedule.opened(task.log, chunks[task.log])
        done.append(task)
        busy[worker] = None


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 99))
def test_every_part_once(sizes, workers, seed):
    chunks = {f"log{number}": size for number, size in enumerate(sizes)}
    done = drain(Schedule(chunks, {}), chunks, workers, random.Random(seed))
    wanted = [Task(log, chunk) for log, size in chunks.items() for chunk in range(size)]
    assert sorted(done, key=str) == sorted(wanted, key=str)


@given(st.integers(0, 99))
def test_what_is_finished_is_not_handed_out(seed):
    chunks = {"a": 3, "b": 2, "c": 2}
    schedule = Schedule(chunks, {"a": ({0, 2}, 3), "b": ({0, 1}, 2)})
    done = drain(schedule, chunks, 2, random.Random(seed))
    assert sorted(done, key=str) == [Task("a", 1), Task("c", 0), Task("c", 1)]


def test_a_worker_keeps_its_log_and_helps_at_the_end():
    schedule = Schedule(["a", "b"], {})
    assert schedule.next(None) == Task("a", 0)
    assert schedule.next(None) == Task("b", 0)
    assert schedule.next(None) is None
    schedule.opened("a", 4)
    schedule.opened("b", 1)
    assert schedule.next("a") == Task("a", 1)
    assert schedule.next("b") == Task("a", 3)
    assert schedule.next("a") == Task("a", 2)


@pytest.mark.parametrize("held", ["a", None])
def test_an_abandoned_log_is_not_handed_out(held):
    schedule = Schedule(["a"], {})
    schedule.next(None)
    schedule.opened("a", 4)
    schedule.abandon("a")
    assert schedule.next(held) is None
