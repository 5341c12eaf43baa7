"""Vocabulary of proposals, its stored scores, and the scorer of plans."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.eval import build_context, prepare_context, score
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.learning import TrainingOptions
from swerve.planners.learning.calibration import calibration_of
from swerve.planners.learning.losses import ranking_loss
from swerve.planners.learning.score_store import ScoreStore, pack, unpack
from swerve.planners.learning.selection import best_proposal, chosen_proposals, log_score
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.vocabulary import PROFILES, Vocabulary, kmeans_anchors, profile_poses, residual_loss
from swerve.planners.rap import RapConfig, RapModel
from swerve.scenes import Scene, SwerveError
from tests.support.rap_views import turning_batch, without_photographs
from tests.support.simple_log import simple_log

CPU = torch.device("cpu")
FIXED = RapConfig.tiny(
    dim=16, mlp_dim=16, heads=2, proposals=0, anchors=3, profiles=True, scorer_layers=1, spatial_weight=0.0
)


def clusters(random, count):
    """Trajectories around three, each known to a decimetre."""
    seconds = np.arange(1, 9) / 2
    speeds, rates = np.array([2.0, 8.0, 8.0]), np.array([0.0, 0.0, 0.2])
    x, y = speeds[:, None] * seconds, speeds[:, None] * rates[:, None] * seconds**2 / 2
    centres = np.stack([x, y, rates[:, None] * seconds], axis=-1)
    labels = np.arange(count) % 3
    return centres, centres[labels] + random.normal(0, 0.01, (count, 8, 3))


def test_anchors_are_the_centres_of_clusters():
    centres, targets = clusters(np.random.default_rng(0), 300)
    anchors = kmeans_anchors(targets, 3, seed=1)
    order = (anchors[:, -1, 0] + anchors[:, -1, 1]).argsort()
    expected = centres[(centres[:, -1, 0] + centres[:, -1, 1]).argsort()]
    np.testing.assert_allclose(anchors[order], expected, atol=0.01)
    np.testing.assert_array_equal(anchors, kmeans_anchors(targets, 3, seed=1))
    with pytest.raises(SwerveError, match="5 anchors need as many distinct targets; the set has 3 in all"):
        kmeans_anchors(targets[:3], 5)


def test_more_anchors_represent_targets_better():
    random = np.random.default_rng(0)
    targets = clusters(random, 600)[1] + random.normal(0, 1.0, (600, 1, 3))

    def error(size):
        anchors = kmeans_anchors(targets, size)
        return ((targets[:, None] - anchors[None]) ** 2).sum(axis=(2, 3)).min(axis=1).mean()

    errors = [error(size) for size in (1, 4, 16, 64)]
    assert all(later < 0.8 * earlier for earlier, later in pairwise(errors))


def test_profiles_brake_and_speed_up_by_hand():
    """At 8 m/s: braking at 4 m/s^2 stops after 2 s and 8 m; on a curve of 0.1 rad/s the arc has a radius of 80 m."""
    poses = profile_poses(torch.tensor([[8.0, 0.0], [8.0, 0.1]]), 8, 0.5)
    assert poses.shape == (2, len(PROFILES), 8, 3)
    braking, steady = PROFILES.index(-4.0), PROFILES.index(0.0)
    torch.testing.assert_close(poses[0, braking, [1, 3, 7], 0], torch.tensor([6.0, 8.0, 8.0]))
    torch.testing.assert_close(poses[0, steady, :, 0], 4.0 * torch.arange(1, 9))
    assert (poses[0, :, :, 1:] == 0).all()
    end = poses[1, steady, -1]
    expected = torch.tensor([80 * np.sin(0.4), 80 * (1 - np.cos(0.4)), 0.4], dtype=torch.float32)
    torch.testing.assert_close(end, expected, atol=1e-4, rtol=1e-4)


def test_profiles_of_a_standing_car_do_not_move_backwards():
    poses = profile_poses(torch.tensor([[0.0, 0.0], [-0.5, 0.3]]), 8, 0.5)
    braking = [row for row, rate in enumerate(PROFILES) if rate <= 0]
    assert (poses[:, braking] == 0).all()
    assert poses.isfinite().all()


def test_residuals_begin_at_zero_and_follow_targets():
    config = replace(FIXED, residuals=True, score_weight=0.0, domain_weight=0.0)
    torch.manual_seed(0)
    batch = without_photographs(turning_batch(config, 2))
    training = Training(config, TrainingOptions(60, learning_rate=5e-3), CPU)
    training.model.vocabulary.set_anchors(torch.as_tensor(clusters(np.random.default_rng(0), 3)[0]).float())
    output = training.model(batch.inputs)
    assert torch.equal(output.anchored, output.extras)
    noted = training.model.extra_losses(output, batch)["residual"]
    training.model.config = replace(config, imitation_weight=2.0)
    assert torch.equal(training.model.extra_losses(output, batch)["residual"], noted)
    training.model.config = config
    first = training.train_step(batch)
    for _ in range(59):
        last = training.train_step(batch)
    assert last["residual"] < 0.4 * first["residual"]
    moved = training.model(batch.inputs)
    assert residual_loss(moved.extras, moved.anchored, batch.targets, batch.valid).mean() < 0.5 * first["residual"]


def test_packed_scores_are_the_scores():
    random = np.random.default_rng(0)
    metrics = random.choice([0.0, 0.5, 1.0], (500, 8))
    metrics[:, 4] = random.uniform(0, 1, 500)
    packed = pack(metrics)
    assert packed.shape == (500, 3)
    back = unpack(packed)
    np.testing.assert_array_equal(np.delete(back, 4, axis=1), np.delete(metrics, 4, axis=1).astype(np.float32))
    assert np.abs(back[:, 4] - metrics[:, 4]).max() <= 0.5 / 1023 + 1e-6
    with pytest.raises(ValueError, match="0, 1/2 or 1"):
        pack(np.full((1, 8), 0.3))


def test_stored_scores_are_those_of_the_scorer(tmp_path):
    """Also in another process's store of the same file; a sample without context has none; other anchors are others."""
    context = build_context(Scene(simple_log(), 40, 15, 50))
    anchors = torch.as_tensor(clusters(np.random.default_rng(0), 3)[0]).float()
    store = ScoreStore(tmp_path, anchors, True, 0.5, "set")
    motion = torch.tensor([[6.0, 0.0], [3.0, 0.1]])
    assert store.missing(["a", "b"]) == [0, 1]
    store.add(["a", "b"], [prepare_context(context), None], motion)
    other = ScoreStore(tmp_path, anchors, True, 0.5, "set")
    assert other.missing(["b", "c", "a"]) == [1]
    found, known = other.scores(["b", "a", "a"])
    assert known.tolist() == [False, True, True]
    vocabulary = Vocabulary(FIXED, 3, True, False)
    vocabulary.set_anchors(anchors)
    plans = vocabulary.proposals(motion)[0].double().numpy()
    exact = score(context, plans).metrics
    np.testing.assert_allclose(found[1], exact, atol=1e-3)
    assert len(np.unique(pdm_score(exact).round(3))) > 2
    assert ScoreStore(tmp_path, anchors + 1, True, 0.5, "set").missing(["a"]) == [0]
    with pytest.raises(SwerveError, match="scores of sample c are damaged"):
        other.scores(["c"])


