import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is an extra")

from swerve.eval import build_context, prepare_context, score
from swerve.planners.learning.checkpoint import load_checkpoint, save_checkpoint
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_log import add_row, keep_rows
from swerve.planners.learning.training_step import Training, displacement
from swerve.planners.rap import RapConfig
from swerve.scenes import Scene, SwerveError
from tests.support.rap_views import turning_batch, without_photographs
from tests.support.simple_log import simple_log

CPU = torch.device("cpu")
SMALL = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3, dropout=0.1, score_weight=0.0)


def trained(steps, config=SMALL, seed=0, of=6, batch=None):
    training = Training(config, TrainingOptions(of, learning_rate=1e-3, seed=seed), CPU)
    for step in range(steps):
        training.train_step(batch or turning_batch(config, 2, step))
    return training


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items()) and set(one) == set(other)


@pytest.mark.slow
def test_it_drives_by_what_it_sees():
    """Of four scenes in which the ego's own status is the same: only the images tell where to drive, and they do."""
    weights = {"score_weight": 0.0, "spatial_weight": 0.0, "domain_weight": 0.0}
    config = RapConfig.tiny(dim=32, mlp_dim=32, proposals=1, heights=(0.0,), **weights)
    batch, options = without_photographs(turning_batch(config, 4)), TrainingOptions(400, 3e-3, weight_ema_decay=0.9)
    inputs = replace(batch.inputs, status=batch.inputs.status[:1].expand(4, -1).contiguous())
    batch = replace(batch, inputs=inputs)
    training = Training(config, options, CPU)
    for _ in range(options.steps):
        training.train_step(batch)
    model, order = training.averaged_model(), torch.tensor([1, 2, 3, 0])
    assert displacement(model(inputs).poses, batch).item() < 0.1
    turned = model(replace(inputs, images=inputs.images[order])).poses
    assert displacement(turned, replace(batch, targets=batch.targets[order])).item() < 0.1
    assert displacement(turned, batch).item() > 1.0


def test_it_learns_while_looks_are_aligned():
    """Both looks of two scenes, which speeds tell apart: with a single round, poses know of nothing else."""
    small = {"dim": 32, "mlp_dim": 32, "proposals": 4, "refinement_rounds": 1, "heights": (0.0,)}
    config = RapConfig.tiny(**small, score_weight=0.0, spatial_weight=0.2)
    batch, options = turning_batch(config, 2), TrainingOptions(250, learning_rate=5e-3, weight_ema_decay=0.9)
    training = Training(config, options, CPU)
    first = training.train_step(batch)
    for _ in range(options.steps - 1):
        last = training.train_step(batch)
    assert first["ade_best"] > 2.0
    assert last["ade_best"] < 0.1
    assert last["spatial"] < 0.2 * first["spatial"]
    assert displacement(training.averaged_model()(batch.inputs).poses, batch).item() < 0.1


def test_the_scorer_learns_the_exact_sub_scores():
    """Of proposals that nothing else moves, in one real scene."""
    weights = {"imitation_weight": 0.0, "spatial_weight": 0.0, "domain_weight": 0.0}
    config = RapConfig.tiny(dim=32, mlp_dim=32, refinement_rounds=1, heights=(0.0,), **weights)
    context = build_context(Scene(simple_log(), 40, 15, 50))
    batch = replace(turning_batch(config, 1), contexts=(prepare_context(context),) * 2)
    training, errors = Training(config, TrainingOptions(40, learning_rate=5e-3), CPU), []
    for _ in range(40):
        output = training.model(batch.inputs)
        exact = score(context, output.poses[0].detach().double().numpy()).metrics
        errors.append((output.logits[0].sigmoid() - torch.as_tensor(exact)).abs().mean().item())
        training.train_step(batch)
    assert errors[-1] < 0.1 < 0.3 < errors[0]


def test_the_same_seed_gives_the_same_weights():
    one, other, third = trained(3), trained(3), trained(3, seed=1)
    assert same(one.state_dict(), other.state_dict())
    assert not same(one.state_dict(), third.state_dict())


def test_resumed_training_gives_the_weights_of_the_undisturbed_run(tmp_path):
    """With dropout, momentum, slow copy and average; the process's own randomness in between does not matter."""
    whole, half = trained(6), trained(3)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, half, {"step": 3})
    torch.manual_seed(99)
    resumed = Training(SMALL, TrainingOptions(6, learning_rate=1e-3, scoring_threads=2), CPU)
    assert load_checkpoint(path, resumed) == {"step": 3}
    for step in range(3, 6):
        noted = resumed.train_step(turning_batch(SMALL, 2, step))
    assert noted["step"] == 6
    assert same(whole.state_dict(), resumed.state_dict())
    assert any(name.startswith("optimizer.") for name in whole.state_dict())


def test_bug_a8_a_checkpoint_proves_that_looks_were_aligned(tmp_path):
    """The original's have no domain classifier: nobody can tell whether there was one."""
    path, training = tmp_path / "checkpoint.safetensors", trained(0)
    before = {
        name: one.clone() for name, one in training.state_dict().items() if name.startswith(("classifier", "teacher"))
    }
    for step in range(2):
        training.train_step(turning_batch(SMALL, 2, step))
    save_checkpoint(path, training, {})
    kept = safetensors.load_file(path)
    assert {name.split(".")[0] for name in before} == {"classifier", "teacher"}
    assert set(before) <= set(kept)
    moved = {name for name, one in before.items() if not torch.equal(one, kept[name])}
    assert {name for name in before if name.startswith("classifier")} <= moved
    assert any(name.startswith("teacher") for name in moved)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, trained(1), {})
    for config, options, complaint in (
        (
            replace(SMALL, refinement_rounds=1),
            TrainingOptions(6, learning_rate=1e-3),
            "started with refinement_rounds 2, not 1",
        ),
        (SMALL, TrainingOptions(6, learning_rate=2e-3), "started with learning_rate 0.001, not 0.002"),
    ):
        with pytest.raises(SwerveError, match=complaint):
            load_checkpoint(path, Training(config, options, CPU))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SwerveError, match="cannot be read as a checkpoint"):
        load_checkpoint(path, trained(0))


