"""Checks of densification by gsplat's MCMCStrategy, for the library and for its fake."""

from dataclasses import replace

import numpy as np
import torch

from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions, LearningRates
from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.mcmc_strategy import McmcStrategy
from swerve.data.splats.optimization.parameters import trainable_gaussians
from tests.support import splat_toys as toys

GROWTH = DensificationOptions(start_step=1, stop_step=8, interval=4, max_gaussians=100, strategy="mcmc")
FADED = [3, 40, 79]


def learned(gaussians, using):
    """Return parameters after one step of Adam, so that moments exist."""
    parameters = trainable_gaussians(gaussians, 1.0, LearningRates(), str(using.device))
    sum(value.square().sum() for value in parameters.tensors_and_optimizers()[0].values()).backward()
    parameters.step(0.0)
    return parameters


def some_faded():
    """Build a wall of 80 Gaussians, three of which are transparent."""
    gaussians = toys.wall(80)
    gaussians.opacity_logits[FADED] = -9
    return gaussians


def check_what_has_faded_goes_elsewhere_and_some_more_is_added(using):
    """Check relocation and growth: 5 % more would be 84, the maximum is 83."""
    parameters = learned(some_faded(), using)
    before = {name: value.detach().cpu().clone() for name, value in parameters.values().items()}
    rows = McmcStrategy(GROWTH, 0, using).step(parameters, 0, 1.0, 83, 4)
    assert len(rows) == 83
    still = np.setdiff1d(np.arange(80), FADED)
    np.testing.assert_array_equal(rows[still], still)
    assert not np.isin(rows, FADED).any()
    after = {name: value.detach().cpu().clone() for name, value in parameters.values().items()}
    torch.testing.assert_close(after["sh0"], before["sh0"][rows])
    torch.testing.assert_close(after["means"], before["means"][rows], atol=1e-3, rtol=0)
    # Together the Gaussians at one position have the opacity of the original one.
    light = torch.sigmoid(-after["opacity_logits"]).log()
    together = torch.zeros(80).index_add_(0, torch.from_numpy(rows), light)
    expected = torch.sigmoid(-before["opacity_logits"]).log()
    torch.testing.assert_close(together[still], expected[still], rtol=1e-4, atol=1e-4)
    moments = parameters.to_arrays()["means.exp_avg"]
    assert not moments[80:].any()
    assert moments[:3].any()
    parameters["means"].sum().backward()
    parameters.step(0.5)
    assert (parameters["means"].detach().cpu() != after["means"]).any(dim=1).all()


def check_shaking_has_no_unit(using):
    """Check that noise scales with the scene: a scene ten times as large moves ten times as far."""
    moved = []
    for size in (1.0, 10.0):
        small = some_faded()
        larger = replace(
            small, means=small.means * np.float32(size), log_scales=small.log_scales + np.float32(np.log(size))
        )
        parameters = trainable_gaussians(larger, 5.0 * size, LearningRates(), str(using.device))
        before = parameters["means"].detach().clone()
        assert McmcStrategy(GROWTH, 0, using).step(parameters, 0, 5.0 * size, 100, 3) is None
        moved.append((parameters["means"].detach() - before).cpu().numpy())
    np.testing.assert_allclose(moved[1], 10 * moved[0], rtol=1e-2, atol=1e-4)
    faint = np.linalg.norm(moved[0][FADED], axis=1)
    solid = np.linalg.norm(np.delete(moved[0], FADED, axis=0), axis=1)
    assert faint.min() > 1e-3 > 100 * solid.max()


def check_chance_is_the_steps_own(using):
    """Check that randomness depends only on seed, group and step, and leaves other generators unchanged."""
    torch.manual_seed(5)
    expected = torch.rand(3, device=using.device)
    torch.manual_seed(5)
    rows = [McmcStrategy(GROWTH, seed, using).step(learned(some_faded(), using), 0, 1.0, 100, 4) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3, device=using.device), expected)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0] != rows[2]).any()


def check_from_nothing_nothing_grows(using, gaussians):
    """Check that nothing grows from an empty or fully transparent group."""
    gaussians.opacity_logits[:] = -9
    parameters = trainable_gaussians(gaussians, 1.0, LearningRates(), str(using.device))
    rows = McmcStrategy(GROWTH, 0, using).step(parameters, 0, 1.0, 100, 4)
    np.testing.assert_array_equal(rows, np.arange(len(gaussians)))


def crossing_fit(**changes):
    """Build the arguments of `fit_scene`: nine steps on a wall and a crossing box, which is densified twice."""
    true = toys.scene(toys.wall(120), [toys.crossing(toys.box())])
    shots = [toys.shot(true, time, toys.ego_pose(0.2 * k)) for k, time in enumerate((0, 100_000))]
    growth = replace(GROWTH, max_gaussians=195)
    return true, shots, FitOptions(steps=9, densification=growth, backend="gsplat", **changes)


def check_a_fit_grows(fit):
    """Check that a fit grows by 5 % each time up to the maximum, and that boxes keep their Gaussians.

    Args:
        fit: function that runs `crossing_fit`.

    Returns:
        the scene, and the checkpoint after the fifth step.
    """
    counts, kept = [], []

    def note(progress):
        counts.append(progress.count)
        assert progress.terms["presence"] > 0
        if progress.step == 5:
            kept.append(progress.state().to_bytes())

    whole = fit_scene(*fit, report=note).scene
    assert counts == [180] * 3 + [189] * 4 + [195] * 2
    assert len(whole.nodes[0].gaussians) > 60
    assert (np.abs(whole.nodes[0].gaussians.means) < toys.BOX_SIZE / 2 + 0.5).all()
    return whole, kept[0]
