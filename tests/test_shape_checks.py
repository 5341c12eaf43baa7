"""Types and shapes are checked in the first calls of a function in every test, and not in all that follow."""

import os

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from swerve.scenes.planning import Trajectory
from swerve.scenes.transforms import rotation_about_z
from tests.support.shape_checks import ALL, VARIABLE, begin_test


def test_a_wrong_type_is_found():
    with pytest.raises(TypeCheckError):
        rotation_about_z("north")


def test_a_wrong_field_of_a_dataclass_is_found():
    with pytest.raises(TypeCheckError):
        Trajectory(np.zeros((8, 2)))


@pytest.mark.parametrize("first", range(2))
def test_every_test_begins_with_checks(first):
    for _ in range(20):
        rotation_about_z(0.5)
    begin_test()
    with pytest.raises(TypeCheckError):
        rotation_about_z("north")


@pytest.mark.skipif(os.environ.get(VARIABLE) == ALL, reason=f"{VARIABLE}={ALL} checks every call")
def test_later_calls_are_not_checked():
    for _ in range(20):
        rotation_about_z(0.5)
    with pytest.raises(ValueError, match="could not convert") as raised:
        rotation_about_z("north")
    assert not isinstance(raised.value, TypeCheckError)
