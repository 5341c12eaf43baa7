"""When two back ends drew the same images."""

import numpy as np

OUTPUTS = ("rgb", "depth", "semantic", "instance")


def images_of(views):
    """By pose and camera in one row, then output."""
    return [{name: getattr(view, name) for name in OUTPUTS} for row in views for view in row]


def assert_alike(expected, images):
    """99.9 % of instances and classes equal; there, depth within 1e-3 and colours within a level for 99.9 %."""
    for one, other in zip(expected, images, strict=True):
        assert all(one[name].dtype == other[name].dtype for name in OUTPUTS)
        same = one["instance"] == other["instance"]
        assert same.mean() >= 0.999
        assert (one["semantic"] == other["semantic"]).mean() >= 0.999
        assert (np.isinf(other["depth"]) == (other["instance"] == 0)).all()
        both = same & (one["instance"] > 0)
        assert (np.abs(other["depth"][both] / one["depth"][both] - 1) >= 1e-3).sum() <= 1e-3 * both.sum()
        assert np.mean(np.abs(other["rgb"].astype(int) - one["rgb"]).max(axis=2)[same] <= 1) >= 0.999
