"""The CUDA kernels' logic without a GPU: tests/gpu on numba's simulator, chosen before numba is loaded."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from swerve.rasterizer import backends
from swerve.rasterizer.backends import resolve_backend, unavailable_reason
from swerve.scenes import MissingExtraError, SwerveError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_kernels_equal_the_cpu_on_the_simulator():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/gpu/test_cuda.py"]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert "passed" in ran.stdout


def test_auto_takes_what_is_there_and_others_say_why_not():
    assert resolve_backend("numba") == "numba"
    assert resolve_backend("auto") == ("numba" if unavailable_reason("cuda") else "cuda")
    if unavailable_reason("cuda"):
        with pytest.raises(SwerveError, match="cuda"):
            resolve_backend("cuda")


def test_the_cuda_target_within_numba_is_not_enough(monkeypatch):
    """It is always there, finds GPUs, and fails to compile the kernels: "auto" must not choose it."""
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "numba_cuda" else find_spec(name))
    assert unavailable_reason("cuda") == "numba-cuda is not installed"
    assert resolve_backend("auto") == "numba"
    with pytest.raises(MissingExtraError, match="numba-cuda"):
        resolve_backend("cuda")
