from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.planners import load_planner
from swerve.planners.chainflow import ChainFlowConfig, ChainFlowModel, bicycle
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_step import Training, displacement
from swerve.scenes import SwerveError
from tests.support.rap_child import stream_of
from tests.support.rap_views import turning_batch, without_photographs

CPU = torch.device("cpu")
SMALL = ChainFlowConfig.tiny(dim=16, mlp_dim=16, heads=2, score_weight=0.0, spatial_weight=0.0, domain_weight=0.0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ChainFlowModel(SMALL).eval()


def test_a_bicycle_drives_arcs_by_hand():
    """At 8 m/s and 0.1 rad/s for 4 s on a circle of 80 m; braking at 4 m/s^2 it stops after 2 s and 8 m."""
    state = torch.tensor([[0.0, 0.0, 0.0, 8.0], [0.0, 0.0, 0.0, 8.0]])
    for _ in range(8):
        state = bicycle.step(state, torch.tensor([0.0, -4.0]), torch.tensor([0.1, 0.0]), 0.5)
    arc = torch.tensor([80 * np.sin(0.4), 80 * (1 - np.cos(0.4)), 0.4, 8.0], dtype=torch.float32)
    torch.testing.assert_close(state[0], arc, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(state[1], torch.tensor([8.0, 0.0, 0.0, 0.0]))


def test_the_chain_obeys_the_bicycle(model):
    """Integrated in a thousand small steps, its controls give its poses; no turn is tighter than a car's."""
    with torch.no_grad():
        for parameter in model.chain.controls.parameters():
            parameter.mul_(5.0)
    batch = turning_batch(SMALL, 3)
    output = model(batch.inputs)
    chain, controls = output.refinements[0].detach(), output.extras.controls.detach()
    assert controls[..., 1].abs().max() > 0.2
    x = torch.zeros(chain.shape[:2], dtype=torch.float64)
    y, heading, speed = x.clone(), x.clone(), batch.inputs.motion[:, :1].double().expand_as(x).clone()
    count = 1000
    for row in range(SMALL.poses):
        acceleration, yaw_rate = controls[:, :, row].double().unbind(-1)
        after = (speed + acceleration * 0.5).clamp(min=0.0)
        length = (speed + after) / 2 * 0.5
        curvature = (yaw_rate * 0.5 / length.clamp(min=1e-9)).clamp(-bicycle.TIGHTEST, bicycle.TIGHTEST)
        for _ in range(count):
            heading = heading + curvature * length / count / 2
            x, y = x + length / count * heading.cos(), y + length / count * heading.sin()
            heading = heading + curvature * length / count / 2
        speed = after
        expected = torch.stack([x, y, heading], dim=-1)
        torch.testing.assert_close(chain[:, :, row].double(), expected, atol=2e-3, rtol=1e-3)
    steps = chain[:, :, 1:] - chain[:, :, :-1]
    assert (steps[..., 2].abs() <= bicycle.TIGHTEST * steps[..., :2].norm(dim=-1) * 1.05 + 1e-4).all()


def test_an_untrained_flow_is_the_identity(model):
    output = model(turning_batch(SMALL, 2).inputs)
    assert torch.equal(output.refinements[0], output.refinements[1])
    with torch.no_grad():
        model.flow.output_projection.bias.fill_(0.1)
    moved = model(turning_batch(SMALL, 2).inputs)
    torch.testing.assert_close(
        moved.refinements[1] - moved.refinements[0], (0.1 * model.scale).expand_as(moved.refinements[0])
    )


def test_the_same_seed_gives_the_same_plan(model):
    """Also in another batch, and whatever was drawn before."""
    with torch.no_grad():
        for parameter in model.flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    inputs = turning_batch(SMALL, 2).inputs
    first = model(inputs).poses
    torch.manual_seed(99)
    assert torch.equal(model(inputs).poses, first)
    torch.testing.assert_close(model(inputs.rows(torch.tensor([2]))).poses[0], first[2], atol=1e-5, rtol=1e-4)
    assert not torch.equal(ChainFlowModel(SMALL).eval()(inputs).poses, first)


@pytest.mark.slow
def test_residuals_overfit_32_samples():
    """The chain is held: only the flow moves its poses to the targets."""
    small = {"dim": 32, "mlp_dim": 64, "modes": 1, "flow_noise": 0.0, "image_height": 24, "image_width": 40}
    config = replace(SMALL, **small)
    batch = without_photographs(turning_batch(config, 32))
    training = Training(config, TrainingOptions(200, learning_rate=6e-3, weight_ema_decay=0.9), CPU)
    for parameter in training.model.chain.parameters():
        parameter.requires_grad_(False)
    start = displacement(training.model.eval()(batch.inputs).poses, batch).item()
    training.model.train()
    for _ in range(200):
        noted = training.train_step(batch)
    assert start > 2.0
    assert noted["ade_best"] < 0.25
    assert noted["flow"] < 0.02


@pytest.mark.parametrize("conditioning", ["none", "pooled"])
def test_the_flow_sees_its_condition(conditioning):
    torch.manual_seed(0)
    config = replace(SMALL, conditioning=conditioning)
    model = ChainFlowModel(config).eval()
    tokens, seen = model.condition(torch.randn(2, 1, 16, 5, 9), turning_batch(config, 1).inputs)
    assert tokens.shape[1] == (1 if conditioning == "none" else 1 + 4)
    assert seen.all()


def test_it_is_trained_and_loaded_by_the_shared_code(dataset, tmp_path):
    config = ChainFlowConfig.tiny(dim=16, mlp_dim=16, heads=2, image_height=40, image_width=72, score_weight=0.0)
    run = RunOptions(workers=0)
    path = train(stream_of(dataset, config), None, config, TrainingOptions(2), tmp_path, Process(0, 1, CPU), run)
    named = load_planner(str(path))
    assert named.planner.model.config == config
    assert named.planner.cameras == ("front",)


def test_impossible_configs_are_refused():
    with pytest.raises(SwerveError, match="flow_steps is 13, at most 12"):
        replace(SMALL, flow_steps=13)
    with pytest.raises(SwerveError, match="modes is 0, it must be above 0"):
        replace(SMALL, modes=0)
