"""Hidden tests: frames without annotations and map, runs of five."""

import pickle

import numpy as np
import pytest

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.hidden_scenes import is_hidden, read_hidden_scenes
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.scenes import LogError, SwerveError
from tests.support.small_navsim_data import follow_up_of, hidden, one_stage, token_of


def test_every_run_is_two_scenes(tmp_path):
    split = read_split(hidden(tmp_path))
    folders = navsim_folders(str(tmp_path))
    assert is_hidden(folders, split)
    found = read_hidden_scenes(folders, split)
    assert sorted(found.logged) == sorted(token_of(10 * run + now) for run in range(2) for now in (3, 4))
    assert sorted(found.reactive_stage_two) == sorted(
        follow_up_of(100 * run + now) for run in range(2) for now in (3, 4)
    )
    for token, first in ((token_of(14), 11), (token_of(3), 0)):
        scene = found.load(token)
        assert [frame.token for frame in scene.frames] == [token_of(first + index) for index in range(4)]
        assert scene.current.boxes is None
        np.testing.assert_allclose(scene.relative_history()[:, 0], [-9, -6, -3, 0])
    follower = found.load(follow_up_of(103))
    assert follower.synthetic
    assert found.sensors.of(follower) == tmp_path / "private_test_hard_two_stage/sensor_blobs"
    assert found.sensors.of(scene) == tmp_path / "sensor_blobs/private_test_hard"
    with pytest.raises(SwerveError, match="no scene zz"):
        found.load("zz")


def test_tokens_of_the_split_are_taken(tmp_path):
    file = hidden(tmp_path)
    given = file.parent / "scene_filter" / file.name
    given.write_text(given.read_text().replace(f"- '{token_of(3)}'\n", ""))
    found = read_hidden_scenes(navsim_folders(str(tmp_path)), read_split(file))
    assert token_of(3) not in found.logged
    assert token_of(4) in found.logged


def test_runs_of_another_length_are_told(tmp_path):
    file = hidden(tmp_path)
    run = next((tmp_path / "private_test_hard_two_stage/openscene_meta_datas").glob("*.pkl"))
    run.write_bytes(pickle.dumps(pickle.loads(run.read_bytes())[:4]))
    with pytest.raises(LogError, match="there are 4 instead of 5"):
        read_hidden_scenes(navsim_folders(str(tmp_path)), read_split(file))


def test_other_splits_are_not_hidden(tmp_path):
    split = read_split(one_stage(tmp_path))
    assert not is_hidden(navsim_folders(str(tmp_path)), split)
