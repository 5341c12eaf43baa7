"""Shapes and types of every public function are checked while the tests run (jaxtyping + beartype)."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.in_process import run_jobs_in_process, run_jobs_in_workers
from tests.support.nuplan_files import nuplan_archives, unpack
from tests.support.rooms import ROOT, modules
from tests.support.shape_checks import begin_test, install

# Tests are small: on busy cores torch's threads wait for each other for minutes. It reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells make jobs in the background ignore Ctrl-C, and so does all that these start: tests of Ctrl-C would not end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Every module but the numba kernels, which a type checker cannot wrap.
TYPED = [name for name, path in modules().items() if not path.stem.endswith("kernels") and path.stem != "__init__"]

install(TYPED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup() -> None:
    """Check the types of the first calls of every function in every test."""
    begin_test()


# The first call of a kernel compiles it, so single examples may be slow; examples are the same in every run.
settings.register_profile("swerve", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("swerve")


@pytest.fixture(autouse=True, scope="module")
def jobs_in_process() -> Iterator[None]:
    """Run jobs in the test's own process, which has imported everything; files about worker processes replace this."""
    with pytest.MonkeyPatch.context() as patch:
        run_jobs_in_process(patch)
        yield


@pytest.fixture
def worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs of a test in worker processes."""
    run_jobs_in_workers(monkeypatch)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SWERVE_TEST_DATA", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SWERVE_TEST_DATA to a folder that has data/av2, data/waymo, ...")
    return folder


@pytest.fixture(scope="session")
def nuplan_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked nuPlan and NAVSIM files: maps, nuplan/splits, navsim_logs, sensor_blobs, navhard_two_stage.

    Tests may not write into it.
    """
    return unpack(nuplan_archives(), tmp_path_factory.mktemp("nuplan"))
