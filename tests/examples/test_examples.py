"""Every script in examples/ runs, is short, and prints or writes what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swerve.data import open_source
from tests.support.splat_fits import write_fits

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS_TORCH = ("augment_and_load", "navsim_agent", "score_vocabulary", "splat_gradients")
SCRIPTS = tuple(sorted(path.stem for path in EXAMPLES.glob("*.py")))


def run(name, folder, *before):
    if name in NEEDS_TORCH:
        pytest.importorskip("torch")
    script, environment = EXAMPLES / f"{name}.py", {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, *before, folder],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_examples_are_short(name):
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60


@pytest.mark.parametrize("name", SCRIPTS)
def test_examples_say_how_they_are_run_and_are_documented(name):
    assert f"python examples/{name}.py" in (EXAMPLES / f"{name}.py").read_text()
    pages = "".join(path.read_text() for path in (EXAMPLES.parent / "docs").glob("*.md"))
    assert f"examples/{name}.py" in pages


def test_augment_and_load(tmp_path):
    output = run("augment_and_load", tmp_path / "set")
    assert "step 1: images (8, 3, 56, 96)" in output
    assert (tmp_path / "set" / "manifest.parquet").is_file()


@pytest.mark.slow
def test_own_planner(tmp_path):
    output = run("own_planner", tmp_path / "out")
    assert "own_planner:Braking,deceleration=2: EPDMS 0." in output
    assert output.count("failures 0") == 2


@pytest.mark.slow
def test_navsim_agent(tmp_path):
    output = run("navsim_agent", tmp_path / "out")
    assert output.count("failures 0") == 2
    assert "bold: EPDMS 0." in output
    assert "timid: EPDMS 0." in output


def test_own_source(tmp_path):
    output = run("own_source", tmp_path / "set")
    assert "'failures': 0" in output
    assert "'recovery': 12" in output


def test_own_metric(tmp_path):
    lines = run("own_metric", tmp_path / "none").splitlines()
    smooth = [" smooth True" in line for line in lines]
    assert len(smooth) == 3
    assert smooth[0] > smooth[-1]
    assert smooth == sorted(smooth, reverse=True)  # the harder, the less smooth


def test_own_renderer(tmp_path):
    run("own_renderer", tmp_path / "bench")
    assert list((tmp_path / "bench" / "views-raster").glob("*.tar"))


def test_score_vocabulary(tmp_path):
    first, last = (
        float(line.split()[3].rstrip(",")) for line in run("score_vocabulary", tmp_path / "none").splitlines()
    )
    assert last < first


@pytest.mark.slow
def test_splat_gradients(tmp_path):
    first, last = (float(line.split()[-1]) for line in run("splat_gradients", tmp_path / "out").splitlines())
    assert last < first / 5
    pair = np.asarray(Image.open(tmp_path / "out" / "splats.png"), float)
    assert np.abs(pair[:, :64] - pair[:, 64:]).mean() < 10


def test_render_splats(tmp_path):
    log = open_source("town:1").load("town-000000")
    splats = write_fits(tmp_path / "splats", log)
    assert "town-000000 at 10000000 us: median depth" in run("render_splats", tmp_path / "out", "town:1", splats)
    camera = log.cameras[0]
    with Image.open(tmp_path / "out" / "splat_views.png") as picture:
        assert picture.size == (2 * camera.width, camera.height)
