"""Growth by gsplat's own MCMCStrategy: its stand-in is tested in optimization/test_mcmc_strategy.py."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.rasterizer.backends import unavailable_reason

if unavailable_reason("gsplat"):
    pytest.skip(f"gsplat: {unavailable_reason('gsplat')}", allow_module_level=True)

from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.fit_state import FitCheckpoint
from swerve.rasterizer.splats import Gaussians
from swerve.rasterizer.splats.gsplat import load_library
from tests.support import chain_checks
from tests.support import splat_toys as toys


def test_what_has_faded_goes_elsewhere_and_some_more_is_added():
    chain_checks.check_what_has_faded_goes_elsewhere_and_some_more_is_added(load_library())


def test_shaking_has_no_unit():
    chain_checks.check_shaking_has_no_unit(load_library())


def test_chance_is_the_steps_own():
    chain_checks.check_chance_is_the_steps_own(load_library())


@pytest.mark.parametrize("gaussians", [Gaussians.empty(1), toys.wall(40)], ids=["none", "all faded"])
def test_from_nothing_nothing_grows(gaussians):
    chain_checks.check_from_nothing_nothing_grows(load_library(), gaussians)


def test_a_fit_grows_by_it_and_goes_on_where_it_was():
    """To rounding: sums of gradients on a GPU come in any order."""
    fit = chain_checks.crossing_fit()
    whole, kept = chain_checks.check_a_fit_grows(fit)
    again = fit_scene(*fit, state=FitCheckpoint.from_bytes(kept)).scene
    for one, two in ((whole.background, again.background), (whole.nodes[0].gaussians, again.nodes[0].gaussians)):
        assert len(one) == len(two)
    views = [toys.drawn_from(scene, 0, fit[1][0].world_from_ego).color for scene in (whole, again)]
    assert np.abs(views[0] - views[1]).mean() < 0.02


def test_a_longer_fit_comes_to_look_like_its_images():
    """From a start of wrong colours, with a fifth of it faded: what is put elsewhere helps."""
    true, shots, options = chain_checks.crossing_fit()
    spoiled = replace(
        true.background,
        sh_coefficients=np.zeros_like(true.background.sh_coefficients),
        opacity_logits=np.where(np.arange(120) % 5, true.background.opacity_logits, np.float32(-9)),
    )
    growth = replace(options.densification, start_step=50, stop_step=300, interval=50, max_gaussians=400)
    start, quality = replace(true, background=spoiled), []
    for scene in (start, fit_scene(start, shots, replace(options, steps=400, densification=growth)).scene):
        view = toys.drawn_from(scene, 0, shots[0].world_from_ego)
        quality.append(toys.psnr_of(np.clip(view.color, 0, 1), shots[0].image / 255))
    assert quality[1] > quality[0] + 6
