import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.support.observations import moving

torch = pytest.importorskip("torch", reason="torch is an extra")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is an extra")

from swerve.data.sources.town.rig import town_rig
from swerve.planners import load_planner
from swerve.planners.learning import LearnedPlanner, load_learned, save_learned
from swerve.planners.learning.inputs import inputs_of
from swerve.planners.learning.selection import best_proposal
from swerve.planners.rap import RapConfig, RapModel
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner
from swerve.scenes.viewpoints import Command

CONFIG = RapConfig.tiny(cameras=("left", "front"), proposals=4)


@pytest.fixture(scope="module")
def planner():
    torch.manual_seed(1)
    return LearnedPlanner(RapModel(CONFIG).eval(), {"steps": 3})


def seeing(token="token", seed=0, speed=8.0):
    """A car whose three cameras show coloured squares."""
    cameras = tuple(camera.resized(320, 200) for camera in town_rig() if camera.name in ("front", "left", "right"))
    random = np.random.default_rng(seed)
    squares = {camera.name: random.integers(0, 256, (5, 8, 3), dtype=np.uint8) for camera in cameras}
    images = {name: one.repeat(40, axis=0).repeat(40, axis=1) for name, one in squares.items()}
    return replace(moving((speed, 0.0), token=token), cameras=cameras, images=images)


def test_it_is_a_planner_that_asks_for_its_cameras(planner):
    assert isinstance(planner, Planner)
    assert planner.cameras == ("left", "front")
    trajectory = planner.plan(seeing())
    assert trajectory.poses.shape == (8, 3)
    assert trajectory.interval == 0.5


def test_batches_are_the_same_plans(planner):
    observations = [seeing(f"t{seed}", seed, 3.0 + seed / 2) for seed in range(18)]
    plans = planner.plan_batch(observations)
    assert len(plans) == 18
    for row in (0, 15, 16, 17):
        np.testing.assert_allclose(planner.plan(observations[row]).poses, plans[row].poses, atol=1e-4)
    assert planner.plan_batch([]) == []


def test_images_prepared_ahead_give_the_same_plan():
    """Also where a part of each image is cut off, which must not be cut off twice."""
    torch.manual_seed(1)
    trimmed = LearnedPlanner(RapModel(replace(CONFIG, trim=(0.1, 0.0, 0.0, 0.2))).eval(), {})
    observation = seeing()
    made = {one.name: trimmed.prepare_image(observation.images[one.name], one) for one in observation.cameras}
    images, cameras = ({name: pair[row] for name, pair in made.items()} for row in (0, 1))
    prepared = replace(observation, images=images, cameras=tuple(cameras.values()), prepared=True)
    assert all(one.shape == (48, 80, 3) for one in images.values())
    np.testing.assert_array_equal(trimmed.plan(prepared).poses, trimmed.plan(observation).poses)
    twice = trimmed.plan(replace(prepared, prepared=False))
    assert not np.array_equal(twice.poses, trimmed.plan(observation).poses)


def test_the_plan_is_the_proposal_that_promises_most(planner):
    output = planner.model(inputs_of([seeing()], CONFIG))
    np.testing.assert_allclose(
        planner.plan(seeing()).poses, best_proposal(output.logits, output.poses)[0].detach().numpy(), atol=1e-5
    )


