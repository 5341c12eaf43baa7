"""What training on a GPU needs, as far as a processor can tell."""

import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.planners.learning import LearnedPlanner, load_learned, save_learned
from swerve.planners.learning.image_augmentation import grid_masked, jittered
from swerve.planners.learning.initial_weights import load_initial_weights
from swerve.planners.learning.parameter_groups import parameter_groups
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_step import Training, hidden_status
from swerve.planners.rap import RapConfig, RapModel, decoder
from swerve.scenes import SwerveError
from tests.support.rap_views import rows_of, turning_batch

CPU = torch.device("cpu")
SMALL = RapConfig.tiny(
    dim=16, mlp_dim=16, heads=2, proposals=3, score_weight=0.0, spatial_weight=0.0, domain_weight=0.0
)


def training_of(config=SMALL, **options):
    return Training(config, TrainingOptions(4, learning_rate=1e-3, **options), CPU)


def gradients(training, *batches):
    training._optimizer.step = lambda: None
    training.train_step(*batches)
    return torch.cat([one.grad.flatten() for one in training._trained if one.grad is not None])


def test_accumulated_gradients_are_those_of_the_whole_batch():
    batch = turning_batch(SMALL, 4)
    halves = [rows_of(batch, rows) for rows in ([0, 1, 4, 5], [2, 3, 6, 7])]
    whole = gradients(training_of(), batch)
    torch.testing.assert_close(
        gradients(training_of(gradient_accumulation_steps=2), *halves), whole, atol=1e-6, rtol=1e-4
    )


def test_a_batch_moves_without_looking_at_its_values():
    """On the meta device there are none: an operation that must wait for the device would fail."""
    moved = turning_batch(SMALL, 2).to(torch.device("meta"))
    assert moved.pairs.is_meta
    assert moved.inputs.images.is_meta
    assert moved.inputs.rig.rays.is_meta


def test_rays_are_computed_once_per_lens(monkeypatch):
    from swerve.planners.learning import projection

    batch, calls = turning_batch(SMALL, 2), []
    model, undistort = RapModel(SMALL), projection._undistort
    monkeypatch.setattr(projection, "_undistort", lambda *given: (calls.append(1), undistort(*given))[1])
    model(batch.inputs)
    assert not calls
    projection._camera_rays.cache_clear()
    rig = replace(batch.inputs.rig)
    assert rig.rays is None
    assert torch.equal(rig.with_rays(8).rays, batch.inputs.rig.rays)
    assert len(calls) == 1


def test_groups_have_their_rates_and_decays():
    training = training_of(backbone_lr_multiplier=0.1, decay_matrices_only=True)
    groups = parameter_groups(training.model, training.options)
    kinds = {(one["lr_multiplier"], one["weight_decay"]) for one in groups}
    assert kinds == {(0.1, 1e-4), (0.1, 0.0), (1.0, 1e-4), (1.0, 0.0)}
    for group in groups:
        assert all((one.ndim < 2) == (group["weight_decay"] == 0.0) for one in group["params"])
    assert sum(len(one["params"]) for one in groups) == len(list(training.model.parameters()))
    before = {name: one.detach().clone() for name, one in training.model.named_parameters()}
    training.train_step(turning_batch(SMALL, 2))
    moved = {name: (one - before[name]).abs().max() for name, one in training.model.named_parameters()}
    assert moved["backbone.body.embed.weight"] < 0.2 * moved["decoder.head.0.weight"]


def test_recomputed_rounds_have_the_same_gradients():
    config = replace(SMALL, dropout=0.2)
    batch = turning_batch(config, 2)
    kept, again = training_of(config), training_of(replace(config, activation_checkpointing=True))
    assert torch.equal(gradients(kept, batch), gradients(again, batch))


def test_cameras_sampled_for_visible_queries_alone_give_the_same(monkeypatch):
    """Of two cameras, one ahead; only some queries are in each."""
    config = replace(SMALL, cameras=("front", "left"), proposals=6)
    batch, counts = turning_batch(config, 3), []
    plain, frugal = training_of(config), training_of(replace(config, visible_queries=True))
    outputs = [one.model(batch.inputs).poses for one in (plain, frugal)]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-4, rtol=1e-4)
    sample = decoder.sample
    monkeypatch.setattr(decoder, "sample", lambda *given: (counts.append(given[1].shape[2]), sample(*given))[1])
    found = gradients(frugal, batch)
    few = max(counts)
    torch.testing.assert_close(found, gradients(plain, batch), atol=1e-4, rtol=1e-3)
    assert few < max(counts)


def test_mixed_precision_reaches_inference(tmp_path):
    batch = turning_batch(SMALL, 2)
    full, mixed = training_of(), training_of(precision="bf16")
    first, second = full.train_step(batch)["imitation"], mixed.train_step(batch)["imitation"]
    assert first != second
    assert abs(first - second) < 0.05 * first
    save_learned(full.averaged_model(), {"precision": "bf16"}, tmp_path / "planner.safetensors")
    loaded = load_learned(tmp_path / "planner.safetensors", "cpu")
    assert loaded.precision == "bf16"
    kinds = []
    loaded.model.neck.projector[0][0].register_forward_hook(lambda _, given, out: kinds.append(out.dtype))
    planner = LearnedPlanner(loaded.model, {}, loaded.precision)
    from swerve.planners.learning.precision import autocast

    with torch.inference_mode(), autocast(planner.precision, CPU):
        planner.model(batch.inputs)
    assert kinds == [torch.bfloat16]


