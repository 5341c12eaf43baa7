"""The command line: what it says, and that what the README says can be typed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from swerve.cli import app, main
from swerve.data import open_source
from swerve.data.dataset import AugmentOptions, augment
from swerve.scenes import ObjectClass
from swerve.scenes.primitives import Semantic

ROOT = Path(__file__).parents[2]


def run(monkeypatch, capsys, *arguments):
    """Exit code, output and errors of a command."""
    monkeypatch.setattr(sys, "argv", ["swerve", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    printed = capsys.readouterr()
    return caught.value.code or 0, printed.out, printed.err


def documented_commands():
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    fenced = [re.findall(r"^```(\w*)\n(.*?)^```$", text.read_text(), re.DOTALL | re.MULTILINE) for text in texts]
    blocks = [block for found in fenced for language, block in found if not language]
    whole = [re.sub(r"\\\n\s*", "", block) for block in blocks]  # a backslash goes on with the next line
    return [line for block in whole for line in block.splitlines() if line.startswith("swerve ")]


def test_the_readme_has_commands():
    assert len(documented_commands()) >= 4


@pytest.mark.parametrize("line", documented_commands())
def test_j3_j8_documented_commands_exist(line):
    """J3, J8: the original's scripts called files that did not exist and its README options that nobody had."""
    name, *arguments = shlex.split(line)[1:]
    command = typer.main.get_command(app).commands[name]
    command.make_context(name, arguments)


def test_make_targets_of_the_readme_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"`?make (\w+)`?", (ROOT / "README.md").read_text()):
        assert target in targets


def test_the_readme_s_python_runs(tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    check = "\nassert views[0][0].rgb.any() and views[0][0].depth.min() > 0\n"
    subprocess.run([sys.executable, "-c", snippet + check], check=True, cwd=tmp_path)


def test_the_formats_page_numbers_the_classes():
    page = (ROOT / "docs" / "formats.md").read_text().replace("\n", " ")
    for kind in (*Semantic, *ObjectClass):
        assert f"{kind.value} {kind.name.lower().replace('_', ' ')}" in page


def test_the_formats_page_explains_every_rejection():
    page = (ROOT / "docs" / "formats.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "scenes" / "viewpoints").glob("*.py"))
    for reason in re.findall(r"^\| (`\w+`.*?) \| (?:recovery|cross_agent)", page, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", reason):
            assert name in sources or re.sub("_(at_start|later)", "", name) in sources, name


def test_the_formats_page_s_python_reads_a_set(monkeypatch, tmp_path):
    options = AugmentOptions(viewpoints=("recovery",), size=(96, 56), every=2.0)
    augment([open_source("town:1")], tmp_path / "out" / "demo" / "dataset", options, workers=1)
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", snippet], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("town-000000-")


def test_mistakes_end_in_one_line(monkeypatch, capsys):
    code, _, errors = run(monkeypatch, capsys, "show", "/nowhere/at/all")
    assert code == 2
    assert errors.startswith("error: /nowhere/at/all")
    assert errors.count("\n") == 1
    code, _, errors = run(monkeypatch, capsys, "show", "town:1", "--log", "town-9")
    assert code == 2
    assert "town-000000" in errors


def test_show_writes_a_sheet_and_a_page(monkeypatch, capsys, tmp_path):
    code, output, _ = run(monkeypatch, capsys, "show", "town:1", "--at", "9", "--out", str(tmp_path / "out"))
    assert code == 0
    assert "index.html" in output
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape[1] == 1920
    page = (tmp_path / "out" / "index.html").read_text()
    for title in ("Logged pose", "Layers", "From above", "Recovery poses", "Other agents"):
        assert f"<h2>{title}" in page


def test_show_refuses_a_moment_outside_the_log(monkeypatch, capsys, tmp_path):
    code, _, errors = run(monkeypatch, capsys, "show", "town:1", "--at", "99", "--out", str(tmp_path))
    assert code == 2
    assert "20.0 s" in errors


def test_the_version_is_the_package_s(monkeypatch, capsys):
    from swerve import __version__

    assert run(monkeypatch, capsys, "--version")[:2] == (0, f"{__version__}\n")
