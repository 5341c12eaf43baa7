"""`swerve export gsplat` writes a file and says what is in it."""

import numpy as np
import pytest

from swerve.cli import run
from swerve.scenes import SwerveError


def test_a_town_is_written_with_what_it_lacks(tmp_path, capsys):
    path = tmp_path / "out" / "town.npz"
    options = ["--cameras", "front", "--image-scale", "0.05", "--photo-interval", "5"]
    assert run(["export", "gsplat", "town:1", str(path), *options]) == 0
    told = capsys.readouterr().out
    assert "4 frames (1 held out), 1 cameras" in told or "5 frames (1 held out), 1 cameras" in told
    assert "there are no LiDAR points" in told
    with np.load(path, allow_pickle=False) as archive:
        assert archive["lidar_points"].shape == (0, 4)
        assert archive["images"].std() > 10
    with pytest.raises(SwerveError, match=r"reads \.npz files"):
        run(["export", "gsplat", "town:1", str(tmp_path / "town.zip"), *options])