def test_a_warm_start_takes_what_fits(tmp_path):
    taught = RapModel(replace(SMALL, proposals=5))
    save_learned(taught, {}, tmp_path / "old.safetensors")
    training = training_of(initial_weights=tmp_path / "old.safetensors")
    taken = load_initial_weights(training, tmp_path / "old.safetensors")
    assert "neck.embedder.0.weight" in taken
    assert "decoder.queries" not in taken
    assert torch.equal(training.model.neck.embedder[0].weight, taught.neck.embedder[0].weight)
    assert torch.equal(training.teacher.neck.embedder[0].weight, taught.neck.embedder[0].weight)
    assert torch.equal(training.average["neck.embedder.0.weight"], taught.neck.embedder[0].weight)
    (tmp_path / "other.safetensors").write_bytes(b"no planner")
    with pytest.raises(SwerveError, match="cannot be read as a trained planner"):
        load_initial_weights(training, tmp_path / "other.safetensors")


def test_low_rank_additions_begin_at_nothing_and_are_all_that_is_trained():
    config = replace(SMALL, freeze_backbone=True, lora_rank=2)
    torch.manual_seed(0)
    plain = RapModel(replace(config, lora_rank=0)).eval()
    training, batch = training_of(config), turning_batch(SMALL, 2)
    adapted = training.model.backbone
    adapted.load_state_dict(plain.backbone.state_dict(), strict=False)
    images = batch.inputs.images[:, 0]
    assert torch.equal(adapted(images), plain.backbone(images))
    before = {name: one.detach().clone() for name, one in adapted.named_parameters()}
    for _ in range(2):
        training.train_step(batch)
    moved = {name.rpartition(".")[2] for name, one in adapted.named_parameters() if not torch.equal(one, before[name])}
    assert moved == {"up", "down"}
    assert not [name for name in training.state_dict() if name.endswith("embed.weight")]
    with pytest.raises(SwerveError, match="lora_rank is for frozen backbones"):
        RapModel(replace(SMALL, lora_rank=2))


def test_hidden_status_hides_status_and_past_alone():
    torch.manual_seed(0)
    inputs = turning_batch(SMALL, 200).inputs
    hidden = hidden_status(inputs, 0.25)
    share = (hidden.status == 0).all(dim=1).float().mean()
    assert 0.15 < share < 0.35
    assert torch.equal(hidden.motion, inputs.motion)
    assert hidden_status(inputs, 0.0) is inputs


def test_grids_hide_a_quarter_of_some_images():
    torch.manual_seed(0)
    images = torch.full((200, 2, 3, 48, 80), 7, dtype=torch.uint8)
    masked = grid_masked(images, 0.3)
    hidden = (masked == 128).float().mean(dim=(1, 2, 3, 4))
    assert set(masked.unique().tolist()) == {7, 128}
    assert 0.2 < (hidden > 0).float().mean() < 0.4
    assert abs(hidden[hidden > 0].mean() - 0.25) < 0.05
    assert torch.equal(masked[:, 0], masked[:, 1])
    assert len({tuple(one[0, 0].flatten().tolist()) for one in masked}) > 30


def test_colours_change_by_so_much_at_most():
    torch.manual_seed(0)
    flat = jittered(torch.full((50, 1, 3, 4, 4), 100, dtype=torch.uint8), 0.2).float()
    assert (flat == flat[..., :1, :1]).all()
    assert flat.min() >= 63
    assert flat.max() <= 145
    assert flat[:, 0, 0, 0, 0].std() > 5
    images = turning_batch(SMALL, 1).inputs.images
    assert torch.equal(jittered(images, 0.0), images)


def test_the_averaged_network_shares_what_is_not_trained(monkeypatch):
    """And is not built anew, which would read the backbone's weights again."""
    training = training_of(replace(SMALL, freeze_backbone=True))
    training.train_step(turning_batch(SMALL, 2))
    monkeypatch.setattr("swerve.planners.learning.training_step.build_model", None)
    made = training.averaged_model()
    own, other = (dict(one.named_parameters()) for one in (training.model, made))
    assert all((own[name] is other[name]) != own[name].requires_grad for name in own)
    assert torch.equal(other["scorer.norm.weight"], training.average["scorer.norm.weight"])
    assert not made.training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rap", "vocabulary", "chainflow"])
def test_networks_compile_without_graph_breaks(name, tmp_path):
    """In a process without the checks of shapes, which break graphs."""
    code = """
import sys, torch
from dataclasses import replace
from swerve.planners.chainflow import ChainFlowConfig, ChainFlowModel
from swerve.planners.rap import RapConfig, RapModel
from tests.support.rap_views import turning_batch
small = dict(dim=16, mlp_dim=16, heads=2)
words = dict(proposals=2, anchors=3, profiles=True, scorer_layers=1, residuals=True, **small)
model = {
    "rap": lambda: RapModel(RapConfig.tiny(proposals=3, **small)),
    "vocabulary": lambda: RapModel(RapConfig.tiny(**words)),
    "chainflow": lambda: ChainFlowModel(ChainFlowConfig.tiny(**small)),
}[sys.argv[1]]().eval()
inputs = turning_batch(model.config, 1).inputs
expected = model(inputs)
found = torch.compile(model, fullgraph=True, backend="eager")(inputs)
torch.testing.assert_close(found.poses, expected.poses)
torch.testing.assert_close(found.logits, expected.logits)
print("whole")
"""
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, timeout=300)
    assert done.stdout == "whole\n", done.stderr[-2000:]
