"""NAVSIM's scenes as scenes of a 2 Hz log: worked by hand on small files."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.sources.navsim.frames import GlobalBoxes, LightStatus
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.sources.navsim.scene_filter import SceneFilter
from swerve.data.sources.navsim.scene_log import global_boxes, scene_of
from swerve.data.sources.navsim.scene_windows import scene_from
from swerve.scenes import Lane, LightState, ObjectClass, RoadMap, SwerveError
from swerve.scenes.road_map import GroundHeight
from tests.support.navsim_files import HEADING, ORIGIN, SPEED, frame, write_log

FLAT = GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1.0)


def lane(name):
    line = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    return Lane(name, line, np.array([[0.0, -1.0, 0.0], [10.0, -1.0, 0.0], [10.0, 1.0, 0.0]]), is_connector=True)


@pytest.fixture
def navsim_scene(tmp_path):
    records = [frame(index) for index in range(12)]
    # A light named twice, red once; and a track that is a bicycle from the current frame on, a pedestrian before.
    records[3]["traffic_lights"] = [(7, True), (7, False), (99, True)]
    for index in range(3, 12):
        records[index]["anns"]["gt_names"] = np.array(["vehicle", "bicycle"])
    frames = read_log_frames(write_log(tmp_path, records))
    return scene_from(frames, SceneFilter(num_history_frames=4, num_future_frames=8))


@pytest.fixture
def road_map():
    return RoadMap(lanes=(lane("7"), lane("8")), ground=FLAT)


def test_a_scene_is_a_log_of_its_frames(navsim_scene, road_map):
    scene = scene_of(navsim_scene, road_map, ORIGIN)
    log = scene.log
    assert (scene.now, scene.history, scene.future, log.route) == (3, 3, 8, ("1", "2"))
    np.testing.assert_array_equal(np.diff(log.times_us), 500_000)
    along = SPEED * 0.5 * np.arange(12)
    np.testing.assert_allclose(log.ego.positions[:, 0], along * np.cos(HEADING), atol=1e-8)
    np.testing.assert_allclose(log.ego.headings, HEADING)
    # The vehicle stands 10 m ahead of and 2 m left of where the log began.
    standing = log.tracks.positions[log.tracks.ids.index("standing"), :, :2]
    known = [10 * np.cos(HEADING) - 2 * np.sin(HEADING), 10 * np.sin(HEADING) + 2 * np.cos(HEADING)]
    np.testing.assert_allclose(standing, np.tile(known, (12, 1)), atol=1e-8)


def test_classes_are_those_of_now_and_red_wins(navsim_scene, road_map):
    log = scene_of(navsim_scene, road_map, ORIGIN).log
    assert log.tracks.classes[log.tracks.ids.index("walking")] == ObjectClass.BICYCLE
    assert log.lights.lane_ids == ("7", "8")
    assert log.lights.states[0].tolist() == [LightState.RED] * 12
    assert log.lights.states[1].tolist() == [LightState.GREEN] * 3 + [LightState.UNKNOWN] + [LightState.GREEN] * 8


def test_tracks_come_in_the_order_of_the_current_frame(navsim_scene, road_map):
    boxes = navsim_scene.current.boxes
    swapped = replace(
        boxes,
        boxes=boxes.boxes[::-1],
        names=boxes.names[::-1],
        velocities=boxes.velocities[::-1],
        instance_tokens=boxes.instance_tokens[::-1],
        track_tokens=boxes.track_tokens[::-1],
    )
    frames = list(navsim_scene.frames)
    frames[3] = replace(frames[3], boxes=swapped)
    log = scene_of(replace(navsim_scene, frames=tuple(frames)), road_map, ORIGIN).log
    assert log.track_order == log.tracks.ids == ("walking", "standing")


def test_boxes_turn_with_the_ego_and_static_ones_have_no_velocity(navsim_scene):
    boxes = replace(
        navsim_scene.current.boxes,
        boxes=np.array([[1.0, 2.0, 0.0, 4.0, 2.0, 1.5, 0.1], [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 3.0]]),
        names=("vehicle", "barrier"),
        velocities=np.array([[3.0, 0.0, 0.0], [3.0, 0.0, 0.0]]),
    )
    found = global_boxes(boxes, np.array([100.0, 200.0, np.pi / 2]), np.array([90.0, 200.0, 0.0]))
    np.testing.assert_allclose(found[0], [8.0, 1.0, 0.1 + np.pi / 2, 4.0, 2.0, 1.5, 0.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(found[1, :3], [9.0, 0.0, 3.0 - 1.5 * np.pi], atol=1e-12)
    np.testing.assert_array_equal(found[1, 6:], 0.0)


def test_a_synthetic_scene_goes_on_with_its_later_moments(navsim_scene, road_map):
    later = GlobalBoxes(
        ("standing",),
        ("vehicle",),
        np.array([[ORIGIN[0] + 5.0, ORIGIN[1], 0.5, 4.0, 2.0, 1.6]]),
        np.array([[1.0, 2.0]]),
    )
    lights = (LightStatus(7, "YELLOW", 0), LightStatus(8, "RED", 0))
    own = replace(
        navsim_scene,
        frames=navsim_scene.frames[:4],
        num_future_frames=0,
        synthetic=True,
        future_boxes=(later,) * 8,
        future_lights=(lights,) * 8,
    )
    scene = scene_of(own, road_map, ORIGIN)
    log = scene.log
    assert (scene.now, scene.future) == (3, 8)
    np.testing.assert_array_equal(np.diff(log.times_us), 500_000)
    np.testing.assert_array_equal(log.ego.positions[3:], np.tile(log.ego.positions[3], (9, 1)))
    row = log.tracks.ids.index("standing")
    np.testing.assert_allclose(log.tracks.positions[row, 4:, :2], np.tile([5.0, 0.0], (8, 1)))
    np.testing.assert_array_equal(log.tracks.velocities[row, 4:], np.tile([1.0, 2.0], (8, 1)))
    assert not log.tracks.valid[log.tracks.ids.index("walking"), 4:].any()
    assert log.lights.states[:, 4:].tolist() == [[LightState.GREEN] * 8, [LightState.RED] * 8]


def test_frames_without_annotations_cannot_be_scored(navsim_scene, road_map):
    frames = (*navsim_scene.frames[:5], replace(navsim_scene.frames[5], boxes=None), *navsim_scene.frames[6:])
    with pytest.raises(SwerveError, match="no annotations"):
        scene_of(replace(navsim_scene, frames=frames), road_map, ORIGIN)
