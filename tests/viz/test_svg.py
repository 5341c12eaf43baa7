import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.viz.svg import Axes, Series, bars, histogram, lines, scatter, standalone, ticks


def _parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def _moves(svg: str, css_class: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(rf'<path class="{css_class}" d="M([\d.-]+) ([\d.-]+)', svg)]


def test_pixels_of_axes_by_hand():
    axes = Axes((0.0, 10.0), (-1.0, 1.0), left=50.0, top=20.0, width=200.0, height=100.0)
    pixels = axes.pixels(np.array([[0.0, -1.0], [10.0, 1.0], [2.5, 0.0]]))
    assert pixels.tolist() == [[50.0, 120.0], [250.0, 20.0], [100.0, 70.0]]


def test_scatter_places_points_and_line_by_hand():
    """With one group there is no legend: the plot is 56..624 across and 12..414 down; 4 % of room around the points."""
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    svg = scatter(points, ["a", "b", "c"], ["g"] * 3, "x", "y", fit=True, size=(640, 460))
    left, right = 56 + 568 * 0.08 / 2.16, 56 + 568 * 2.08 / 2.16
    low, high = 414 - 402 * 0.08 / 2.16, 414 - 402 * 2.08 / 2.16
    # The mark of the first group is a circle, whose outline begins 4 pixels left of its middle.
    expected = [(left - 4, low), ((left + right) / 2 - 4, (low + high) / 2), (right - 4, high)]
    np.testing.assert_allclose(_moves(svg, "mark"), expected, atol=0.051)
    line = re.search(r'class="fit" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
    assert line is not None
    np.testing.assert_allclose([float(value) for value in line.groups()], [left, low, right, high], atol=0.051)


def test_scatter_escapes_and_leaves_out_what_is_not_finite():
    points = np.array([[0.0, 1.0], [np.nan, 1.0], [1.0, 2.0]])
    svg = scatter(points, ["<script>", "gone", '"&'], ["<b>", "<b>", "h"], "x < 1", "y & z")
    root = _parsed(svg)
    titles = [title.text for title in root.iter("title")]
    assert "<script>" in titles
    assert '"&' in titles
    assert "gone" not in titles
    assert {"x < 1", "y & z", "<b>", "h"} <= {item.text for item in root.iter("text")}


def test_groups_have_a_look_of_their_own():
    groups = [f"g{number}" for number in range(12)]
    points = np.stack([np.arange(12.0), np.arange(12.0)], axis=1)
    svg = scatter(points, groups, groups, "x", "y")
    looks = re.findall(r'class="mark" d="M[\d.]+ [\d.]+([^"]*)" fill="([^"]*)"', svg)
    assert len(set(looks)) == 12


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_inside(low, span, count):
    found = ticks(low, low + span, count)
    assert len(found) <= count + 1
    assert (found >= low - 1e-6 * span).all()
    assert (found <= low + span * (1 + 1e-6)).all()


def test_ticks_by_hand():
    assert ticks(0.0, 1.0, 5).tolist() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.3, 7.0, 4).tolist() == [0.0, 2.0, 4.0, 6.0]


def test_bars_have_the_length_of_their_values():
    svg = bars(["all", "half", "minus"], np.array([1.0, 0.5, -0.5]), (-1.0, 1.0), np.array([[0.9, 1.0]] * 3), width=666)
    widths = [float(width) for width in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', svg)]
    assert widths == [200.0, 100.0, 100.0]
    _parsed(svg)


def test_histogram_counts():
    svg = histogram(np.array([0.0, 0.1, 0.95, 1.0, np.nan]), np.linspace(0, 1, 3), "score")
    titles = [title.text or "" for title in _parsed(svg).iter("title")]
    assert [title.split()[0] for title in titles] == ["2", "2"]


def test_lines_with_a_band():
    line = np.array([[0.0, 1.0], [1.0, 3.0]])
    svg = lines([Series("one", line, np.array([[0.0, 2.0], [2.0, 4.0]]))], "x", "y")
    assert len(_moves(svg, "mark")) == 2
    _parsed(svg)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_standalone_is_xml_and_needs_nothing(count):
    points = np.tile([[1.0, 2.0]], (count, 1))
    svg = scatter(points, ["a"] * count, ["g"] * count, "x", "y", fit=True)
    HTMLParser().feed(svg)
    assert "http" not in svg
    assert _parsed(standalone(svg)).tag == "{http://www.w3.org/2000/svg}svg"
