"""The experiment on learned planners: what its processes share, and the samples of its arms."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from experiments.learned_planners.arms import Arm
from experiments.learned_planners.training import ArmStream, _backed_up
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.stream import ImageFit, Part, StreamOptions
from tests.support.photographed_source import PhotographedSource, write_photo


def _database(path: Path, rows: int) -> Path:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE scores (packed BLOB)")
        file.executemany("INSERT INTO scores VALUES (?)", [(bytes(1000),)] * rows)
    return path


def test_scores_that_two_runs_share_at_once_are_whole(tmp_path):
    sources = [_database(tmp_path / f"{rows}.sqlite", rows) for rows in (300, 500)]
    target = tmp_path / "shared.sqlite"
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            list(pool.map(lambda source: _backed_up(source, target), sources))
            with closing(sqlite3.connect(target)) as file:
                assert file.execute("SELECT count(*) FROM scores").fetchone()[0] in (300, 500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["300.sqlite", "500.sqlite", "shared.sqlite"]


def test_an_arm_of_fewer_towns_has_samples_of_the_first_ones_alone(tmp_path):
    write_photo(tmp_path)
    source = PhotographedSource(("train-0-photos", "train-1"), str(tmp_path))
    augment([source], tmp_path / "set", AugmentOptions(scene_interval=1.0, shard_scenes=4), workers=1)
    parts = (Part("recovery", 4.0),)
    for towns, expected in ((1, {"train-0-photos"}), (None, {"train-0-photos", "train-1"})):
        options = StreamOptions(parts, ImageFit((64, 36)), ("front",), 4)
        stream = ArmStream([tmp_path / "set"], options, tmp_path, Arm("few", parts, towns=towns))
        assert {origin.log for step in range(6) for origin in stream.batch(step).provenance} == expected
