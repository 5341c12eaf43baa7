"""Observations contain exactly the inputs that a planner declares."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import build_context
from swerve.eval.benchmark.evaluate.observations import observation_of, observations_of
from swerve.scenes import Scene, SwerveError, notices
from swerve.scenes.viewpoints import Command
from tests.support.simple_planners import Cruise
from tests.support.simple_scene_group import RenderedViews, simple_scene_group


class Sees(Cruise):
    def __init__(self, cameras=None, privileged=False):
        super().__init__()
        self.cameras, self.privileged = cameras, privileged


def told(token, planner, views=None, scene_group=None):
    frame = (scene_group or simple_scene_group()).scenes[token]
    context = build_context(frame.viewpoint.scene, frame.token, frame.follow_up)
    return observation_of(frame, context, planner, views), context


def test_history_and_command():
    observation, _ = told("now", Cruise())
    history = observation.history
    assert np.allclose(history.seconds, np.linspace(-1.5, 0, 16))
    assert np.allclose(history.poses, np.column_stack([np.linspace(-15, 0, 16), np.zeros((16, 2))]))
    assert np.allclose(history.velocity, [10, 0])
    assert np.allclose(history.acceleration, 0)
    assert observation.command == Command.STRAIGHT
    assert observation.time_us == 1_003_000_000
    assert "now" not in observation.token, "tokens say where in its grid a follow-up stands"
    assert observation.vehicle.name == "pacifica"


def test_history_of_steps_of_half_a_second_is_the_same():
    scene_group = simple_scene_group()
    viewpoint = scene_group.scenes["now"].viewpoint
    log, rows = viewpoint.scene.log, np.arange(0, 121, 5)
    coarse = replace(
        log,
        times_us=log.times_us[rows],
        ego=log.ego.at(rows),
        tracks=log.tracks.at(rows),
        lights=log.lights.at(rows),
    )
    scene = Scene(coarse, 6, 3, 8)
    human = viewpoint.human[4::5][:8]
    half = replace(viewpoint, scene=scene, ego=scene.ego.at(slice(0, 4)), human=human, target=human)
    frame = replace(scene_group.scenes["now"], viewpoint=half)
    known, _ = told("now", Cruise())
    observation = observation_of(frame, build_context(scene, "now"), Cruise(), None)
    for name, values in vars(known.history).items():
        assert np.allclose(getattr(observation.history, name), values, atol=1e-9), name


def test_privileged_only_if_declared():
    assert told("now", Cruise())[0].privileged is None
    privileged_input = told("now", Sees((), privileged=True))[0].privileged
    assert privileged_input.ego[3] == pytest.approx(10)
    assert np.allclose(privileged_input.human, np.column_stack([5.0 * np.arange(1, 9), np.zeros((8, 2))]))


def test_follow_ups_know_where_the_logged_driver_was():
    """The scene's own log has no human after now; the viewpoint does. The start is 5 m ahead of it, 0.5 m left."""
    privileged_input = told("now4", Sees((), privileged=True))[0].privileged
    assert np.allclose(privileged_input.human[:, :2], np.column_stack([5.0 * np.arange(1, 9) - 5.0, np.full(8, -0.5)]))
    scene_group = simple_scene_group()
    frame = scene_group.scenes["now4"]
    human = frame.viewpoint.human[:20]
    unknown = replace(frame, viewpoint=replace(frame.viewpoint, human=human, target=human))
    scene_group = replace(scene_group, scenes={"now4": unknown})
    assert told("now4", Sees((), privileged=True), scene_group=scene_group)[0].privileged.human is None


def test_images_only_of_declared_cameras():
    views = RenderedViews()
    observation, _ = told("now", Sees(), views)
    assert [camera.name for camera in observation.cameras] == list(observation.images) == ["front", "back"]
    observation, _ = told("now", Sees(("back",)), views)
    assert [camera.name for camera in observation.cameras] == list(observation.images) == ["back"]
    assert observation.images["back"].shape == (4, 6, 3)
    observation, _ = told("now", Cruise(), views)
    assert (observation.cameras, observation.images) == ((), {})
    assert views.asked == [("now", ("back", "front")), ("now", ("back",))]


def test_planners_share_what_they_see_and_cannot_spoil_it():
    views, frame = RenderedViews(), simple_scene_group().scenes["now"]
    context = build_context(frame.viewpoint.scene, frame.token)
    first, second, third = observations_of(frame, context, [Sees(("back",)), Sees(("front", "back")), Cruise()], views)
    assert views.asked == [("now", ("back", "front"))]
    assert list(first.images) == ["back"]
    assert list(second.images) == ["front", "back"]
    assert not third.images
    for values in (first.images["back"], first.history.poses):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 0


class OtherNames(RenderedViews):
    """Views of a rig that calls its front camera otherwise."""

    def cameras(self, frame):
        return tuple(replace(one, name={"front": "cam_f0"}.get(one.name, one.name)) for one in super().cameras(frame))


def test_cameras_are_found_by_role_and_bear_the_planners_name(caplog, monkeypatch):
    monkeypatch.setattr(notices, "_SAID", set())
    scene_group, views = simple_scene_group(), OtherNames()
    frame = scene_group.scenes["now"]
    context = build_context(frame.viewpoint.scene, frame.token)
    planners = [Sees(("front",)), Sees(("cam_f0",)), Sees(("back", "front"))]
    for _ in range(2):
        by_role, by_name, both = observations_of(frame, context, planners, views)
    assert views.asked == [("now", ("back", "cam_f0"))] * 2
    assert [list(one.images) for one in (by_role, by_name, both)] == [["front"], ["cam_f0"], ["front", "back"]]
    assert [camera.name for camera in both.cameras] == ["front", "back"]
    own, other = by_role.cameras[0], by_name.cameras[0]
    assert np.array_equal(own.ego_from_camera, other.ego_from_camera)
    assert by_role.images["front"] is by_name.images["cam_f0"]
    assert caplog.messages == ["note: cameras of Sees, which are here by other names: front is cam_f0"]


def test_a_role_that_no_camera_has_is_refused():
    with pytest.raises(SwerveError, match=r"needs camera 'left'; there are: cam_f0, back\. Names are .* or else roles"):
        told("now", Sees(("left",)), OtherNames())
    with pytest.raises(SwerveError, match="are the same camera, cam_f0"):
        told("now", Sees(("front", "cam_f0")), OtherNames())


def test_images_that_nobody_has_are_an_error():
    with pytest.raises(SwerveError, match="scene now: Sees needs images, and this benchmark has none"):
        told("now", Sees())
    with pytest.raises(SwerveError, match="needs camera 'roof'; there are: front, back"):
        told("now", Sees(("roof",)), RenderedViews())


def test_cameras_as_one_text_are_an_error():
    """The letters of it are no cameras."""
    with pytest.raises(SwerveError, match=r"cameras are one text, 'front': declare a tuple, cameras = \('front',\)"):
        told("now", Sees("front"), RenderedViews())


def test_too_short_a_history_is_an_error():
    scene_group = simple_scene_group()
    frame = scene_group.scenes["now"]
    scene = frame.viewpoint.scene
    short = replace(frame.viewpoint, scene=replace(scene, history=5), ego=frame.viewpoint.ego.at(slice(15, 21)))
    with pytest.raises(SwerveError, match=r"scene now: has less than 1\.5 s of history"):
        told("now", Cruise(), scene_group=replace(scene_group, scenes={"now": replace(frame, viewpoint=short)}))
