"""Images that a served planner's own process prepares when they arrive, and keeps until their session needs no more."""

import json
import os
import re
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.benchmark.evaluate.call_planner import call_planner
from swerve.eval.planner_process import PlannerLimits
from swerve.eval.planner_process.priority_lock import PriorityLock
from swerve.planners.open_planner import open_planner
from swerve.scenes import Camera, SwerveError
from swerve.scenes.camera import FORWARD
from swerve.scenes.transforms import rigid_transform
from tests.support.alpasim_client import START_US, Client, places, served, wait_until
from tests.support.observations import moving

RED, DARK = (np.full((30, 40, 3), (value, 10, 10), np.uint8) for value in (200, 100))
CAMERA = Camera("front", 80, 60, 60.0, 60.0, 40.0, 30.0, rigid_transform(FORWARD, np.array([1.5, 0.0, 1.5])))


@contextmanager
def seen_by(folder, in_process=False, **options):
    """Serve a planner that notes what it sees; yield the service, its port, and a function that returns its notes."""
    folder.mkdir(exist_ok=True)
    path = folder / "notes"
    path.touch()
    limits = PlannerLimits(plan_timeout=30.0, in_process=in_process)
    planner = open_planner(f"tests.support.seeing_planners:Seen,path={path}", limits).planner
    try:
        with served(planner, **options) as (service, port, _):
            yield service, port, lambda: path.read_text().splitlines()
    finally:
        if not in_process:
            planner.close()


def started(port, name="one"):
    client = Client(port, name)
    client.start([CAMERA])
    client.move(START_US + 100_000 * np.arange(-15, 11))
    return client


def held(service, notes):
    """Return how many images the planner's process holds."""
    service.planner.check_sensors()
    return int(notes()[-1].split()[-1])


def test_the_process_prepares_what_arrives_and_answers_as_in_process(tmp_path):
    found = {}
    for in_process in (False, True):
        with seen_by(tmp_path / str(in_process), in_process) as (_, port, notes):
            client = started(port)
            client.image("front", encode_image(RED, "png"))
            assert notes()[-1] == "prepare (30, 40, 3) writable False"
            count = len(notes())
            answers = [places(client.drive()) for _ in range(2)]
            assert [line.split()[0] for line in notes()[count:]] == ["plan", "plan"]
            client.image("front", encode_image(DARK, "png"), START_US + 500_000)
            answers.append(places(client.drive(START_US + 500_000)))
            client.close()
            found[in_process] = (answers, notes())
    assert found[False][1] == found[True][1]
    np.testing.assert_array_equal(found[False][0], found[True][0])
    total = RED[::2, ::2].sum()
    assert f"plan front (15, 20, 3) {total} writable False front 20 15.0 prepared True Observation" in found[False][1]


def test_images_are_dropped_when_newer_ones_come_and_with_the_session(tmp_path):
    with seen_by(tmp_path) as (service, port, notes):
        clients = [started(port, name) for name in "ab"]
        for client in clients:
            for row in range(5):
                client.image("front", encode_image(RED, "png"), START_US + row)
        assert held(service, notes) == 4  # the newest two of each session
        clients[0].drive(START_US + 10)
        clients[0].close()
        wait_until(lambda: not service.close_idle() and held(service, notes) == 2)
        clients[1].close()
        wait_until(lambda: not service.close_idle() and held(service, notes) == 0)


def test_a_session_without_further_calls_does_not_keep_images_there(tmp_path):
    with seen_by(tmp_path, session_timeout=0.01) as (service, port, notes):
        client = started(port)
        client.image("front", encode_image(RED, "png"))
        time.sleep(0.02)
        service.close_idle()
        assert len(service) == 0
        wait_until(lambda: not service.close_idle() and held(service, notes) == 0)


def test_a_process_that_was_restarted_prepares_again_what_plans_need(tmp_path):
    with seen_by(tmp_path) as (service, port, notes):
        clients = [started(port, name) for name in "ab"]
        for client, image in zip(clients, (RED, DARK), strict=True):
            client.image("front", encode_image(image, "png"))
        before = [places(client.drive()) for client in clients]
        (tmp_path / "die").touch()
        with pytest.raises(SwerveError, match="exit status 3"):
            clients[0].drive()
        count = len(notes())
        after = [places(client.drive()) for client in clients]
        assert [line.split()[0] for line in notes()[count:]] == ["prepare", "plan"] * 2
        np.testing.assert_array_equal(after, before)
        assert held(service, notes) == 2
        for client in clients:
            client.close()
        wait_until(lambda: not service.close_idle() and held(service, notes) == 0)


