"""Detectors are any objects with one of three methods; what they return is checked."""

import numpy as np
import pytest

from swerve.eval.splat_quality.detector import Detector
from swerve.scenes import SwerveError

IMAGE = np.zeros((4, 6, 3), np.uint8)


class Fixed:
    def __init__(self, vehicles=None, lines=None, features=None):
        self._found = {"vehicles": vehicles, "lines": lines, "features": features}

    def vehicles(self, image):
        return self._found["vehicles"]

    def lines(self, image):
        return self._found["lines"]

    def features(self, image):
        return self._found["features"]


def test_what_it_finds_is_passed_on():
    boxes, mask = [(0, 1, 2, 3)], np.eye(4, 6, dtype=bool)
    detector = Detector.of("own:Fixed", Fixed(boxes, mask, [1.0, 2.0]))
    np.testing.assert_array_equal(detector.vehicles(IMAGE), boxes)
    np.testing.assert_array_equal(detector.lines(IMAGE), mask)
    np.testing.assert_array_equal(detector.features(IMAGE), [1.0, 2.0])


def test_an_object_may_have_one_method_but_not_none():
    class Lines:
        def lines(self, image):
            return np.zeros(image.shape[:2], bool)

    detector = Detector.of("own:Lines", Lines())
    assert detector.vehicles is None
    assert detector.features is None
    assert not detector.lines(IMAGE).any()
    with pytest.raises(SwerveError, match=r"own:Thing: needs a method vehicles\(image\), lines"):
        Detector.of("own:Thing", object())


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("vehicles", [(0, 1, 2)]),
        ("vehicles", [(2.0, 1.0, 0.0, 3.0)]),
        ("vehicles", [(0.0, 1.0, np.nan, 3.0)]),
        ("vehicles", "boxes"),
        ("lines", np.zeros((4, 5), bool)),
        ("lines", np.zeros((4, 6))),
        ("features", [[1.0]]),
        ("features", [np.inf]),
    ],
)
def test_other_results_are_refused(method, found):
    detector = Detector.of("own:Fixed", Fixed(**{method: found}))
    with pytest.raises(SwerveError, match=f"own:Fixed: {method} returned an array of shape"):
        getattr(detector, method)(IMAGE)


def test_an_exception_is_told_with_its_detector():
    class Broken:
        def vehicles(self, image):
            raise RuntimeError("no weights")

    with pytest.raises(SwerveError, match=r"own:Broken: vehicles failed \(RuntimeError: no weights\)"):
        Detector.of("own:Broken", Broken()).vehicles(IMAGE)
