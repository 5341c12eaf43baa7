import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from swerve import job_report
from swerve.planners import load_ego_mlp, load_planner, save_ego_mlp
from swerve.planners.baselines.ego_mlp import inputs_of, standardised
from swerve.planners.baselines.kinematic import ConstantVelocity
from swerve.planners.baselines.train_ego_mlp import (
    Examples,
    constant_velocity_poses,
    displacement_errors,
    examples_by_split,
    examples_of,
    train_ego_mlp,
)
from swerve.planners.baselines.train_options import TrainOptions
from swerve.scenes import LogError, MissingExtraError, SwerveError
from swerve.scenes.viewpoints import Command
from tests.support.command import invoke
from tests.support.observations import moving, seen
from tests.support.simple_log import simple_log
from tests.support.simple_source import SimpleSource

pytest.importorskip("torch", reason="torch is an extra")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is an extra")


def drivers(count: int, seed: int = 0) -> Examples:
    """Cars at constant speed and yaw rate, which a command of LEFT makes turn harder."""
    random = np.random.default_rng(seed)
    times = np.arange(1, 9) * 0.5
    inputs, targets = [], []
    for _ in range(count):
        speed, rate, left = random.uniform(2, 15), random.normal(0, 0.1), bool(random.integers(2))
        command = Command.LEFT if left else Command.STRAIGHT
        inputs.append(inputs_of(replace(moving((speed, 0.0), yaw_rate=rate), command=command)))
        turn = (rate + 0.2 * left) * times
        targets.append(np.stack([speed * times * np.sinc(turn / np.pi), speed * times * turn / 2, turn], axis=1))
    return Examples(np.array(inputs), np.array(targets))


@pytest.fixture(scope="module")
def trained():
    return train_ego_mlp(drivers(64), TrainOptions(epochs=20))


def test_it_learns_what_can_be_learned():
    examples, told = drivers(64), []
    planner = train_ego_mlp(examples, TrainOptions(epochs=250), lambda epoch, loss: told.append((epoch, loss)))
    ade, fde = displacement_errors(planner.poses(examples.inputs), examples.targets)
    still, _ = displacement_errors(constant_velocity_poses(examples.inputs), examples.targets)
    assert ade < 0.3 < 3.0 < still
    assert ade < fde < 0.6
    assert [epoch for epoch, _ in told] == list(range(1, 251))
    assert told[-1][1] < 0.1 * told[0][1]


def test_the_command_is_heard(trained):
    straight = trained.plan(moving((10.0, 0.0))).poses
    left = trained.plan(replace(moving((10.0, 0.0)), command=Command.LEFT)).poses
    assert left[-1, 1] > straight[-1, 1] + 3.0


def test_inputs_count_up_to_three_deviations():
    """Towns' cars slide sideways by millimetres a second, real ones by decimetres: 24 deviations that say nothing."""
    inputs = np.array([[1.0, 0.5], [12.0, -0.003]])
    seen_as = standardised(inputs, np.array([2.0, 0.0]), np.array([4.0, 0.002]))
    np.testing.assert_allclose(seen_as, [[-0.25, 3.0], [2.5, -1.5]])


def test_batches_are_the_same_plans(trained):
    observations = [moving((speed, 0.0), yaw_rate=0.01 * speed) for speed in (3.0, 7.0, 12.0)]
    for one, plan in zip(observations, trained.plan_batch(observations), strict=True):
        np.testing.assert_allclose(trained.plan(one).poses, plan.poses, atol=1e-9)
        assert plan.poses.shape == (8, 3)
    assert trained.cameras == ()
    assert not hasattr(trained, "privileged")


def test_what_is_saved_is_what_is_loaded(trained, tmp_path):
    save_ego_mlp(trained, tmp_path / "mlp.safetensors")
    loaded = load_ego_mlp(tmp_path / "mlp.safetensors")
    inputs = drivers(5, seed=1).inputs
    np.testing.assert_array_equal(loaded.poses(inputs), trained.poses(inputs))
    assert loaded.config == {**trained.config, "examples": 64, "epochs": 20, "seed": 0, "hidden": [128, 128]}
    named = load_planner(f"{tmp_path}/mlp.safetensors,label=mlp,delay=0.2")
    assert (named.label, named.planner.cameras, named.planner.privileged) == ("mlp", (), False)
    assert load_planner(f"{tmp_path}/mlp.safetensors").label == "mlp"
    with pytest.raises(SwerveError, match="no parameter 'speed'"):
        load_planner(f"{tmp_path}/mlp.safetensors,speed=2")


