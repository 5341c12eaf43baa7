"""Comparison of images of two back ends."""

import numpy as np

OUTPUTS = ("rgb", "depth", "semantic", "instance")


def images_of(views):
    """Return the images of all poses and cameras in one list, by output."""
    return [{name: getattr(view, name) for name in OUTPUTS} for row in views for view in row]


def assert_alike(expected, images):
    """Assert that 99.9 % of instances and classes are equal, with depth within 1e-3 and colours within 1 there."""
    for one, other in zip(expected, images, strict=True):
        assert all(one[name].dtype == other[name].dtype for name in OUTPUTS)
        same = one["instance"] == other["instance"]
        assert same.mean() >= 0.999
        assert (one["semantic"] == other["semantic"]).mean() >= 0.999
        assert (np.isinf(other["depth"]) == (other["instance"] == 0)).all()
        both = same & (one["instance"] > 0)
        assert (np.abs(other["depth"][both] / one["depth"][both] - 1) >= 1e-3).sum() <= 1e-3 * both.sum()
        assert np.mean(np.abs(other["rgb"].astype(int) - one["rgb"]).max(axis=2)[same] <= 1) >= 0.999
