"""Detectors are loaded by name from the current folder."""

import numpy as np
import pytest

from swerve.load_detector import load_detector
from swerve.scenes import SwerveError

OWN = """
import numpy as np

class Bright:
    def __init__(self, least="128"):
        if least == "none":
            raise ValueError("needs a number")
        self.least = int(least)

    def lines(self, image):
        return image.mean(axis=2) > self.least

class Nothing:
    pass
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_lines.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_class_is_created_with_its_options():
    image = np.full((2, 3, 3), 150, np.uint8)
    assert load_detector("own_lines:Bright").lines(image).all()
    assert not load_detector("own_lines:Bright,least=200").lines(image).any()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("own_lines", "must be module:Class"),
        ("own_lines:Bright,200", "must be module:Class"),
        ("own_lines:Dark", "module own_lines has no class 'Dark'; it has Bright, Nothing"),
        ("no_such_module:Bright", "detector no_such_module:Bright: no module 'no_such_module'"),
        ("own_lines:Nothing", r"needs a method vehicles\(image\)"),
        ("own_lines:Bright,least=none", r"cannot be created \(ValueError: needs a number\)"),
        ("own_lines:Bright,most=1", "cannot be created"),
    ],
)
def test_what_is_wrong_is_told(spec, problem):
    with pytest.raises(SwerveError, match=problem):
        load_detector(spec)
