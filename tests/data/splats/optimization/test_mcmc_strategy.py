"""Growth by gsplat's MCMCStrategy, through a stand-in of it. tests/gpu asks the library itself the same."""

import numpy as np
import pytest
import torch

from swerve.data.splats.optimization import trainer
from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.splats.optimization.fit_scene import fit_scene
from swerve.data.splats.optimization.fit_state import FitCheckpoint
from swerve.rasterizer import backends
from swerve.rasterizer.splats import Gaussians, gsplat
from swerve.rasterizer.splats.gsplat import GsplatLibrary
from swerve.scenes import SwerveError
from tests.support import chain_checks, standin_gsplat
from tests.support import splat_toys as toys

STANDIN = GsplatLibrary(standin_gsplat, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of torch that wait for busy cores take minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_what_has_faded_goes_elsewhere_and_some_more_is_added():
    chain_checks.check_what_has_faded_goes_elsewhere_and_some_more_is_added(STANDIN)


def test_shaking_has_no_unit():
    chain_checks.check_shaking_has_no_unit(STANDIN)


def test_chance_is_the_steps_own():
    chain_checks.check_chance_is_the_steps_own(STANDIN)


@pytest.mark.parametrize("gaussians", [Gaussians.empty(1), toys.wall(40)], ids=["none", "all faded"])
def test_from_nothing_nothing_grows(gaussians):
    chain_checks.check_from_nothing_nothing_grows(STANDIN, gaussians)


@pytest.fixture
def standing_in(monkeypatch):
    """The stand-in where the library would be, and its tensors on the CPU."""
    monkeypatch.setattr(backends, "unavailable_reason", lambda backend: "")
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    monkeypatch.setattr(gsplat, "load_library", lambda: STANDIN)
    monkeypatch.setattr(trainer, "_device", lambda backend: "cpu")


def test_a_fit_grows_by_it_and_goes_on_where_it_was(standing_in):
    fit = chain_checks.crossing_fit()
    whole, kept = chain_checks.check_a_fit_grows(fit)
    again = fit_scene(*fit, state=FitCheckpoint.from_bytes(kept)).scene
    for one, two in ((whole.background, again.background), (whole.nodes[0].gaussians, again.nodes[0].gaussians)):
        for name, array in vars(one).items():
            np.testing.assert_array_equal(array, getattr(two, name))


def test_the_cpu_says_that_it_cannot():
    scene = toys.scene(toys.wall(40))
    shots = [toys.shot(scene, 0, toys.ego_pose(0.0))]
    with pytest.raises(
        SwerveError, match=r"densification.strategy mcmc needs the back end gsplat: use --backend gsplat, or"
    ):
        fit_scene(scene, shots, FitOptions(densification=chain_checks.GROWTH, backend="numba"))
