"""AlpaSim's own generated stubs, compiled from a checkout, against the driver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from grpc_tools import protoc

from swerve.scenes.viewpoints import Command
from tests.support.alpasim_client import Straight, served

CHILD = Path(__file__).parents[2] / "support" / "alpasim_stubs_child.py"


class Seeing(Straight):
    """Planner that sees the front camera."""

    cameras = ("front",)


def test_a_rollout_of_their_stubs(tmp_path):
    root = os.environ.get("SWERVE_ALPASIM")
    if not root:
        pytest.skip("SWERVE_ALPASIM does not name a checkout of github.com/NVlabs/alpasim")
    files = [f"alpasim_grpc/v0/{name}.proto" for name in ("common", "sensorsim", "egodriver")]
    out = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    assert protoc.main(["protoc", f"-I{Path(root) / 'src' / 'grpc'}", *out, *files]) == 0
    planner = Seeing()
    with served(planner) as (service, port, reports):
        made = subprocess.run(
            [sys.executable, CHILD, f"127.0.0.1:{port}"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr
        assert len(service) == 0
    told = json.loads(made.stdout)
    assert (told["version"], told["minor"]) == ("swerve-test", 54)
    for step, answer in enumerate(told["answers"]):
        seconds, x = np.array(answer).T * [[1e-6], [1.0]]
        assert seconds.tolist() == [0.0, *np.arange(1, 9) * 0.5]
        assert np.allclose(x, 8.0 * step * 0.5 + 5.0 * seconds, atol=1e-4)
    observations = planner.seen[1:]
    assert [one.command for one in observations] == [Command.STRAIGHT] * 6
    assert np.allclose(observations[-1].history.poses[:, 0], 0.8 * np.arange(-15, 1), atol=1e-4)
    assert np.allclose(observations[-1].history.velocity, [8.0, 0.0])
    # An f-theta lens of 900 pixels per radian, for images of a quarter of the sensor's size.
    assert observations[-1].cameras[0].fx == pytest.approx(225.0, rel=1e-3)
    assert observations[-1].images["front"].shape == (225, 400, 3)
    assert reports[0].commands == {"STRAIGHT": 6}
