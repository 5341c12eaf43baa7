"""The answer and the table of a quality page, on rows made by hand."""

import re

import pytest

from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.quality_answer import answer_in_words, unfit_from
from swerve.eval.splat_quality.quality_page import COLUMNS, quality_page
from swerve.eval.splat_quality.quality_summary import IMAGE_NUMBERS, LABEL_NUMBERS, PHOTO_NUMBERS, RASTER_NUMBERS


def row(lateral, fit, psnr=None, along=0.0, turn=0.0, offset=None, **known):
    metrics = {**dict.fromkeys(COLUMNS), "ssim": psnr and psnr / 100, "psnr": psnr, **known}
    place = {"offset": offset or f"{lateral:g} m", "lateral": lateral, "along": along, "turn": turn}
    return {**place, "fit": fit, **metrics}


ROWS = [
    row(0.0, True, 24.0),
    row(2.0, True, 22.0),
    row(-2.0, False, 14.0),
    row(4.0, False, 12.0),
    row(-4.0, False, 10.0),
    row(0.0, False, 18.0, along=5.0, offset="5 m ahead"),
    row(0.0, False, 18.0, turn=0.2, offset="turned"),
]


def test_the_answer_is_the_share_of_fit_views_their_quality_and_the_distance():
    assert answer_in_words(ROWS) == [
        "2 of 7 views are fit (29 %).",
        "Against the true images, 2 fit views have a mean PSNR of 23.00 dB, SSIM 0.230; "
        "5 unfit views have a mean PSNR of 14.40 dB, SSIM 0.144.",
        "From 4 m beside the path on, most views are unfit.",
    ]
    assert answer_in_words([row(0.0, True, along=5.0), row(0.0, False, along=5.0)]) == ["1 of 2 views are fit (50 %)."]
    assert answer_in_words([]) == ["No view was measured."]


@pytest.mark.parametrize(
    ("fits", "distance", "words"),
    [
        ({0: "1", 1: "1", 2: "1"}, None, "Up to 2 m beside the path, the largest distance measured, half of"),
        ({0: "1", 1: "00", 2: "1"}, None, "Up to 2 m"),
        ({0: "1", 1: "0", 2: "001"}, 1, "From 1 m beside the path on"),
        ({0: "0", 1: "0", 2: "0"}, 0, "Already on the path"),
    ],
)
def test_the_distance_is_that_beyond_which_most_views_are_unfit(fits, distance, words):
    rows = [row(float(lateral), fit == "1") for lateral, states in fits.items() for fit in states]
    rows += [row(0.0, True, offset="test camera left")] * 3
    assert unfit_from(rows) == (distance, 2)
    assert answer_in_words(rows)[-1].startswith(words)


def test_the_page_begins_with_the_answer_and_leaves_out_what_is_unknown():
    page = quality_page("Views", [*ROWS, row(1.0, True, covered=0.5)], [], GateOptions(), "")
    assert re.search(r'</h1><div class="answer"><b>3 of 8 views are fit \(38 %\)\.</b><p>Against the true images', page)
    found = re.findall(r"<th>(.*?)</th>", page)
    assert found == ["offset", "views", "fit %", "PSNR", "SSIM", "cov. %"]
    assert all(line.count("<td>") == len(found) for line in re.findall(r"<tr>(?!<th>).*?</tr>", page))


def test_every_number_of_a_view_has_a_column():
    assert set(COLUMNS) == {*IMAGE_NUMBERS, *RASTER_NUMBERS, *PHOTO_NUMBERS, *LABEL_NUMBERS}