@pytest.mark.parametrize("at_poses", [False, True])
def test_plans_are_scored_independently_and_move_no_pose(at_poses):
    torch.manual_seed(0)
    config = replace(FIXED, residuals=True, scorer_at_poses=at_poses)
    model, batch = RapModel(config).eval(), turning_batch(config, 2)
    model.vocabulary.set_anchors(torch.as_tensor(clusters(np.random.default_rng(0), 3)[0]).float())
    output = model(batch.inputs)
    features = model.backbone(batch.inputs.images.flatten(0, 1)).unflatten(0, batch.inputs.images.shape[:2])
    _, placed = model.neck(features, batch.inputs.rig)
    plans = output.poses.detach().requires_grad_()
    embedded = model.scorer.embedding(plans[:, :2])
    if at_poses:
        embedded = model.pose_features(embedded, plans[:, :2], placed, batch.inputs)
    logits = model.scorer(embedded, placed, batch.inputs)
    torch.testing.assert_close(logits, output.logits[:, :2])
    assert not torch.autograd.grad(logits.sum(), plans, allow_unused=True)[0]


@pytest.mark.parametrize("at_poses", [False, True])
def test_a_scorer_sees_only_available_images(at_poses):
    torch.manual_seed(0)
    config = replace(FIXED, cameras=("front", "left"), scorer_at_poses=at_poses)
    model, batch = RapModel(config).eval(), turning_batch(config, 2)
    present = torch.tensor([[True, False]]).expand(4, -1)
    inputs = replace(batch.inputs, present=present)
    changed = replace(inputs, images=inputs.images.clone())
    changed.images[:, 1] = 255 - changed.images[:, 1]
    torch.testing.assert_close(model(inputs).logits, model(changed).logits)
    assert not torch.equal(model(batch.inputs).logits, model(replace(changed, present=batch.inputs.present)).logits)


