"""The bound on memory, by hand."""

import numpy as np

from swerve.data.splats.optimization.memory_estimate import memory_of
from tests.support import splat_toys as toys


def test_memory_by_hand():
    shot = toys.shot(toys.scene(toys.wall(20)), 0, toys.ego_pose(0.0), ignored=np.zeros((40, 56), bool))
    one = memory_of(1, 0, [shot])
    assert one - memory_of(0, 0, [shot]) == 4 * 14 * 9 + 400
    assert memory_of(1, 3, []) == 4 * 59 * 9 + 400
    # Colours, depths and mask of one more image.
    assert memory_of(1, 0, [shot, shot]) - one == 40 * 56 * (3 + 4 + 1)
