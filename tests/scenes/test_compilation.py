"""Kernels are compiled once for all processes and environments, told by group, and timed apart."""

import os
import subprocess
import sys
import time

import pytest

from swerve.data.jobs.stopwatch import COMPILING, Stopwatch
from swerve.scenes.compilation import GROUPS, group_of
from swerve.scenes.compile_clock import add_compile_seconds, compile_seconds
from swerve.scenes.kernel_locator import KernelLocator
from swerve.scenes.lens_kernels import distort

# Compiles a kernel, when told to, and prints how many kernels that took.
CHILD = """
import sys
from numba.core import event
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.lens_kernels import undistort, distort
announce_compilation()
with event.install_recorder("numba:compile") as recorder:
    print("ready", flush=True)
    sys.stdin.readline()
    distort(1, (0.1,) * 8, 2.0, 0.3, 0.4)
print(sum(one.is_start for _, one in recorder.buffer), flush=True)
"""


@pytest.fixture
def environment(tmp_path):
    """Variables of an account that has compiled nothing yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path)}


def started(environment):
    return subprocess.Popen([sys.executable, "-c", CHILD], env=environment, text=True, stdin=-1, stdout=-1)


def compiled(processes):
    """Let processes that are ready compile at the same time; return the kernels that each one compiled."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [int(process.communicate(timeout=120)[0]) for process in processes]


def test_processes_share_what_they_compile(environment, tmp_path):
    counts = compiled([started(environment) for _ in range(3)])
    assert sorted(counts)[:2] == [0, 0]
    assert max(counts) >= 2  # the kernel, and what it calls
    assert compiled([started(environment)]) == [0]
    (folder,) = [path for path in (tmp_path / "swerve" / "kernels").iterdir() if path.is_dir()]
    assert "-numba" in folder.name
    assert {path.name for path in folder.iterdir()} == {"swerve.scenes.lens_kernels"}


def test_kernels_are_filed_by_module_not_by_where_the_sources_are(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    function = distort.py_func
    here, elsewhere = (KernelLocator.from_function(function, path) for path in (__file__, "/other/environment.py"))
    assert here.get_cache_path() == elsewhere.get_cache_path() == str(tmp_path / "swerve.scenes.lens_kernels")
    assert here.get_source_stamp() == elsewhere.get_source_stamp()
    assert KernelLocator.from_function(started, __file__) is None


def test_groups_are_named_by_package():
    assert group_of("swerve.data.sources.town.photos.sky_kernels") == GROUPS["swerve.data.sources.town.photos"]
    assert group_of("swerve.data.sources.town.traffic_kernels") == "generated towns"
    assert group_of("somebody.else_kernels") == ""


def test_compiling_is_a_stage_of_its_own():
    watch = Stopwatch()
    with watch.measure("outer"):
        with watch.measure("inner"):
            time.sleep(0.02)
            add_compile_seconds(0.5, 0.3)
        add_compile_seconds(0.25, 0.1)
    seconds = watch.take()
    assert seconds[COMPILING] == pytest.approx(0.75)
    assert seconds["inner"] == pytest.approx(0.02 - 0.5, abs=0.05)  # the half second did not pass
    with watch.measure("nothing"):
        pass
    assert COMPILING not in watch.take()


def test_the_time_of_the_cpu_is_kept_apart():
    before = compile_seconds(), compile_seconds(time.thread_time)
    add_compile_seconds(2.0, 1.0)
    after = compile_seconds(), compile_seconds(time.thread_time)
    assert [now - then for now, then in zip(after, before, strict=True)] == pytest.approx([2.0, 1.0])
