"""Fixtures of tests that train networks."""

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.context.context_job import write_contexts
from tests.support.photographed_source import PhotographedSource, write_photo
from tests.support.simple_source import SimpleSource


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Of torch: these networks are so small that threads wait for each other longer than they work."""
    torch = pytest.importorskip("torch", reason="torch is an extra")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A set of two logs, the first with photographs, its contexts, and a benchmark of another log."""
    folder = tmp_path_factory.mktemp("rap")
    write_photo(folder)
    source = PhotographedSource(("train-0-photos", "train-1"), str(folder))
    augment([source], folder / "set", AugmentOptions(scene_interval=2.0), workers=1)
    write_contexts([source], folder / "set", folder / "contexts", 1)
    options = BuildOptions(scene_interval=2.0, views=(), traffic="log-replay", min_follow_ups=2, max_follow_ups=2)
    assert not build([SimpleSource(("val-a",))], folder / "benchmark", options, workers=1).failures
    return folder