def test_inputs_are_what_the_observation_holds():
    observation = replace(seeing(), command=Command.RIGHT)
    inputs = inputs_of([observation, seeing(seed=1)], CONFIG)
    assert inputs.images.shape == (2, 2, 3, 48, 80)
    # The image is cut to the network's shape (320x192 of 320x200), then shrunk; the order is the config's.
    left = observation.images["left"][4:196].reshape(48, 4, 80, 4, 3).mean(axis=(1, 3))
    assert np.abs(inputs.images[0, 0].permute(1, 2, 0).numpy() - left)[2:-2, 2:-2].mean() < 5
    assert np.abs(inputs.images[0, 1].permute(1, 2, 0).numpy() - left)[2:-2, 2:-2].mean() > 25
    np.testing.assert_allclose(inputs.status[0].numpy(), [0.8, 0, 0, 0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(inputs.footprint[0].numpy(), observation.vehicle.footprint(), atol=1e-6)
    camera = next(one for one in observation.cameras if one.name == "left").cropped(0, 4, 320, 192).resized(80, 48)
    np.testing.assert_allclose(
        inputs.rig.intrinsics[0, 0].numpy(), [camera.fx, camera.fy, camera.cx, camera.cy], rtol=1e-6
    )


def test_the_command_and_the_image_are_heard(planner):
    """Not yet what they say: an untrained network's plans merely change."""
    plain = inputs_of([seeing()], CONFIG)
    for other in (replace(seeing(), command=Command.LEFT), seeing(seed=1)):
        change = planner.model(inputs_of([other], CONFIG)).poses - planner.model(plain).poses
        assert change.abs().max() > 1e-3


def test_what_is_saved_is_what_is_loaded(planner, tmp_path):
    path = tmp_path / "rap.safetensors"
    save_learned(planner.model, planner.record, path)
    first = path.read_bytes()
    loaded = load_learned(path, "cpu")
    assert loaded.model.config == CONFIG
    assert loaded.record == {"steps": 3}
    assert not loaded.model.training
    np.testing.assert_array_equal(loaded.plan(seeing()).poses, planner.plan(seeing()).poses)
    save_learned(loaded.model, loaded.record, path)
    assert path.read_bytes() == first


def test_planners_are_loaded_by_what_their_file_says(planner, tmp_path):
    save_learned(planner.model, {}, tmp_path / "eyes.safetensors")
    named = load_planner(f"{tmp_path}/eyes.safetensors,delay=0.1")
    assert named.label == "eyes"
    assert tuple(named.planner.cameras) == ("left", "front")
    assert isinstance(load_planner(f"{tmp_path}/eyes.safetensors").planner, LearnedPlanner)


def test_a_wrong_camera_set_is_named(planner):
    observation = seeing("odd")
    others = tuple(camera for camera in observation.cameras if camera.name != "left")
    for cameras, known in ((others, "front, right"), ((), "none")):
        with pytest.raises(
            SwerveError, match=f"scene odd: .*cameras left, front; the image of left is missing.*Available: {known}"
        ):
            planner.plan(replace(observation, cameras=cameras))
    with pytest.raises(SwerveError, match="the image of front is missing"):
        planner.plan(replace(observation, images={"left": observation.images["left"]}))


def test_files_that_are_no_planner_are_refused(planner, tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_learned(planner.model, {}, whole)
    tensors = safetensors.load_file(whole)
    header = {"format": "swerve-rap", "version": 3, "config": CONFIG.to_json(), "record": {}}

    def written(name, header=header, **changed):
        kept = {**tensors, **changed}
        safetensors.save_file(
            {key: one for key, one in kept.items() if one is not None}, tmp_path / name, {"swerve": json.dumps(header)}
        )
        return tmp_path / name

    (tmp_path / "half").write_bytes(whole.read_bytes()[:3000])
    queries = tensors["decoder.queries"].clone()
    queries[0, 0] = torch.inf
    load_learned(written("same"))
    for path, complaint in (
        (tmp_path / "none", "cannot be read as a trained planner"),
        (tmp_path / "half", "cannot be read as a trained planner"),
        (written("old", {**header, "version": 2}), "not a trained planner of version 3. Train it again"),
        (written("other", {**header, "format": "swerve-ego-mlp"}), "not a trained planner of version 3"),
        (written("strange", []), "not a trained planner of version 3"),
        (written("bare", {**header, "config": None}), "the config is not an object"),
        (written("more", {**header, "config": {**CONFIG.to_json(), "wings": 2}}), r"unknown fields \['wings'\]"),
        (written("wide", {**header, "config": {**CONFIG.to_json(), "dim": 128}}), "the tensors do not fit"),
        (written("lacking", **{"decoder.queries": None}), "the tensors do not fit"),
        (written("infinite", **{"decoder.queries": queries}), "not finite, in decoder.queries"),
    ):
        with pytest.raises(SwerveError, match=complaint):
            load_learned(path)


def test_missing_torch_is_named(planner, tmp_path, monkeypatch):
    save_learned(planner.model, {}, tmp_path / "eyes.safetensors")
    for name in [name for name in sys.modules if name.startswith(("swerve.planners.rap", "swerve.planners.learning"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SwerveError, match=r"torch is not installed. Install it with: pip install 'PATH\[torch\]'"):
        load_planner(f"{tmp_path}/eyes.safetensors")
