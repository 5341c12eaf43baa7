"""The CUDA kernels' logic without a GPU: tests/gpu on numba's simulator, chosen before numba is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swerve.rasterizer.backends import resolved, why_not
from swerve.scenes import SwerveError

ROOT = Path(__file__).parents[2]


def test_kernels_equal_the_cpu_on_the_simulator():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/gpu/test_cuda.py"]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert "passed" in ran.stdout


def test_auto_takes_what_is_there_and_others_say_why_not():
    assert resolved("numba") == "numba"
    assert resolved("auto") == ("numba" if why_not("cuda") else "cuda")
    if why_not("cuda"):
        with pytest.raises(SwerveError, match="cuda"):
            resolved("cuda")
