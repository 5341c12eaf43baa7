import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval import build_context, prepare_context, score
from swerve.eval.scoring.sub_scores import pdm_score
from swerve.planners.learning.alignment import (
    DomainClassifier,
    EmaTeacher,
    domain_alignment,
    pooled_content,
    reversal_strength,
    reverse_gradient,
    spatial_alignment,
)
from swerve.planners.learning.losses import (
    check_loss_names,
    imitation_loss,
    losses_of,
    pose_distances,
    score_loss,
    score_proposals,
)
from swerve.planners.learning.model import ModelOutput
from swerve.planners.learning.selection import best_proposal, expected_score
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapModel
from swerve.scenes import Scene, SwerveError
from tests.support.rap_views import turning_batch, without_photographs
from tests.support.simple_log import simple_log

CONFIG = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3)


@pytest.fixture
def trained():
    """Model, teacher, classifier and a batch of three pairs."""
    torch.manual_seed(0)
    model = RapModel(CONFIG)
    return model, EmaTeacher(model.neck, 0.9), DomainClassifier(CONFIG), turning_batch(CONFIG, 3)


def context():
    return build_context(Scene(simple_log(), 40, 15, 50))


def targets_of(contexts, plans, threads=1, watch=None):
    """As training asks for them; the same context has the same yardstick."""
    known = {id(one): prepare_context(one) for one in contexts if one}
    with score_proposals(
        [known.get(id(one)) for one in contexts], plans, 0.5, threads, watch or Stopwatch()
    ) as targets:
        return targets()


def test_imitation_by_hand():
    """Two rounds, one sample, two proposals of two poses."""
    targets = torch.tensor([[[1.0, 0.0, 3.1], [2.0, 0.0, 0.0]]])
    rounds = torch.zeros(2, 1, 2, 2, 3)
    rounds[:, 0, :] = targets
    rounds[0, 0, 0] += torch.tensor([1.0, -0.5, 0.0])  # 1.5 at both poses
    rounds[0, 0, 1, 0, 2] = -3.1  # the heading is 2 pi - 6.2 off, at one of two poses
    rounds[1, 0, 0, 1, 0] += 3.0  # 1.5 on the mean
    rounds[1, 0, 1] += 9.0
    valid, weight = torch.ones(1, 2, dtype=torch.bool), torch.ones(1)
    expected = [[1.5, (2 * math.pi - 6.2) / 2], [1.5, 9.0 + 9.0 + (9.0 - 2 * math.pi)]]
    np.testing.assert_allclose(pose_distances(rounds, targets, valid)[:, 0].numpy(), expected, atol=1e-5)
    loss = imitation_loss(rounds, targets, valid, weight, 0.1)
    assert loss.item() == pytest.approx(1.5 + 0.1 * (2 * math.pi - 6.2) / 2, abs=1e-5)
    first = torch.tensor([[True, False]])
    assert imitation_loss(rounds, targets, first, weight, 0.1).item() == pytest.approx(
        0.0 + 0.1 * (2 * math.pi - 6.2), abs=1e-5
    )


def test_only_the_winner_learns_and_only_from_what_is_known():
    rounds = torch.tensor([[1.0, 2.0, 5.0], [4.0, 3.0, 3.5]])[None, :, :, None, None].repeat(1, 1, 1, 2, 3)
    rounds.requires_grad_()
    targets, valid = torch.zeros(2, 2, 3), torch.tensor([[True, False], [True, True]])
    targets[0, 1] = torch.nan  # what is not known may hold anything
    imitation_loss(rounds, targets, valid, torch.tensor([1.0, 3.0]), 0.1).backward()
    assert rounds.grad.isfinite().all()
    moved = rounds.grad[0].abs().sum(dim=-1) > 0
    expected = np.zeros((2, 3, 2), bool)
    expected[0, 0, 0] = expected[1, 1] = True
    np.testing.assert_array_equal(moved.numpy(), expected)
    np.testing.assert_allclose(rounds.grad[0, 0, 0, 0, 0].item(), 1 / 4)
    np.testing.assert_allclose(rounds.grad[0, 1, 1, 0, 0].item(), 3 / 4 / 2)