def test_a_loss_that_is_not_finite_ends_training():
    batch = turning_batch(SMALL, 2)
    broken = replace(batch, targets=torch.full_like(batch.targets, torch.inf))
    with pytest.raises(SwerveError, match=r"step 0: the loss is not finite \(imitation nan.*Lower the learning rate"):
        trained(1, batch=broken)


class Failing(torch.nn.Module):
    """Stands for a network's forward pass and fails as it is told."""

    def __init__(self, fails):
        super().__init__()
        self._fails = fails

    def forward(self, *given):
        return self._fails(*given)


def test_memory_that_does_not_suffice_is_told(monkeypatch):
    """As torch tells it on a processor; on a GPU it is an error of its own."""
    training, batch = trained(0), turning_batch(SMALL, 2)
    for fails in (lambda *_: torch.zeros(10**13), lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA"))):
        monkeypatch.setattr(training, "_forward", Failing(fails))
        with pytest.raises(SwerveError, match=r"memory does not suffice for 4 views of 1 cameras. Make the batch"):
            training.train_step(batch)
    monkeypatch.setattr(training, "_forward", Failing(lambda *_: torch.zeros(2, 3) @ torch.zeros(2, 3)))
    with pytest.raises(RuntimeError, match=r"mat1 and mat2"):
        training.train_step(batch)


def test_a_frozen_backbone_is_neither_trained_nor_averaged():
    training = Training(replace(SMALL, freeze_backbone=True), TrainingOptions(6, learning_rate=1e-2), CPU)
    before = {name: one.clone() for name, one in training.model.state_dict().items()}
    training.train_step(turning_batch(SMALL, 2))
    changed = {name for name, one in training.model.state_dict().items() if not torch.equal(one, before[name])}
    assert changed
    assert not any(name.startswith("backbone") for name in changed | set(training.average))
    after = training.averaged_model()
    assert torch.equal(after.backbone.body.embed.weight, before["backbone.body.embed.weight"])


def test_the_rate_rises_falls_and_stays():
    """The original's rises again after its last epoch."""
    options = TrainingOptions(100, learning_rate=1.0, final_learning_rate=0.1, warmup_fraction=0.1)
    rates = [options.learning_rate_at(step) for step in range(130)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert (np.diff(rates[10:100]) < 0).all()
    assert rates[55] == pytest.approx(0.55, abs=1e-6)
    np.testing.assert_allclose(rates[100:], 0.1)
    assert TrainingOptions(10, warmup_fraction=0.0).learning_rate_at(0) == 1e-4


def test_gradients_are_clipped():
    """What is left of a steep loss has the norm that is allowed, all parameters together."""
    training = Training(replace(SMALL, imitation_weight=1e6), TrainingOptions(6, max_grad_norm=3.0), CPU)
    noted = training.train_step(turning_batch(SMALL, 2))
    assert noted["grad_norm"] > 1e4
    parameters = (*training.model.parameters(), *training.classifier.parameters())
    left = [one.grad.norm() for one in parameters if one.grad is not None]
    assert torch.stack(left).norm().item() == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps is 0, it must be above 0"),
        ({"warmup_fraction": 1.5}, "warmup_fraction is 1.5, it must be between 0 and 1"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1, it must be finite and not below 0"),
        ({"weight_decay": math.nan}, "weight_decay is nan, it must be finite and not below 0"),
        ({"weight_decay": math.inf}, "weight_decay is inf, it must be finite and not below 0"),
        (
            {"final_learning_rate": -1e-5},
            ".* 0.0001 and final_learning_rate -1e-05, which must be between 0 and",
        ),
        (
            {"final_learning_rate": math.nan},
            ".*and final_learning_rate nan, which must be between 0",
        ),
        ({"learning_rate": 1e-6}, ".* 1e-06 and final_learning_rate 1e-05, which must be between 0"),
    ],
)
def test_impossible_options_are_refused(given, message):
    with pytest.raises(SwerveError, match=f"^{message}"):
        TrainingOptions(**given)


def test_the_rate_may_end_at_zero_or_stay():
    assert TrainingOptions(10, final_learning_rate=0.0, weight_decay=0.0).learning_rate_at(10) == 0.0
    assert TrainingOptions(10, 1e-5, warmup_fraction=0.0).learning_rate_at(5) == 1e-5


def test_metrics_go_on_where_the_checkpoint_was(tmp_path):
    path = tmp_path / "metrics.csv"
    keep_rows(path, 0)
    for step in (1, 2, 3):
        add_row(path, {"step": step, "loss": 0.5 / step})
    keep_rows(path, 2)
    add_row(path, {"step": 3, "loss": 0.25})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.25\n3,0.25\n"
    path.write_text(path.read_text() + "4,0.1\n1")  # killed while it wrote a step with two digits
    keep_rows(path, 3)
    assert path.read_text() == "step,loss\n1,0.5\n2,0.25\n3,0.25\n"
