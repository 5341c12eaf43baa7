"""The viewer's server: what it shows follows the time and the switches."""

import socket
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from swerve.scenes.transforms import quaternion_from_rotation, rotation_from_quaternion
from swerve.viz.scene_view import CameraView3D, SplatCloud
from swerve.viz.viser_view import ViserView, plain_text
from tests.support.small_view import STEPS, small_tracks, small_view


@pytest.fixture(scope="module")
def served():
    viser = pytest.importorskip("viser", reason="viser is an extra")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = viser.ViserServer("127.0.0.1", port, verbose=False)
    splats = SplatCloud(
        np.zeros((3, 3), np.float32), np.tile(np.eye(3, dtype=np.float32), (3, 1, 1)),
        np.full((3, 3), 0.5, np.float32), np.full(3, 0.9, np.float32),
    )  # fmt: skip
    yield server, ViserView(server, small_view(splats=splats))
    server.stop()


def test_the_page_is_served(served):
    with urllib.request.urlopen(f"http://127.0.0.1:{served[0].get_port()}", timeout=10) as page:
        assert b"<html" in page.read().lower()


def test_boxes_follow_the_time(served):
    _, shown = served
    for step in (0, 4):
        shown.show(step)
        car, walker = shown._boxes
        np.testing.assert_allclose(car.position, small_tracks().positions[0, step])
        assert (car.visible, walker.visible) == (True, step < 3)
        np.testing.assert_allclose(shown._rig.position, [step, 0.0, 0.0])


def test_the_slider_sets_the_time_and_play_moves_it(served):
    _, shown = served
    shown.show(0)
    shown._playing.value, shown._speed.value = True, "4"
    ticks = iter([True, True, False])
    before = shown.step
    shown.play(until=lambda: next(ticks))
    shown._playing.value = False
    assert shown._slider.value == (before + 2) % STEPS


def test_images_are_those_of_the_step_and_none_where_there_is_none(served):
    _, shown = served
    camera, whole = shown.view.cameras[0].camera, shown.view
    some = CameraView3D(camera, lambda step: np.full((40, 64, 3), 50 + step, np.uint8) if step < 2 else None)
    shown.view = replace(whole, cameras=(some,))
    for step, level in ((1, 51), (3, None), (0, 50)):
        shown.show(step)
        image = shown._frusta[0].image
        assert image is None if level is None else (image == level).all()
        assert (shown._images[0].image.mean() < 40) == (level is None)
    shown.view = whole


def test_groups_are_switched(served):
    _, shown = served
    shown._shown["plans"] = False
    shown.show(3)
    assert not any(handle.visible for handle, _ in shown._group_handles["plans"])
    shown._shown["plans"] = True
    shown.show(0)
    lines = shown._group_handles["plans"]
    assert [handle.visible for handle, _ in lines] == [True, True, False]
    assert {"map", "plans", "follow-ups", "splats"} <= set(shown._group_handles)


def test_facts_are_told_and_do_not_run(served):
    _, shown = served
    shown._tell_track(1, None)
    assert "&lt;b&gt;walker" in shown._facts.content
    assert "<b>" not in shown._facts.content
    assert plain_text("a|b\n[x](http://y) <script>") == "a&#124;b &#91;x&#93;(http://y) &lt;script&gt;"


def test_quaternions_and_rotations_are_inverse():
    rng = np.random.default_rng(0)
    quaternions = rng.normal(size=(20, 4))
    rotations = rotation_from_quaternion(quaternions)
    np.testing.assert_allclose(rotation_from_quaternion(quaternion_from_rotation(rotations)), rotations, atol=1e-12)
    assert (quaternion_from_rotation(rotations)[:, 0] >= 0).all()
