"""The experiment on learned planners: what its processes share."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from experiments.learned_planners.training import _backed_up


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
