"""Fixtures of fitting tests."""

import numpy as np
import pytest

from swerve.data.sources.registry import open_source
from tests.support.blocky_street import write_street


@pytest.fixture(scope="session")
def street(tmp_path_factory):
    """The folder of a sequence of ten stereo pairs of 96x64 pixels along a street."""
    return write_street(tmp_path_factory.mktemp("street") / "street", count=10, height=64, width=96)


@pytest.fixture(scope="session")
def street_log(street):
    """Its log."""
    return open_source(f"kitti:{street}").load("street")


@pytest.fixture
def generator():
    """Random numbers."""
    return np.random.default_rng(0)
