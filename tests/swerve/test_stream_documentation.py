"""What the pages on training sets and streams show runs as it stands, and ends cleanly."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from swerve.data.dataset import AugmentOptions, augment
from tests.support.simple_source import SimpleSource

ROOT = Path(__file__).parents[2]


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the set that the pages read, where `make demo` has one."""
    folder = tmp_path_factory.mktemp("pages")
    options = AugmentOptions(rig="default", cameras=("front", "front_left"), size=(96, 56), scene_interval=1.0)
    augment([SimpleSource(("train-0", "train-1"))], folder / "out/demo/dataset", options, workers=1)
    return folder


def run(snippet, place, name):
    script = place / name
    script.write_text(snippet)
    done = subprocess.run([sys.executable, script], cwd=place, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
def test_the_example_of_a_stream(place):
    """Whether its end is quiet however the loop ends, is tested in tests/data/stream/test_shutdown.py."""
    pytest.importorskip("torch")
    assert run(snippets("stream.md")[0], place, "stream.py").startswith("0 torch.Size([16, 2, 3, 224, 384])")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "package"), [(1, "torch"), (2, "webdataset")])
def test_the_loops_of_one_s_own(place, number, package):
    pytest.importorskip(package)
    lines = run(snippets("stream.md")[number], place, f"{package}_loop.py").splitlines()
    assert lines[0].startswith("torch.Size([8, ")
    assert lines[0].endswith("torch.Size([8, 10, 3])")


def test_reading_a_set(place):
    assert "-recovery-" in run(snippets("formats.md")[0], place, "read.py")
