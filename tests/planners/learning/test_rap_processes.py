"""Training in processes of its own: killed, and several at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")


from swerve.planners.learning.run_outputs import CHECKPOINT, PLANNER
from swerve.planners.learning.training_log import METRICS, VALIDATION
from tests.support.command import invoke

SMALL = {
    **{
        "cameras": ["front"],
        "backbone": "tiny",
        "backbone_weights": None,
        "freeze_backbone": False,
        "image_height": 40,
        "image_width": 72,
    },
    **{
        "dim": 16,
        "mlp_dim": 16,
        "heads": 2,
        "proposals": 2,
        "refinement_rounds": 1,
        "refinement_layers": 1,
        "poses": 8,
    },
}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
CHILD = Path(__file__).parents[2] / "support" / "rap_child.py"


def command(dataset, out, config):
    given = ["train", dataset / "set", out, "--contexts", dataset / "contexts", "--model", config]
    return list(map(str, [*given, "--steps", 40, "--batch-size", 4, "--workers", 0, "--checkpoint-every", 7]))


def rows(folder):
    path = folder / METRICS
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_planner(dataset, tmp_path):
    config = tmp_path / "small.json"
    config.write_text(json.dumps(SMALL))
    whole = invoke(*command(dataset, tmp_path / "whole", config))
    assert whole.exit_code == 0, whole.output
    killed = tmp_path / "killed"
    code = "import torch; torch.set_num_threads(1); from swerve.cli import main; main()"
    child = subprocess.Popen([sys.executable, "-c", code, *command(dataset, killed, config)], env=ENVIRONMENT)
    while rows(killed) < 10 and child.poll() is None:
        time.sleep(0.002)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert (killed / CHECKPOINT).is_file()
    assert 10 <= rows(killed) < 40
    assert not (killed / PLANNER).exists()
    resumed = invoke(*command(dataset, killed, config))
    assert resumed.exit_code == 0, resumed.output
    assert rows(killed) == 40
    for name in (PLANNER, CHECKPOINT):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", CHILD]
    return subprocess.run(
        [*map(str, [*command, *arguments])], env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The run of two processes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    done = torchrun(dataset, folder, 0)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_two_processes_train_one_network(dataset, whole, tmp_path):
    """Both have the same weights, also after one was killed; the checkpoint is that of an undisturbed run.

    They share no disk: the second's has a checkpoint of another step, which must not be resumed.
    """
    killed = tmp_path / "killed"
    first, second = ((whole / f"rank-{rank}.txt").read_text() for rank in (0, 1))
    assert first == second
    assert torchrun(dataset, killed, 3).returncode != 0
    assert rows(killed) == 3
    (killed / "disk-1").mkdir(exist_ok=True)
    shutil.copy(whole / CHECKPOINT, killed / "disk-1" / CHECKPOINT)
    done = torchrun(dataset, killed, 0)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [(killed / f"rank-{rank}.txt").read_text() for rank in (0, 1)] == [first, first]
    for name in (PLANNER, CHECKPOINT, VALIDATION):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_a_sharded_network_is_that_of_whole_ones(dataset, whole, tmp_path):
    """FSDP2 against DDP in two processes each: the same weights but for the order of sums, also after a kill."""
    from safetensors.torch import load_file

    sharded, killed = tmp_path / "sharded", tmp_path / "killed"
    done = torchrun(dataset, sharded, 0, "fsdp")
    assert done.returncode == 0, done.stderr[-3000:]
    for name in (PLANNER, CHECKPOINT):
        one, other = load_file(whole / name), load_file(sharded / name)
        assert one.keys() == other.keys()
        for key, value in one.items():
            torch.testing.assert_close(other[key], value, atol=1e-3, rtol=1e-2, msg=f"{name}: {key} differs")
    first, second = ((sharded / f"rank-{rank}.txt").read_text() for rank in (0, 1))
    assert first == second
    assert torchrun(dataset, killed, 3, "fsdp").returncode != 0
    assert torchrun(dataset, killed, 0, "fsdp").returncode == 0
    for name in (PLANNER, CHECKPOINT, VALIDATION):
        assert (killed / name).read_bytes() == (sharded / name).read_bytes(), name
