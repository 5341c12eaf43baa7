"""Inputs of an observation are those of the training sample of the same view: no gap between training and test."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.stored_views import RenderedViews, StoredViews
from swerve.eval.benchmark.view_renderers import RasterRenderer
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig, EgoMlpModel
from swerve.planners.learning import LearnedPlanner, inputs_of, views_of
from swerve.planners.learning.inputs import past_poses
from swerve.planners.rap import RapConfig, RapModel
from swerve.scenes import SwerveError
from swerve.scenes.resize import Resize
from tests.support.rap_views import rig_of
from tests.support.simple_source import SimpleSource

CONFIG = RapConfig.tiny(image_height=40, image_width=72, dim=16, mlp_dim=16, heads=2)
BLIND = EgoMlpConfig.tiny()
PAST = RapConfig.tiny(cameras=("front", "front@1", "front@0.5"), image_height=40, image_width=72, dim=16, mlp_dim=16)


@pytest.fixture(scope="module")
def same_log(tmp_path_factory):
    """A set and a benchmark of one log."""
    folder, source = tmp_path_factory.mktemp("same"), SimpleSource(("train-1",))
    past = {"past_frames": 2, "past_interval": 0.5}
    augment(
        [source],
        folder / "set",
        AugmentOptions(scene_interval=2.0, viewpoints=("logged",), size=(72, 40), **past),
        workers=1,
    )
    options = BuildOptions(
        scene_interval=2.0, size=(72, 40), views=("raster",), traffic="log-replay", min_follow_ups=1, max_follow_ups=1
    )
    assert not build([source], folder / "benchmark", options, workers=1).failures
    return folder


def rendered(scene):
    return RenderedViews(lambda: RasterRenderer().prepare(scene.viewpoint.scene.log), Resize((72, 40)))


@pytest.mark.parametrize(("config", "model"), [(CONFIG, RapModel), (BLIND, EgoMlpModel), (PAST, RapModel)])
def test_inputs_of_an_observation_are_a_training_rows(same_log, config, model):
    fit = ImageFit((config.image_width, config.image_height))
    stream = SampleStream(same_log / "set", StreamOptions((Part("raster_only"),), fit, config.cameras, batch_size=3))
    batch = stream.batch(0).to()
    trained = views_of(batch, [None] * 3, config).inputs
    benchmark, compared = open_benchmark(same_log / "benchmark", "raster"), 0
    planner = LearnedPlanner(model(config), {})
    for name in benchmark.scene_groups("train-1"):
        group = benchmark.scene_group(name)
        now = group.scenes[group.group.now]
        inputs = inputs_of([observation_of(now, now.context(), planner, group.views)], config)
        (row,) = [row for row, one in enumerate(batch.provenance) if f"-{one.token}-" in now.token]
        assert len(inputs) == 1
        for field in ("images", "present", "status", "past", "motion", "footprint"):
            own, other = getattr(inputs, field)[0], getattr(trained, field)[row]
            torch.testing.assert_close(own, other, atol=2e-5, rtol=1e-5, msg=field)
        for field in ("camera_from_ego", "intrinsics", "rays"):
            own, other = getattr(inputs.rig, field), getattr(trained.rig, field)
            if own is not None:
                torch.testing.assert_close(own[0], other[row], atol=1e-5, rtol=1e-5, msg=field)
        compared += 1
    assert compared >= 2
    assert trained.past.abs().sum() > 0


def test_follow_ups_have_past_frames_and_stored_views_have_none(same_log, tmp_path):
    benchmark, planner = open_benchmark(same_log / "benchmark", "raster"), LearnedPlanner(RapModel(PAST), {})
    group = benchmark.scene_group(benchmark.scene_groups("train-1")[0])
    scene = next(one for one in group.scenes.values() if one.follow_up)
    context = scene.context()
    observation = observation_of(scene, context, planner, rendered(scene))
    assert [camera.name for camera in observation.cameras] == ["front", "front@1", "front@0.5"]
    # The camera of half a second ago stands where the history says that the ego was.
    then, history = observation.cameras[2], observation.history
    pose = history.poses[np.abs(history.seconds + 0.5).argmin()]
    front = observation.cameras[0].ego_from_camera[:3, 3]
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    placed = pose[:2] + np.array([[cos, -sin], [sin, cos]]) @ front[:2]
    np.testing.assert_allclose(then.ego_from_camera[:2, 3], placed, atol=1e-3)
    assert len({image.tobytes() for image in observation.images.values()}) == 3
    trajectory = planner.plan(observation)
    assert np.isfinite(trajectory.poses).all()
    with pytest.raises(SwerveError, match=r"needs past frames \(front@1, front@0.5\), and only images of now"):
        observation_of(scene, context, planner, StoredViews(tmp_path / "none.tar", Resize((72, 40))))


def test_networks_are_told_how_long_ago_an_image_is():
    """Two images at the same place differ by their time alone."""
    model = RapModel(PAST)
    rig = rig_of(PAST, 1, ("front", "front", "front"))
    embedded = model.neck.embedding(rig, 5, 9)[0]
    assert (embedded[0] - embedded[1]).abs().max() > 1e-3
    assert (embedded[1] - embedded[2]).abs().max() > 1e-3
    assert not [name for name in RapModel(CONFIG).state_dict() if name.startswith("neck.age")]
    with pytest.raises(SwerveError, match="a past frame is CAMERA@SECONDS"):
        RapConfig.tiny(cameras=("front", "front@soon"))


def test_the_past_before_the_log_is_zero():
    seconds = np.array([-1.0, -0.5, 0.0])
    poses = np.array([[[-4.0, 0.0, 0.1], [-2.0, 0.5, 0.2], [0.0, 0.0, 0.0]]])
    found = past_poses(seconds, poses, np.ones((1, 3), bool))
    np.testing.assert_allclose(found[0], [[0, 0, 0], [-4, 0, 0.1], [-2, 0.5, 0.2]], atol=1e-6)
    found = past_poses(seconds, poses, np.array([[False, True, True]]))
    np.testing.assert_allclose(found[0], [[0, 0, 0], [0, 0, 0], [-2, 0.5, 0.2]], atol=1e-6)