def test_a_plan_gets_what_the_images_show_at_its_poses():
    """The front camera shows a plan ahead and none behind; of two ahead, each has the features of its own place."""
    torch.manual_seed(0)
    config = replace(FIXED, scorer_at_poses=True)
    model, batch = RapModel(config).eval(), turning_batch(config, 2)
    _, placed = model.neck(
        model.backbone(batch.inputs.images.flatten(0, 1)).unflatten(0, batch.inputs.images.shape[:2]), batch.inputs.rig
    )
    ahead = torch.stack([torch.linspace(8, 30, 8), torch.linspace(2, 9, 8), torch.zeros(8)], dim=-1)
    poses = torch.stack([ahead, ahead * torch.tensor([1.0, -1.0, 1.0]), -ahead]).expand(len(batch.inputs), -1, -1, -1)
    plans = torch.zeros(len(batch.inputs), 3, config.dim)
    found = model.pose_features(plans, poses, placed, batch.inputs)
    left_half = torch.zeros(placed.shape[-1]).index_fill_(0, torch.arange(placed.shape[-1] // 2), 1.0)
    moved = model.pose_features(plans, poses, placed + 3 * left_half, batch.inputs) - found
    assert (moved[:, 0].abs().amax(dim=-1) > 1e-4).all()
    torch.testing.assert_close(moved[:, 1:], torch.zeros_like(moved[:, 1:]))
    # A pose that no camera shows adds zeros, so that all samples have the same.
    torch.testing.assert_close(found[:, 2], found[:1, 2].expand(len(found), -1))


def test_the_ranking_loss_orders_proposals():
    exact = torch.ones(1, 3, 8)
    exact[0, 1, 0], exact[0, 2, 4] = 0.0, 0.5
    logits = torch.zeros(1, 3, 8, requires_grad=True)
    known, importance = torch.tensor([True]), torch.ones(1)
    optimizer = torch.optim.SGD([logits], lr=3.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss = ranking_loss(logits, exact, known, importance)
        loss.backward()
        optimizer.step()
    first, second, third = log_score(logits[0]).tolist()
    assert first > third > second
    assert ranking_loss(logits, torch.ones(1, 3, 8), known, importance).item() == 0.0


def test_exponents_and_weights_tune_the_choice():
    """One plan may collide and gets far; the other is safe and gets less far."""
    logits = torch.full((1, 2, 8), 8.0)
    logits[0, 0, 0], logits[0, 1, 4] = 1.0, -0.6
    poses = torch.arange(2.0)[None, :, None, None].expand(1, 2, 8, 3)
    assert chosen_proposals(logits, FIXED).tolist() == [1]
    exact = (logits.sigmoid()[..., :4].prod(-1), logits.sigmoid()[..., 4:] @ torch.tensor([5.0, 5, 2, 2]) / 14)
    torch.testing.assert_close(log_score(logits, FIXED), (exact[0] * exact[1]).log(), atol=1e-5, rtol=1e-5)
    bold = replace(FIXED, selection_exponents=(0.2, 1.0, 1.0, 1.0))
    assert best_proposal(logits, poses, bold)[0, 0, 0] == 0.0


def test_calibration_by_hand():
    """Ten predictions of 0.25 of which half come true are off by 0.25; those of 0.75 with three in four are exact."""
    predicted = np.concatenate([np.full(10, 0.25), np.full(8, 0.75)])
    true = np.concatenate([np.arange(10) % 2, np.arange(8) % 4 > 0]).astype(float)
    found = calibration_of(np.tile(predicted[:, None], 8), np.tile(true[:, None], 8))
    np.testing.assert_allclose(found.error, 0.25 * 10 / 18)
    np.testing.assert_allclose(found.brier, (10 * 0.3125 + 8 * 0.1875) / 18)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scorer_layers": 0}, "needs scorer_layers above 0"),
        (
            {"scorer_layers": 0, "anchors": 0, "profiles": False, "proposals": 3, "scorer_at_poses": True},
            "scorer_at_poses needs scorer_layers",
        ),
        ({"anchors": 0, "profiles": False, "proposals": 2, "residuals": True}, "residuals refine a vocabulary"),
        ({"anchors": 0, "profiles": False}, "proposals is 0"),
        ({"anchors": -1}, "anchors is -1, it must not be below 0"),
    ],
)
def test_impossible_vocabularies_are_refused(changes, complaint):
    with pytest.raises(SwerveError, match=complaint):
        replace(FIXED, **changes)
