"""A user's own network: trained, resumed, evaluated and loaded by the shared code."""

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.planners import load_planner
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig
from swerve.planners.learning import learned_planner, register
from swerve.planners.learning.run_outputs import CHECKPOINT, PLANNER
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_log import METRICS
from swerve.scenes import SwerveError
from tests.support.rap_child import stream_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_model.py"
ALONE = Process(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("own_model", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_model"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["own_model"]


def test_an_own_network_is_trained_resumed_and_evaluated(example, dataset, tmp_path, capsys):
    paths = (dataset / "set", dataset / "contexts", dataset / "benchmark", tmp_path)
    example.main(*paths, steps=3)
    first = (tmp_path / PLANNER).read_bytes()
    example.main(*paths, steps=5)
    assert len((tmp_path / METRICS).read_text().splitlines()) == 6
    assert (tmp_path / PLANNER).read_bytes() != first
    assert (tmp_path / CHECKPOINT).is_file()
    assert capsys.readouterr().out.count("'score': 0.") == 2
    named = load_planner(f"own_model:load,path={tmp_path / PLANNER}")
    assert named.planner.model.config == example.Config.tiny(image_width=80, image_height=48)


def test_a_family_that_nobody_registered_is_not_imported(example, dataset, tmp_path, monkeypatch):
    config = example.Config.tiny()
    learned_planner.save_learned(example.OwnModel(config), {}, tmp_path / "own.safetensors")
    monkeypatch.setattr(importlib.import_module("swerve.planners.learning.families"), "_REGISTERED", {})
    with pytest.raises(SwerveError, match=r"family 'own' is not known; known are rap, .*Import the module"):
        learned_planner.load_learned(tmp_path / "own.safetensors")


def test_a_family_has_one_network(example):
    class Other(example.OwnModel):
        family = "rap"

    with pytest.raises(SwerveError, match="family 'rap' is taken"):
        register(Other)


def test_the_ego_mlp_is_trained_by_the_same_code(dataset, tmp_path):
    config = EgoMlpConfig.tiny(score_weight=0.0)
    path = train(stream_of(dataset), None, config, TrainingOptions(30, 1e-2), tmp_path, ALONE, RunOptions(workers=0))
    named = load_planner(str(path))
    assert named.planner.cameras == ()
    columns = (tmp_path / METRICS).read_text().splitlines()
    imitation = [float(line.split(",")[columns[0].split(",").index("imitation")]) for line in columns[1:]]
    assert sum(imitation[-5:]) < 0.5 * sum(imitation[:5])