def test_samples_without_targets_count_for_nothing():
    rounds = torch.ones(1, 2, 3, 2, 3, requires_grad=True)
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    loss = imitation_loss(rounds, torch.zeros(2, 2, 3), nothing, torch.ones(2), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert not rounds.grad.any()


def test_expected_score_is_the_scorers_formula():
    metrics = np.random.default_rng(0).uniform(size=(4, 5, 8))
    np.testing.assert_allclose(
        expected_score(torch.tensor(metrics)).numpy(), pdm_score(metrics.reshape(-1, 8)).reshape(4, 5), atol=1e-12
    )
    logits = torch.zeros(2, 3, 8)
    logits[0, 2], logits[1, 1], logits[1, 0, 4:] = 3.0, 3.0, 9.0
    poses = torch.arange(6.0).reshape(2, 3, 1, 1).expand(2, 3, 8, 3)
    assert best_proposal(logits, poses)[:, 0, 0].tolist() == [2.0, 4.0]


def test_proposals_are_scored_exactly_where_they_can_be():
    """Bug A3: a sample without context is not an error, and has no part in the loss."""
    plans = torch.randn(3, 4, 8, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([3, 1, 0.1])
    plans = (plans + torch.tensor([10.0, 0, 0]) * torch.arange(1, 9)[:, None] / 2).requires_grad_()
    targets, known = targets_of((None, context(), None), plans)
    assert known.tolist() == [False, True, False]
    np.testing.assert_allclose(
        targets[1].numpy(), score(context(), plans[1].detach().double().numpy()).metrics, atol=1e-6
    )
    assert not targets.requires_grad
    logits = torch.zeros(3, 4, 8, requires_grad=True)
    loss = score_loss(logits, targets, known, torch.ones(3), torch.ones(8))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    loss.backward()
    np.testing.assert_allclose(logits.grad[1].numpy(), (0.5 - targets[1].numpy()) / 32, atol=1e-7)
    assert not logits.grad[[0, 2]].any()
    nobody, none = targets_of((None,) * 3, plans)
    assert score_loss(logits, nobody, none, torch.ones(3), torch.ones(8)).item() == 0.0


def test_looks_of_a_sample_are_scored_together_and_measured():
    """In any order, with contexts of others between."""
    one, other, watch = context(), build_context(Scene(simple_log(), 70, 15, 50)), Stopwatch()
    plans = torch.randn(4, 3, 8, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([3, 1, 0.1])
    plans = plans + torch.tensor([10.0, 0, 0]) * torch.arange(1, 9)[:, None] / 2
    targets, _ = targets_of((one, other, None, one), plans, 2, watch)
    for row, own in ((0, one), (1, other), (3, one)):
        np.testing.assert_allclose(
            targets[row].numpy(), score(own, plans[row].double().numpy()).metrics, atol=1e-6, err_msg=str(row)
        )
    assert watch.seconds["scoring_cpu"] > 0


def test_scored_samples_count_by_importance():
    logits = torch.tensor([0.0, 2.0, 5.0])[:, None, None].expand(3, 2, 8)
    known, importance = torch.tensor([True, True, False]), torch.tensor([3.0, 1.0, 7.0])
    loss = score_loss(logits, torch.zeros(3, 2, 8), known, importance, torch.ones(8))
    expected = (3 * math.log(2) + math.log(1 + math.exp(2.0))) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_metrics_weight_is_its_share():
    logits = torch.zeros(1, 2, 8, requires_grad=True)
    weights = torch.tensor([3.0, 0, 0, 0, 1.0, 0, 0, 0])
    score_loss(logits, torch.zeros(1, 2, 8), torch.ones(1, dtype=torch.bool), torch.ones(1), weights).backward()
    np.testing.assert_allclose(logits.grad[0].sum(dim=0).numpy(), 0.5 * weights.numpy() / 4)


def test_proposals_that_are_not_finite_are_named():
    plans = torch.full((1, 2, 8, 3), torch.nan)
    with pytest.raises(SwerveError, match="poses that are not finite"):
        targets_of((context(),), plans)


@pytest.mark.parametrize(
    ("direction", "moves"),
    [("real-to-raster", (True, False)), ("raster-to-real", (False, True)), ("both", (True, True))],
)
def test_alignment_moves_the_looks_that_it_should(trained, direction, moves):
    """Bug A6, too: what is not moved has gradients of exactly zero."""
    model, teacher, classifier, batch = trained
    output = model(batch.inputs)
    for loss in (
        spatial_alignment(output, batch, teacher, direction),
        domain_alignment(output, batch, classifier, direction, 0.5),
    ):
        (gradient,) = torch.autograd.grad(loss, output.content, retain_graph=True)
        moved = gradient.flatten(1).abs().sum(dim=1) > 0
        assert moved.tolist() == [moves[0]] * 3 + [moves[1]] * 3
    gradients = torch.autograd.grad(
        spatial_alignment(output, batch, teacher, direction), model.neck.embedder.parameters(), allow_unused=True
    )
    assert all(one is None for one in gradients)


def test_spatial_alignment_is_the_distance_to_the_slow_copy(trained):
    model, teacher, _, batch = trained
    with torch.no_grad():
        teacher.neck.projector[0][0].weight.mul_(0.5)
    output = model(batch.inputs)
    raster = teacher.neck.content(output.features[3:])

    def expected_over(rows):
        """Channel by channel, over the variance that numpy finds."""
        spread = raster[rows].detach().numpy().var(axis=(0, 1, 3, 4))[:, None, None]
        return ((output.content[:3][rows] - raster[rows]) ** 2 / torch.as_tensor(spread)).mean()

    expected = expected_over([0, 1, 2])
    assert spatial_alignment(output, batch, teacher, "real-to-raster").item() == pytest.approx(expected.item())
    present = batch.inputs.present.clone()
    present[4] = False
    part = replace(batch, inputs=replace(batch.inputs, present=present))
    expected = expected_over([0, 2])
    assert spatial_alignment(output, part, teacher, "real-to-raster").item() == pytest.approx(expected.item())


def test_alignment_begins_when_it_should(trained):
    model, teacher, classifier, batch = trained
    config = replace(model.config, score_weight=0.0, spatial_weight=1.0, domain_weight=1.0, alignment_start=0.5)
    output = model(batch.inputs)
    for progress, begun in ((0.0, False), (0.499, False), (0.5, True), (1.0, True)):
        losses = losses_of(output, batch, config, teacher, classifier, progress, Stopwatch())
        assert (losses.spatial.item() > 0, losses.domain.item() > 0) == (begun, begun)
        parts = losses.imitation + losses.spatial + losses.domain
        assert losses.total.item() == pytest.approx(parts.item())


def test_spatial_alignment_does_not_reward_features_that_fade(trained):
    """Nor is it in any way about their scale."""
    model, teacher, _, batch = trained
    output = model(batch.inputs)
    before = spatial_alignment(output, batch, teacher, "both").item()
    for neck in (model.neck, teacher.neck):
        with torch.no_grad():
            neck.projector[1].weight.mul_(0.01)
            neck.projector[1].bias.mul_(0.01)
    faded = model(batch.inputs)
    assert faded.content.var() < 1e-3 * output.content.var()
    assert spatial_alignment(faded, batch, teacher, "both").item() == pytest.approx(before, rel=1e-3)


def test_the_slow_copy_follows_slowly_and_is_never_trained(trained):
    model, teacher, classifier, batch = trained
    before = teacher.neck.projector[1].bias.clone()
    with torch.no_grad():
        model.neck.projector[1].bias.add_(1.0)
    teacher.update(model.neck)
    np.testing.assert_allclose(teacher.neck.projector[1].bias.numpy(), before.numpy() + 0.1, atol=1e-6)
    losses_of(model(batch.inputs), batch, CONFIG, teacher, classifier, 0.5, Stopwatch()).total.backward()
    assert all(one.grad is None and not one.requires_grad for one in teacher.parameters())
    assert model.neck.projector[1].bias.grad.abs().sum() > 0


def test_gradients_are_reversed_and_scaled():
    values = torch.randn(3, 4, requires_grad=True)
    (reverse_gradient(values, 0.3) * torch.arange(4.0)).sum().backward()
    np.testing.assert_allclose(values.grad.numpy(), -0.3 * np.arange(4.0)[None].repeat(3, 0), atol=1e-6)


def test_the_reversal_grows_as_published():
    """The values of the original's epochs 0, 1, 2, 4, 9 and 19 of 20 (before its factor)."""
    strengths = [reversal_strength(epoch / 20, 1.0) for epoch in (1, 2, 3, 5, 10, 20)]
    np.testing.assert_allclose(strengths, [0.245, 0.462, 0.635, 0.848, 0.987, 1.0], atol=5e-4)
    assert reversal_strength(0.0, 0.1) == 0.0
    assert reversal_strength(1.0, 0.1) == pytest.approx(0.1, abs=1e-4)


def test_the_classifier_learns_while_features_hide():
    """Without reversal it tells domains apart; with it, features come nearer until it hardly does."""
    ends = {}
    batch = replace(turning_batch(CONFIG, 6), valid=torch.zeros(12, 8, dtype=torch.bool))
    for strength in (0.0, 1.0):
        torch.manual_seed(0)
        content = torch.nn.Parameter(torch.randn(12, 1, 16, 2, 2) * 0.1)
        with torch.no_grad():
            content[:6, :, 0] += 1.0
        classifier = DomainClassifier(CONFIG)
        optimizer = torch.optim.SGD([{"params": classifier.parameters()}, {"params": [content], "lr": 3.0}], lr=0.2)
        losses = []
        for _ in range(150):
            output = ModelOutput(torch.zeros(1, 12, 3, 8, 3), torch.zeros(12, 3, 8), content, content)
            loss = domain_alignment(output, batch, classifier, "real-to-raster", strength)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        pooled = pooled_content(content.detach(), batch.inputs.present)
        ends[strength] = (losses[-1], (pooled[:6] - pooled[6:]).mean(dim=0).norm().item())
    assert ends[0.0][0] < 0.1
    assert ends[1.0][0] > 0.5
    assert ends[1.0][1] < 0.85 * ends[0.0][1]


def test_domains_weigh_the_same_however_many_they_are(trained):
    """Without pairs all views count; of five rasters each weighs a fifth of the one photograph."""
    model, _, classifier, batch = trained
    lone = replace(batch, paired_row=torch.full_like(batch.paired_row, -1), is_photo=torch.arange(6) < 1)
    output = model(batch.inputs)
    pooled = pooled_content(output.content, batch.inputs.present)
    logits = classifier(pooled, 0.0)
    expected = (torch.nn.functional.softplus(-logits[0]) + torch.nn.functional.softplus(logits[1:]).mean()) / 2
    loss = domain_alignment(output, lone, classifier, "real-to-raster", 0.0)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_bug_a6_without_photographs_losses_are_tensors_of_zero(trained):
    model, teacher, classifier, batch = trained
    alone = without_photographs(batch)
    losses = losses_of(model(alone.inputs), alone, CONFIG, teacher, classifier, 0.5, Stopwatch())
    assert losses.spatial.item() == losses.domain.item() == losses.score.item() == 0.0
    losses.total.backward()
    # DistributedDataParallel waits for the gradients of every parameter.
    assert all(one.grad is not None for one in classifier.parameters())


@pytest.mark.parametrize("photographs", [0, 1, 5, 6])
@pytest.mark.parametrize("direction", ["real-to-raster", "raster-to-real", "both"])
def test_bug_a2_every_mixture_of_looks_has_a_loss(trained, photographs, direction):
    """The original's branch for a batch of one look uses a name that is not defined."""
    model, _, classifier, batch = trained
    lone = replace(batch, paired_row=torch.full_like(batch.paired_row, -1), is_photo=torch.arange(6) < photographs)
    loss = domain_alignment(model(batch.inputs), lone, classifier, direction, 0.5)
    assert (loss.item() > 0) == (0 < photographs < 6)
    loss.backward()
    assert all(one.grad.isfinite().all() for one in classifier.parameters())


def test_bug_a1_the_network_needs_no_state_of_training(trained):
    """The original breaks wherever no training step has been made before, or alignment is off."""
    model, teacher, classifier, batch = trained
    assert model.eval()(batch.inputs).poses.shape == (6, 3, 8, 3)
    off = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3, spatial_weight=0.0, domain_weight=0.0)
    losses = losses_of(model(batch.inputs), batch, off, teacher, classifier, 0.0, Stopwatch())
    assert losses.total.item() == pytest.approx(losses.imitation.item())


def test_the_total_is_the_weighted_sum(trained):
    model, teacher, classifier, batch = trained
    config = replace(CONFIG, imitation_weight=2.0, score_weight=3.0, spatial_weight=0.5, domain_weight=0.25)
    scored = replace(batch, contexts=(prepare_context(context()), *batch.contexts[1:]))
    losses = losses_of(model(batch.inputs), scored, config, teacher, classifier, 0.5, Stopwatch())
    assert min(losses.imitation, losses.score, losses.spatial, losses.domain).item() > 0
    expected = 2 * losses.imitation + 3 * losses.score + 0.5 * losses.spatial + 0.25 * losses.domain
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_losses_are_noted_unweighted_and_weighted_once(trained):
    """The total is, to the last bit, the sum in the order in which it was always added up."""
    model, teacher, classifier, batch = trained
    scored = replace(batch, contexts=(prepare_context(context()), *batch.contexts[1:]))
    output, own = model(batch.inputs), {"residual": torch.tensor(0.7), "agents": torch.tensor(3.3)}
    own["mine"] = torch.tensor(0.1)
    plain = replace(CONFIG, ranking_weight=1.0)
    config = replace(plain, imitation_weight=0.3, ranking_weight=0.7, agents_weight=0.9, drivable_weight=0.6)
    found = []
    for one in (plain, config):
        torch.manual_seed(1)  # ranks a random choice of proposals
        found.append(losses_of(output, scored, one, teacher, classifier, 0.5, Stopwatch(), own=own))
    first, second = (losses.parts for losses in found)
    assert {name: one.item() for name, one in first.items() if name != "total"} == {
        name: one.item() for name, one in second.items() if name != "total"
    }
    total = 0.3 * second["imitation"] + config.score_weight * second["score"]
    total = total + config.spatial_weight * second["spatial"] + config.domain_weight * second["domain"]
    total = total + 0.3 * own["residual"] + 0.9 * own["agents"] + own["mine"] + 0.7 * second["ranking"]
    assert second["total"].item() == total.item()


@pytest.mark.parametrize("name", ["score", "agents", "step", "ade_best", "scoring_wait_seconds"])
def test_losses_of_ones_own_have_names_of_their_own(name):
    check_loss_names(["mine", "residual"])
    with pytest.raises(SwerveError, match=f"{name}: another column of the log has this name"):
        check_loss_names(["mine", name])


def test_mixed_precision_does_not_round_losses(trained):
    """It makes products of matrices good to three digits."""
    model, teacher, classifier, batch = trained
    scored, output = replace(batch, contexts=(prepare_context(context()), *batch.contexts[1:])), model(batch.inputs)
    config, plain, mixed = replace(CONFIG, spatial_weight=0.0, domain_weight=0.0), [], []
    for enabled, found in ((False, plain), (True, mixed)):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses = losses_of(output, scored, config, teacher, classifier, 0.5, Stopwatch())
        found += [losses.imitation.item(), losses.score.item()]
    assert mixed == plain


def test_cross_agent_samples_weigh_less(trained):
    model, teacher, classifier, batch = trained
    output = model(batch.inputs)
    mixed = replace(batch, cross_agent=torch.arange(6) == 2)
    distances = pose_distances(output.refinements, batch.targets, batch.valid).amin(dim=2)
    weight = torch.tensor([1, 1, 0.1, 1, 1, 1])
    expected = ((distances[1] + 0.1 * distances[0]) * weight).sum() / weight.sum()
    losses = losses_of(output, mixed, CONFIG, teacher, classifier, 0.0, Stopwatch())
    assert losses.imitation.item() == pytest.approx(expected.item(), rel=1e-5)


def test_partners_are_checked(trained):
    batch = trained[3]
    for wrong in (torch.tensor([1, 0, -1, -1, -1, -1]), torch.tensor([3, -1, -1, -1, -1, -1])):
        with pytest.raises(ValueError, match="partners must refer to each other"):
            replace(batch, paired_row=wrong)
    with pytest.raises(ValueError, match="6 views need as many contexts, got 1"):
        replace(batch, contexts=(None,))
