"""The script of pages, run by a browser without a window: tables sort and filter, images enlarge."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from swerve.viz.html_page import data_url, html_page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")

VALUES = ("0.20 [0.1, 0.3]", "-0.50", "–", "+1.5 m", "0.03", *(f"{number}" for number in range(2, 12)))
ACTIONS = """
const rows = () => [...document.querySelectorAll('table tr')].slice(1);
const column = () => rows().map(row => row.cells[1].textContent);
const told = {}, [name, number] = document.querySelectorAll('th');
number.click(); told.up = column(); told.upward = number.getAttribute('aria-sort');
number.click(); told.down = column();
name.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}));
told.names = rows().map(row => row.cells[0].textContent);
const box = document.querySelector('input.filter');
box.value = 'ROW 1'; box.dispatchEvent(new Event('input'));
told.shown = rows().filter(row => !row.hidden).map(row => row.cells[0].textContent);
const image = document.querySelector('figure img'), dialog = document.querySelector('dialog');
image.click(); told.opened = dialog.open; told.same = dialog.firstChild.src === image.src;
dialog.click(); told.closed = !dialog.open;
document.body.innerHTML = ''; document.body.dataset.told = JSON.stringify(told);
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    rows = "".join(f"<tr><td>row {place}</td><td>{value}</td></tr>" for place, value in enumerate(VALUES))
    total = '<tr class="total"><td>all</td><td>0</td></tr>'
    image = f'<figure><img src="{data_url(np.zeros((9, 16, 3), np.uint8))}"></figure>'
    body = f"<table><tr><th>name</th><th>number</th></tr>{rows}{total}</table>{image}"
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(html_page("page", body, script=ACTIONS), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom")
    profile = f"--user-data-dir={path.parent / 'profile'}"
    command = [CHROMIUM, *options, profile, path.as_uri()]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'data-told="([^"]*)"', page)
    assert found, page[-500:]
    return json.loads(found[1].replace("&quot;", '"'))


def test_a_click_on_a_heading_sorts_by_number_and_another_turns_the_order(told):
    numbers = ["-0.50", "0.03", "0.20 [0.1, 0.3]", "+1.5 m", *(f"{number}" for number in range(2, 12))]
    assert told["up"] == [*numbers, "–", "0"], "what is no number comes last, the total after all"
    assert told["upward"] == "ascending"
    assert told["down"] == [*numbers[::-1], "–", "0"]


def test_a_key_sorts_names_with_their_numbers_in_order(told):
    assert told["names"] == [*(f"row {place}" for place in range(len(VALUES))), "all"]


def test_a_table_of_many_rows_is_filtered_by_what_is_typed(told):
    assert told["shown"] == ["row 1", "row 10", "row 11", "row 12", "row 13", "row 14", "all"]


def test_a_click_enlarges_an_image_and_another_closes_it(told):
    assert told["opened"]
    assert told["same"]
    assert told["closed"]
