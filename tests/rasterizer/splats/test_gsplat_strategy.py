"""Growth by gsplat's MCMCStrategy, through a stand-in of it. tests/gpu has the library itself."""

from dataclasses import replace

import numpy as np
import pytest
import splat_toys as toys
import standin_gsplat
import torch

from swerve.rasterizer import backends
from swerve.rasterizer.splats import Gaussians, fitting, gsplat
from swerve.rasterizer.splats.fit import fit_scene
from swerve.rasterizer.splats.fit_options import FitOptions, Growth, Rates
from swerve.rasterizer.splats.fit_state import FitState
from swerve.rasterizer.splats.gsplat import Library
from swerve.rasterizer.splats.gsplat.strategy import Chain
from swerve.rasterizer.splats.parameters import learning_gaussians
from swerve.scenes import SwerveError

STANDIN = Library(standin_gsplat, torch.device("cpu"))
GROWTH = Growth(first=1, last=8, every=4, most=100, way="mcmc")


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of torch that wait for busy cores take minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def learned(gaussians, extent=1.0):
    """After one step of Adam, so that there are moments."""
    parameters = learning_gaussians(gaussians, extent, Rates(), "cpu")
    sum(value.square().sum() for value in parameters.lent()[0].values()).backward()
    parameters.step(0.0)
    return parameters


def some_faded():
    gaussians = toys.wall(80)
    gaussians.logit_opacities[[3, 40, 79]] = -9
    return gaussians


def test_what_has_faded_goes_elsewhere_and_some_more_is_added():
    parameters = learned(some_faded())
    before = {name: value.clone() for name, value in parameters.values().items()}
    rows = Chain(GROWTH, 0, STANDIN).step(parameters, 0, 1.0, 83, 4)
    assert len(rows) == 83  # 84 would be a twentieth more
    still = np.setdiff1d(np.arange(80), [3, 40, 79])
    np.testing.assert_array_equal(rows[still], still)
    assert not np.isin(rows, [3, 40, 79]).any()
    after = parameters.values()
    torch.testing.assert_close(after["constants"], before["constants"][rows])
    torch.testing.assert_close(after["means"], before["means"][rows], atol=1e-3, rtol=0)
    # Together those of one place hide as much as the one did.
    light = torch.sigmoid(-after["logit_opacities"]).log()
    together = torch.zeros(80).index_add_(0, torch.from_numpy(rows), light)
    torch.testing.assert_close(together[still], torch.sigmoid(-before["logit_opacities"]).log()[still])
    moments = parameters.to_arrays()["means.exp_avg"]
    assert not moments[80:].any()
    assert moments[:3].any()
    after["means"].grad = None
    parameters["means"].sum().backward()
    parameters.step(0.5)
    assert (parameters["means"] != before["means"][rows]).any(dim=1).all()


def test_shaking_has_no_unit():
    """The same scene ten times as large is shaken ten times as far."""
    moved = []
    for size in (1.0, 10.0):
        small = some_faded()
        larger = replace(
            small, means=small.means * np.float32(size), log_scales=small.log_scales + np.float32(np.log(size))
        )
        parameters = learning_gaussians(larger, 5.0 * size, Rates(), "cpu")
        before = parameters["means"].detach().clone()
        assert Chain(GROWTH, 0, STANDIN).step(parameters, 0, 5.0 * size, 100, 3) is None
        moved.append((parameters["means"].detach() - before).numpy())
    np.testing.assert_allclose(moved[1], 10 * moved[0], rtol=1e-2, atol=1e-4)
    faint = np.linalg.norm(moved[0][[3, 40, 79]], axis=1)
    solid = np.linalg.norm(np.delete(moved[0], [3, 40, 79], axis=0), axis=1)
    assert faint.min() > 1e-3 > 100 * solid.max()


def test_chance_is_the_steps_own():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    rows = [Chain(GROWTH, seed, STANDIN).step(learned(some_faded()), 0, 1.0, 100, 4) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0] != rows[2]).any()


@pytest.mark.parametrize("gaussians", [Gaussians.empty(1), toys.wall(40)], ids=["none", "all faded"])
def test_from_nothing_nothing_grows(gaussians):
    gaussians.logit_opacities[:] = -9
    parameters = learning_gaussians(gaussians, 1.0, Rates(), "cpu")
    rows = Chain(GROWTH, 0, STANDIN).step(parameters, 0, 1.0, 100, 4)
    np.testing.assert_array_equal(rows, np.arange(len(gaussians)))


@pytest.fixture
def standing_in(monkeypatch):
    """The stand-in where the library would be, and its tensors on the CPU."""
    monkeypatch.setattr(backends, "why_not", lambda backend: "")
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    monkeypatch.setattr(gsplat, "load_library", lambda: STANDIN)
    monkeypatch.setattr(fitting, "_device", lambda backend: "cpu")


def test_a_fit_grows_by_it_and_goes_on_where_it_was(standing_in):
    node = toys.crossing(toys.box())
    true = toys.scene(toys.wall(120), [node])
    shots = [toys.shot(true, time, toys.ego_pose(0.2 * k)) for k, time in enumerate((0, 100_000))]
    options = FitOptions(steps=9, growth=replace(GROWTH, most=195), backend="gsplat")
    counts, kept = [], []

    def note(progress):
        counts.append(progress.count)
        assert progress.terms["presence"] > 0
        if progress.step == 5:
            kept.append(progress.state().to_bytes())

    whole = fit_scene(true, shots, options, report=note).scene
    assert counts == [180] * 3 + [189] * 4 + [195] * 2
    assert len(whole.nodes[0].gaussians) > 60
    inside = np.abs(whole.nodes[0].gaussians.means) < toys.BOX_SIZE / 2 + 0.5
    assert inside.all()
    again = fit_scene(true, shots, options, state=FitState.from_bytes(kept[0])).scene
    for one, two in ((whole.background, again.background), (whole.nodes[0].gaussians, again.nodes[0].gaussians)):
        for name, array in vars(one).items():
            np.testing.assert_array_equal(array, getattr(two, name))


def test_the_cpu_says_that_it_cannot():
    scene = toys.scene(toys.wall(40))
    shots = [toys.shot(scene, 0, toys.ego_pose(0.0))]
    with pytest.raises(
        SwerveError, match=r"growth mcmc is gsplat's, .*: use backend gsplat, or growth split-and-clone"
    ):
        fit_scene(scene, shots, FitOptions(growth=GROWTH, backend="numba"))