def test_the_same_training_makes_the_same_bytes(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        save_ego_mlp(train_ego_mlp(drivers(40), TrainOptions(epochs=3, seed=seed)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_files_that_are_no_planner_are_refused(trained, tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_ego_mlp(trained, whole)
    tensors = safetensors.load_file(whole)
    header = {"format": "swerve-ego-mlp", "version": 1, "layers": 3, "config": {}}

    def changed(name, header=header, **replaced):
        kept = {key: replaced.get(key.replace(".", "_"), value) for key, value in tensors.items()}
        safetensors.save_file(
            {key: one for key, one in kept.items() if one is not None}, tmp_path / name, {"swerve": json.dumps(header)}
        )
        return tmp_path / name

    (tmp_path / "half").write_bytes(whole.read_bytes()[:2000])
    safetensors.save_file(tensors, tmp_path / "foreign")
    bad = tensors["input_scale"].copy()
    bad[3] = np.nan
    load_ego_mlp(changed("same"))
    for path, complaint in (
        (tmp_path / "none", "cannot be read as a trained planner"),
        (tmp_path / "half", "cannot be read as a trained planner"),
        (tmp_path / "foreign", "not an ego-status MLP of version 1. Train it again"),
        (changed("old", {**header, "version": 0}), "not an ego-status MLP of version 1"),
        (changed("strange", []), "not an ego-status MLP of version 1"),
        (changed("lacking", layers_1_bias=None), "lacks 'layers.1.bias'"),
        (changed("longer", {**header, "layers": 4}), "lacks 'layers.3.weight'"),
        (changed("misfit", layers_0_weight=np.zeros((128, 17), np.float32)), "which do not fit"),
        (changed("nan", input_scale=bad), "not finite"),
    ):
        with pytest.raises(SwerveError, match=complaint):
            load_ego_mlp(path)


def test_a_short_history_is_named(trained):
    observation = moving(token="short")
    history = observation.history
    short = replace(history, **{name: values[5:] for name, values in vars(history).items()})
    with pytest.raises(SwerveError, match=r"scene short: the history begins at -1\.0 s, the MLP needs -1\.5 s"):
        trained.plan(replace(observation, history=short))


def test_missing_extras_are_named(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingExtraError, match=r"torch is not installed. Install it with: pip install 'PATH\[torch\]'"
    ):
        train_ego_mlp(drivers(4), TrainOptions())
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match="safetensors is not installed"):
        save_ego_mlp(trained, tmp_path / "mlp.safetensors")
    with pytest.raises(MissingExtraError, match="safetensors is not installed"):
        load_ego_mlp(tmp_path / "mlp.safetensors")


def test_examples_are_what_planners_are_told():
    log = simple_log(speed=8.0)
    examples = examples_of(log, every=0.5)
    # Steps 15, 20, ..., 80 of 0..120 have 15 before and 40 after them.
    assert len(examples) == 14
    observation, context = seen(log, 20)
    np.testing.assert_allclose(examples.inputs[1], inputs_of(observation), atol=1e-9)
    np.testing.assert_allclose(examples.targets[1], context.human, atol=1e-4)
    np.testing.assert_allclose(constant_velocity_poses(examples.inputs)[1], ConstantVelocity().plan(observation).poses)


def test_displacement_errors_by_hand():
    targets = np.zeros((2, 8, 3))
    poses = targets.copy()
    poses[0, :, :2] = [3.0, 4.0]
    poses[1, -1, 0] = 8.0
    poses[..., 2] = 1.0
    assert displacement_errors(poses, targets) == (3.0, 6.5)
    assert np.isnan(displacement_errors(poses[:0], targets[:0])).all()


def test_logs_go_where_their_split_says():
    source, told = SimpleSource(("train-0", "val-0", "none-0", "test-0", "train-1")), []
    found = examples_by_split([source, SimpleSource(("none-1",))], 1.0, "val", lambda *count: told.append(count))
    assert {split: len(parts) for split, parts in found.items()} == {"train": 2, "val": 3, "test": 1}
    assert told == [(count, 6) for count in range(1, 7)]
    with pytest.raises(LogError):
        examples_by_split([SimpleSource(("broken-0",))], 1.0, "train", lambda done, total: None)


def run(monkeypatch, names, *arguments):
    monkeypatch.setattr(job_report, "open_source", lambda text: SimpleSource(names))
    return invoke("train", "ego-mlp", "simple", *arguments, "--scene-interval", 0.5)


def test_the_command_trains_and_shows_errors(tmp_path, monkeypatch):
    out = tmp_path / "new" / "mlp.safetensors"
    result = run(monkeypatch, ("train-0", "val-0", "test-0"), out, "--epochs", 2)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[1].split()[:3] == ["train", "1", "14"]
    assert lines[2].split()[:3] == ["val", "1", "14"]
    assert "trained in" in lines[3]
    first = out.read_bytes()
    assert load_ego_mlp(out).config["epochs"] == 2
    run(monkeypatch, ("train-0",), out, "--epochs", 2)
    assert out.read_bytes() == first
    result = run(monkeypatch, ("none-0",), out, "--epochs", 2, "--seed", 1)
    assert result.output.splitlines()[2].split() == ["val", "0", "0", "-", "-", "-", "-"]
    assert out.read_bytes() != first


@pytest.mark.parametrize(
    ("names", "arguments", "complaint"),
    [
        (("train-0",), ["mlp.pt"], "mlp.pt must end in .safetensors"),
        (("val-0", "test-0"), ["mlp.safetensors"], "no log of split train has 1.5 s before and 4 s after a scene"),
    ],
)
def test_mistakes_of_the_command_are_named(names, arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = run(monkeypatch, names, *arguments).exception
    assert isinstance(error, SwerveError), error
    assert complaint in str(error)


def test_impossible_options_are_refused():
    with pytest.raises(SwerveError, match="epochs is 0, it must be above 0"):
        TrainOptions(epochs=0)
    with pytest.raises(SwerveError, match="no examples"):
        train_ego_mlp(drivers(4).concatenate([]), TrainOptions())