def test_a_process_that_ended_between_requests_is_told(tmp_path, caplog):
    with seen_by(tmp_path) as (service, port, _):
        client = started(port)
        client.image("front", encode_image(RED, "png"))
        client.close()
        wait_until(lambda: service.planner._held.any_freed)
        os.kill(service.planner._process._child.pid, signal.SIGSEGV)
        service.close_idle()
        assert "notes: its process ended by SIGSEGV" in caplog.text


def test_an_image_that_breaks_the_planner_is_told_and_the_next_is_prepared(tmp_path):
    with seen_by(tmp_path) as (service, port, _):
        client = started(port)
        (tmp_path / "refuse_black").touch()
        with pytest.raises(SwerveError, match=r"camera front: prepare_image failed: .*ValueError: too dark"):
            client.image("front", encode_image(0 * RED, "png"))
        (tmp_path / "die_preparing").touch()
        with pytest.raises(SwerveError, match=r"camera front: prepare_image failed: .*exit status 3"):
            client.image("front", encode_image(RED, "png"))
        client.image("front", encode_image(RED, "png"))
        assert client.drive().trajectory.poses
        assert service._sessions["one"].report.failed == 2
        client.close()


@pytest.mark.parametrize(
    ("in_process", "breaks"), [(False, "die_preparing"), (False, "refuse_black"), (True, "refuse_black")]
)
def test_the_last_plan_takes_the_place_of_those_whose_images_break_the_planner(tmp_path, in_process, breaks):
    with seen_by(tmp_path, in_process, on_failure="last-plan") as (service, port, _):
        client = started(port)
        client.image("front", encode_image(RED, "png"))
        first = places(client.drive())
        (tmp_path / breaks).touch()
        client.image("front", encode_image(0 * RED, "png"), START_US + 500_000)
        instead = client.drive(START_US + 500_000)
        assert json.loads(instead.debug_info.unstructured_debug_info)["answer"] == "failed"
        np.testing.assert_allclose(np.interp(first[2:, 0], *places(instead).T), first[2:, 1], atol=0.01)
        client.image("front", encode_image(RED, "png"), START_US + 1_000_000)
        again = client.drive(START_US + 1_000_000)
        assert json.loads(again.debug_info.unstructured_debug_info)["answer"] == "planned"
        report = service._sessions["one"].report
        assert (report.drives, report.failed) == (3, 1)
        assert re.search("prepare_image failed: .*(exit status 3|too dark)", *report.errors)
        with pytest.raises(SwerveError, match="INVALID_ARGUMENT"):
            client.image("front", b"damaged")
        client.close()


@pytest.mark.parametrize("in_process", [False, True])
def test_a_planner_that_cannot_prepare_black_images_is_served(tmp_path, in_process, caplog):
    (tmp_path / "refuse_black").touch()
    with caplog.at_level("INFO", "swerve.alpasim"), seen_by(tmp_path, in_process) as (_, port, _):
        client = started(port)
        assert "does not plan on black images" in caplog.text
        client.image("front", encode_image(RED, "png"))
        assert client.drive().trajectory.poses
        client.close()


def test_a_planner_without_preparation_gets_images_as_they_came():
    planner = open_planner("tests.support.seeing_planners:Reddish", PlannerLimits()).planner
    with served(planner) as (_, port, _):
        client = started(port)
        client.image("front", encode_image(RED, "png"))
        speed = 4.0 + RED[..., 0].mean() / 32.0
        assert np.allclose(places(client.drive())[1:, 1], speed * 0.5 * np.arange(1, 9), atol=1e-5)
        client.close()
    assert planner._held._there == set()
    planner.close()


def test_a_network_in_the_process_has_as_many_threads_as_asked():
    planner = open_planner("tests.support.seeing_planners:TellsThreads", PlannerLimits(), threads=3).planner
    assert "threads: 3" in call_planner(planner, [moving()])[0].error
    planner.close()


def test_urgent_owners_of_a_lock_come_first():
    lock, order, begun, go_on = PriorityLock(), [], threading.Event(), threading.Event()

    def own(name, urgent=False):
        with lock.acquired(urgent):
            order.append(name)
            if name == "first":
                begun.set()
                assert go_on.wait(30.0)

    threads = [threading.Thread(target=own, args=("first",))]
    threads[0].start()
    assert begun.wait(30.0)
    assert not lock.free
    threads += [threading.Thread(target=own, args=(f"other {row}",)) for row in range(4)]
    threads += [threading.Thread(target=own, args=("urgent", True))]
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(lock._changed._waiters) == 5, 30.0)
    go_on.set()
    for thread in threads:
        thread.join(30.0)
    assert order[:2] == ["first", "urgent"]
    assert len(order) == 6
    assert lock.free
