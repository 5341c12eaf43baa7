"""What a benchmark keeps of a log."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from swerve.eval.benchmark.benchmark_store import load_log, save_log
from swerve.scenes import Photo, Sweep
from tests.support.simple_log import simple_log


def test_the_files_of_a_source_do_not_travel(tmp_path):
    photo = Photo("front", 0, np.eye(4), Path("a.jpg"))
    sweep = Sweep(0, np.eye(4), np.eye(4), Path("a.npy"), np.load)
    save_log(tmp_path / "log.npz", replace(simple_log(), photos=(photo,), sweeps=(sweep,)))
    again = load_log(tmp_path / "log.npz")
    assert (again.photos, again.sweeps) == ((), ())
    np.testing.assert_array_equal(again.ego.world_from_ego, simple_log().ego.world_from_ego)
