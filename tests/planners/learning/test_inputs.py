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
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig, EgoMlpModel
from swerve.planners.learning import LearnedPlanner, inputs_of, views_of
from swerve.planners.learning.inputs import past_poses
from swerve.planners.rap import RapConfig, RapModel
from tests.support.simple_source import SimpleSource

CONFIG = RapConfig.tiny(image_height=40, image_width=72, dim=16, hidden=16, heads=2)
BLIND = EgoMlpConfig.tiny()


@pytest.fixture(scope="module")
def same_log(tmp_path_factory):
    """A set and a benchmark of one log."""
    folder, source = tmp_path_factory.mktemp("same"), SimpleSource(("train-1",))
    augment(
        [source], folder / "set", AugmentOptions(scene_interval=2.0, viewpoints=("logged",), size=(72, 40)), workers=1
    )
    options = BuildOptions(
        scene_interval=2.0, size=(72, 40), views=("raster",), traffic="log-replay", min_follow_ups=1, max_follow_ups=1
    )
    assert not build([source], folder / "benchmark", options, workers=1).failures
    return folder


@pytest.mark.parametrize(("config", "model"), [(CONFIG, RapModel), (BLIND, EgoMlpModel)])
def test_inputs_of_an_observation_are_a_training_rows(same_log, config, model):
    fit = ImageFit((config.image_width, config.image_height))
    stream = SampleStream(same_log / "set", StreamOptions((Part("raster_only"),), fit, config.cameras, batch=3))
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


def test_the_past_before_the_log_is_zero():
    seconds = np.array([-1.0, -0.5, 0.0])
    poses = np.array([[[-4.0, 0.0, 0.1], [-2.0, 0.5, 0.2], [0.0, 0.0, 0.0]]])
    found = past_poses(seconds, poses, np.ones((1, 3), bool))
    np.testing.assert_allclose(found[0], [[0, 0, 0], [-4, 0, 0.1], [-2, 0.5, 0.2]], atol=1e-6)
    found = past_poses(seconds, poses, np.array([[False, True, True]]))
    np.testing.assert_allclose(found[0], [[0, 0, 0], [0, 0, 0], [-2, 0.5, 0.2]], atol=1e-6)
