"""The documentation: what its pages show runs, what they link to is there, and the site is built of all of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import invoke

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)


def python_of(page):
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target and not target.startswith("api/"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_modules_that_pages_name_exist(page):
    """Files of the packages, by path."""
    rooms = "scenes|rasterizer|viz|data|eval|planners|examples|tests"
    for path in re.findall(rf"(?<![\w/])((?:{rooms})/[\w/]+(?:\.py|/))", page.read_text()):
        if path.split("/")[:2] not in (["data", "av2"], ["data", "waymo"], ["data", "nuscenes"]):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_names_that_pages_import_exist(page):
    for line in re.findall(r"^from swerve[\w.]* import [^(\n]+$", page.read_text(), re.MULTILINE):
        if "nvdiffrast" not in line and "cuda" not in line:
            exec(line, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_prose_is_wrapped(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")]


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= named


def test_the_wod_e2e_page_s_python_runs():
    (snippet,) = python_of("wod_e2e.md")
    exec(snippet, {})


@pytest.mark.slow
def test_getting_started_s_python_runs(tmp_path):
    (snippet,) = python_of("getting_started.md")
    subprocess.run([sys.executable, "-c", snippet], check=True, cwd=tmp_path)
    assert (tmp_path / "recovery.png").is_file()


@pytest.mark.slow
def test_the_neutral_log_page_s_file_can_be_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (snippet,) = python_of("neutral_log.md")
    exec(snippet, {})
    done = invoke("score", "neutral:log.json", "plans.json", "scores.csv")
    assert done.exit_code == 0, done.output
    assert "1 scenes, EPDMS 0.9" in done.output


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "centerline" in (tmp_path / "site" / "api" / "scenes.html").read_text()
