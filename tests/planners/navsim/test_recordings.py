"""NAVSIM agents on NAVSIM's own scenes: exactly NAVSIM's inputs, with images of all frames."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.eval import build_context
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.navsim_scenes import NavsimRecording
from swerve.planners import load_planner
from swerve.scenes import SwerveError
from tests.support.observations import moving
from tests.support.simple_scene_group import RenderedViews, simple_scene_group
from tests.support.small_navsim_data import SPEED, one_stage, token_of

pytest.importorskip("torch", reason="NAVSIM agents need torch")
AGENTS = "navsim:tests.support.navsim_agents"


@pytest.fixture
def recording(tmp_path):
    """The scene of frames 1 to 12, of which frame 4 is the current one."""
    split = read_split(one_stage(tmp_path))
    index = index_scenes(navsim_folders(str(tmp_path)), split)
    scene = index.load(token_of(4))
    return NavsimRecording(scene, index.sensors.of(scene))


def test_images_of_all_frames_are_loaded_that_the_agent_asks_for(recording):
    planner = load_planner(f"{AGENTS}.simple_agents.Seeing,past=true").planner
    plan = planner.plan(replace(moving(), recording=recording))
    (given,) = planner.agent.seen
    greys = [cameras.cam_f0.image.mean() for cameras in given.cameras]
    np.testing.assert_allclose(greys, [10, 20, 30, 40], atol=2)
    np.testing.assert_allclose(plan.poses[-1, 0], 4 * given.cameras[-1].cam_f0.image.mean() / 10, rtol=1e-6)
    assert all(cameras.cam_l0.image is None for cameras in given.cameras)
    assert all(lidar.lidar_pc is None for lidar in given.lidars)
    np.testing.assert_array_equal(
        np.array([status.ego_pose for status in given.ego_statuses])[:, 0], np.float32([-9, -6, -3, 0])
    )
    np.testing.assert_array_equal(given.ego_statuses[0].driving_command, [0, 1, 0, 0])
    camera = given.cameras[0].cam_f0
    np.testing.assert_array_equal(camera.intrinsics, [[20, 0, 8], [0, 20, 4], [0, 0, 1]])
    np.testing.assert_array_equal(camera.sensor2lidar_rotation @ [0, 0, 1], [1, 0, 0])
    assert str(camera.camera_path).endswith(f"CAM_F0/{token_of(1)}.jpg")


def test_agent_that_requires_a_scene_gets_all_frames(recording):
    planner = load_planner(f"{AGENTS}.simple_agents.Human").planner
    plan = planner.plan(replace(moving(), recording=recording))
    np.testing.assert_allclose(plan.poses[:, 0], 0.5 * SPEED * np.arange(1, 9))


def test_missing_sensors_are_told(recording):
    planner = load_planner(f"{AGENTS}.simple_agents.Seeing,lidar=true").planner
    with pytest.raises(SwerveError, match="asks for lidar_pc, and the frame has none"):
        planner.plan(replace(moving(), recording=recording))
    planner = load_planner(f"{AGENTS}.simple_agents.Seeing").planner
    with pytest.raises(SwerveError, match="the image cannot be read"):
        planner.plan(replace(moving(), recording=replace(recording, folder=recording.folder / "other")))
    scene = recording.scene
    blind = replace(scene, frames=tuple(replace(frame, cameras={}) for frame in scene.frames))
    with pytest.raises(SwerveError, match=r"the agent asks for cam_f0. Cameras that are there: none"):
        planner.plan(replace(moving(), recording=replace(recording, scene=blind)))


class Recorded(RenderedViews):
    """Views with recordings."""

    def recording(self, frame):
        return f"recording of {frame.token}"


def test_observations_have_recordings_for_planners_that_declare_it():
    scene_group = simple_scene_group()
    scene = scene_group.scenes["now"]
    context = build_context(scene.viewpoint.scene)
    agent = load_planner(f"{AGENTS}.simple_agents.Seeing,past=true").planner
    views = Recorded()
    seen = observation_of(scene, context, agent, views)
    assert seen.recording == "recording of now"
    assert seen.images == {}
    assert views.asked == []
    disturbed = load_planner(f"{AGENTS}.simple_agents.Seeing,past=true,delay=0.5").planner
    assert observation_of(scene, context, disturbed, views).recording == "recording of now"
    assert observation_of(scene, context, load_planner("constant-velocity").planner, views).recording is None
    with pytest.raises(SwerveError, match="of earlier frames"):
        observation_of(scene, context, agent, RenderedViews())
