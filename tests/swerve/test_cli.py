"""The command line: what it says, and that what the README says can be typed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swerve.cli import COMMANDS, main, options_class, parse
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
    name, *arguments = shlex.split(line, comments=True)[1:]
    if name in ("export", "plan", "serve", "submit"):
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    given = [one for one in arguments if one != "..."]
    if "..." not in arguments and "--config" not in given:
        assert isinstance(parse(name, given), options_class(name))


def test_make_targets_of_the_readme_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"`?make (\w+)`?", (ROOT / "README.md").read_text()):
        assert target in targets


@pytest.mark.slow
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
    options = AugmentOptions(viewpoints=("recovery",), size=(96, 56), scene_interval=2.0)
    augment([open_source("town:1")], tmp_path / "out" / "demo" / "dataset", options, workers=1)
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", snippet], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("town-000000-")


def test_mistakes_end_in_one_line(monkeypatch, capsys):
    code, _, errors = run(monkeypatch, capsys, "show", "/nowhere/at/all", "out")
    assert code == 2
    assert errors.startswith("error: /nowhere/at/all")
    assert errors.count("\n") == 1
    code, _, errors = run(monkeypatch, capsys, "show", "town:1", "out", "--log", "town-9")
    assert code == 2
    assert "town-000000" in errors


def test_show_writes_a_sheet_and_a_page(monkeypatch, capsys, tmp_path):
    code, output, _ = run(monkeypatch, capsys, "show", "town:1", str(tmp_path / "out"), "--at", "9")
    assert code == 0
    assert "index.html" in output
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape[1] == 1920
    assert "\nat: 9.0\n" in (tmp_path / "out" / "config.yaml").read_text()
    page = (tmp_path / "out" / "index.html").read_text()
    for title in ("Logged pose", "Layers", "Bird&#x27;s-eye view", "Recovery viewpoints", "Cross-agent viewpoints"):
        assert f"<h2>{title}" in page


def test_show_refuses_a_moment_outside_the_log(monkeypatch, capsys, tmp_path):
    code, _, errors = run(monkeypatch, capsys, "show", "town:1", str(tmp_path), "--at", "99")
    assert code == 2
    assert "20.0 s" in errors


def test_the_version_is_the_package_s(monkeypatch, capsys):
    from swerve import __version__

    assert run(monkeypatch, capsys, "--version")[:2] == (0, f"{__version__}\n")


HEAVY = ("numba", "scipy", "shapely", "torch", "pyarrow", "PIL", "cv2")


def imported_by(arguments):
    """Which heavy packages a command line imports."""
    code = (
        "import sys\nfrom swerve.cli import run\n"
        "try:\n    run(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', *[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("command", ["", "submit", *COMMANDS])
def test_help_imports_nothing_heavy(command):
    assert imported_by([*command.split(), "--help"]) == "heavy:"


def test_the_help_names_every_kind_of_source(monkeypatch, capsys):
    _, error = run(monkeypatch, capsys, "info", "nowhere")[1:]
    forms = re.findall(r"(\w+):(?:PATH|ROOT|COUNT)", error)
    assert len(forms) > 8
    _, text, _ = run(monkeypatch, capsys, "--help")
    assert [form for form in forms if f"{form}:" not in text] == []


def test_without_a_command_there_is_help(monkeypatch, capsys):
    code, output, _ = run(monkeypatch, capsys)
    assert code == 0
    for name in COMMANDS:
        assert f"  {name}" in output
    code, output, _ = run(monkeypatch, capsys, "submit")
    assert "submit wod" in output
    assert "augment" not in output


@pytest.mark.parametrize(("group", "arguments"), [("serve", "[ARGUMENTS]"), ("plan", "SOURCE...")])
def test_a_group_shows_arguments_that_its_commands_have(monkeypatch, capsys, group, arguments):
    first = run(monkeypatch, capsys, group)[1].splitlines()[0]
    assert first == f"usage: swerve {group} COMMAND {arguments} [OPTIONS]"


def test_a_command_that_is_misspelt_is_named(monkeypatch, capsys):
    code, _, errors = run(monkeypatch, capsys, "bild", "town:1", "out")
    assert (code, errors) == (2, "error: no command 'bild'; perhaps build. See swerve --help\n")


def test_names_of_commands_that_became_options_are_told(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, errors = run(monkeypatch, capsys, "train", "ego-mlp", "town:1", "mlp.safetensors")
    assert code == 2
    assert "swerve train SET OUT --family ego-mlp" in errors


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(command, capsys):
    """Name, help and default of every option, from the dataclass that states them."""
    with pytest.raises(SystemExit):
        parse(command, ["--help"])
    output = capsys.readouterr().out
    assert output.startswith(f"usage: swerve {command} ")
    options = re.findall(r"^│ +(--[\w.-]+)[^│]*│\n(│[^\n]*│)", output, re.MULTILINE)
    for option, following in options:
        assert re.search(r"│ {6,}\S", following) or re.search(rf"{option} .*\S  +\S", output), option
    listed = re.findall(r"--[\w.-]+ [^ ]*\{None[^ ]*", output)
    assert not listed, f"tyro lists None among choices; annotate or_default, or a metavar: {listed}"


def test_lists_and_positions_are_told_apart():
    asked = parse("augment", ["town:1", "town:2", "out", "--cameras", "front", "left", "--size", "96x56"])
    assert asked.sources == ("town:1", "town:2")
    assert asked.out == Path("out")
    assert asked.options.cameras == ("front", "left")
    assert asked.options.size == (96, 56)
    asked = parse("build", ["town:1", "out", "--size", "own", "--follow-up.heading-offsets", "-5", "0", "5", "--views"])
    assert asked.options.size is None
    assert asked.options.views == ()
    assert asked.options.follow_up.heading_offsets == pytest.approx(np.deg2rad([-5, 0, 5]))


def test_commands_do_not_import_each_other():
    modules = [path.stem for path in (ROOT / "swerve").glob("*_command.py")]
    options = [
        path.stem for path in (ROOT / "swerve" / "options").glob("*.py") if path.stem not in ("__init__", "shared")
    ]
    assert len(modules) == len(options) == len(COMMANDS)
    for name in modules:
        text = (ROOT / "swerve" / f"{name}.py").read_text()
        own = name.removesuffix("_command")
        assert not [other for other in modules if re.search(rf"swerve\.{other}\b", text)], name
        assert not [other for other in options if other != own and re.search(rf"swerve\.options\.{other}\b", text)], (
            name
        )
    for name in options:
        text = (ROOT / "swerve" / "options" / f"{name}.py").read_text()
        assert not [other for other in options if re.search(rf"swerve\.options\.{other}\b", text)], name
