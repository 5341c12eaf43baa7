"""Pages keep to their size, and need nothing for it."""

import base64
import io
import re

import numpy as np
from PIL import Image

from swerve.viz.html_page import data_url, html_page, within_limit
from swerve.viz.page_style import STYLE


def noise(seed: int, side: int = 300):
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3)).astype(np.uint8)


def pictures(page: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(found))) for found in re.findall(r"base64,([^\"]+)\"", page)]


def test_images_of_a_large_page_shrink_until_it_fits():
    body = "".join(f'<img src="{data_url(noise(seed))}">' for seed in range(6))
    whole = html_page("large", body, limit=10**9)
    assert len(whole.encode()) > 400_000
    page = html_page("large", body, limit=200_000)
    assert len(page.encode()) <= 200_000
    assert len(pictures(page)) == 6
    assert all(96 <= picture.width < 300 for picture in pictures(page))
    assert re.sub('base64,[^"]+', "", page) == re.sub('base64,[^"]+', "", whole).replace("image/png", "image/jpeg")


def test_pages_that_fit_and_texts_are_left_alone():
    body = f'<img src="{data_url(noise(0))}">'
    assert html_page("small", body, limit=10**9) == html_page("small", body)
    assert within_limit("x" * 5000, 100) == "x" * 5000


def test_small_images_are_left_alone():
    tiny = f'<img src="{data_url(noise(0, 20))}">'
    assert len(tiny) < 4096
    assert tiny in html_page("small", tiny + f'<img src="{data_url(noise(1))}">', limit=30_000)


def test_light_and_dark_have_the_same_variables():
    light, dark, plate = (
        set(re.findall(r"(--[a-z0-9-]+):", part)) for part in re.findall(r"\{[^{}]*--ground:[^{}]*\}", STYLE)
    )
    assert light == dark == plate
    assert {f"--c{number}" for number in range(8)} < light
    used = set(re.findall(r"var\((--[a-z0-9-]+)", STYLE)) - {"--aspect"}
    assert used <= light
