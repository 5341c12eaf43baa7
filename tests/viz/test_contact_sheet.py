"""Contact sheets stand alone and show what they were given."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from swerve.viz.contact_sheet import Panel, Section, write_contact_sheet_html, write_contact_sheet_png
from swerve.viz.page_script import SCRIPT


@pytest.fixture
def sections() -> tuple[Section, ...]:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    flat = np.full((60, 80, 3), 77, np.uint8)
    return (Section("Cameras <here>", "All & sundry.", (Panel("flat", flat), Panel("noise", noise)), width=300),)


def test_the_page_needs_nothing_else(tmp_path, sections):
    write_contact_sheet_html(tmp_path / "index.html", "A <title>", "Text.", sections)
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r"https?://|<script|<link", page.replace(f"<script>{SCRIPT}</script>", ""))
    assert "Cameras &lt;here&gt;" in page
    sources = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]
    np.testing.assert_array_equal(images[0], sections[0].panels[0].image)
    assert images[1].shape == (60, 80, 3)


def test_the_picture_holds_every_panel(tmp_path, sections):
    write_contact_sheet_png(tmp_path / "sheet.png", "Title", sections, width=640)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 640
    assert (sheet == 77).all(axis=2).sum() > 250 * 180
