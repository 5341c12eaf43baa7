"""The STR tree against shapely's, with many equal keys and distances."""

import numpy as np
import pytest
import shapely

from swerve.eval.context.str_tree_kernels import nearest_item, visiting_order


def random_boxes(random, count):
    """Boxes on a coarse grid, so that centres coincide, or anywhere."""
    low = random.uniform(0, 30, (count, 2))
    size = random.uniform(0.5, 9, (count, 2))
    if random.uniform() < 0.5:
        low, size = np.round(low / 6) * 6, np.ceil(size)
    return np.column_stack([low, low + size])


@pytest.mark.parametrize("seed", range(20))
def test_items_are_visited_in_the_order_of_shapely(seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        bounds = random_boxes(random, int(random.integers(1, 200)))
        tree = shapely.STRtree(shapely.box(*bounds.T))
        expected = tree.query(shapely.box(-1e9, -1e9, 1e9, 1e9))
        np.testing.assert_array_equal(visiting_order(bounds), expected)


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_of_equals_is_that_of_shapely(seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        bounds = random_boxes(random, int(random.integers(1, 150)))
        own = random_boxes(random, 1)[0]
        shapes, shape = shapely.box(*bounds.T), shapely.box(*own)
        assert nearest_item(bounds, shapely.distance(shapes, shape), own) == shapely.STRtree(shapes).nearest(shape)


def test_a_tree_of_nothing_has_no_order():
    assert len(visiting_order(np.zeros((0, 4)))) == 0
