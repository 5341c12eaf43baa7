import numpy as np
import pytest

from swerve.data.storage.archive import save_archive
from swerve.eval import build_context, load_context, save_context, score
from swerve.eval.context.context_file import VERSION
from swerve.scenes import Scene, SwerveError
from tests.support.random_log import random_log
from tests.support.simple_log import simple_log

PLANS = np.stack([np.column_stack([np.arange(1, 9) * speed, np.zeros((8, 2))]) for speed in (1.0, 4.0, 8.0)])


@pytest.mark.parametrize("scene", [Scene(simple_log(), 40, 15, 50), Scene(random_log(3), 15, 15, 50)])
@pytest.mark.parametrize("follow_up", [False, True])
def test_a_stored_context_scores_the_same(tmp_path, scene, follow_up):
    context = build_context(scene, "token", follow_up)
    save_context(context, tmp_path / "context.npz")
    again = load_context(tmp_path / "context.npz")
    assert again.token == "token"
    assert (again.human is None) is follow_up
    assert again.scoring_map.surfaces.ids == context.scoring_map.surfaces.ids
    for policy in ("log-replay", "navsim-reactive", "lane-following"):
        a, b = (score(one, PLANS, policy=policy) for one in (context, again))
        np.testing.assert_array_equal(a.metrics, b.metrics)
    assert [file.name for file in tmp_path.iterdir()] == ["context.npz"]


def test_nothing_is_pickled_and_other_versions_are_refused(tmp_path):
    """NAVSIM's metric caches are pickles of class instances: they run code and break with every version."""
    path = tmp_path / "context.npz"
    context = build_context(Scene(simple_log(), 40, 15, 50))
    save_context(context, path)
    with np.load(path, allow_pickle=False) as stored:
        assert {name: stored[name].dtype for name in stored} == {"tree": np.uint8, "block": np.uint8}
    save_archive(path, context, "context", VERSION - 1)
    with pytest.raises(SwerveError, match=f"context of version {VERSION - 1}"):
        load_context(path)
