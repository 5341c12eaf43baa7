"""The cache of objects stays within its bound, keeps what is used, and serves several processes."""

import os
import subprocess
import sys

import pytest

from swerve.data.storage.object_cache import ObjectCache, object_cache
from swerve.scenes import SwerveError

_CHILD = """
import sys
from pathlib import Path
from swerve.data.storage.object_cache import ObjectCache
cache = ObjectCache(Path(sys.argv[1]), 100_000)
for turn in range(3):
    for number in range(200):
        path = cache.folder / str(number % 10) / str(number)
        for _ in range(5):
            try:
                content = cache.path(path, lambda to: to.write_bytes(bytes([number % 256]) * 1000)).read_bytes()
                break
            except FileNotFoundError:
                continue
        assert content == bytes([number % 256]) * 1000
"""


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fill(cache, names, time=None):
    for number, name in enumerate(names):
        path = cache.path(cache.folder / name, lambda to: to.write_bytes(bytes(1000)))
        if time is not None:
            os.utime(path, (time + number, time + number))


def test_a_file_is_fetched_once(tmp_path):
    fetched, cache = [], ObjectCache(tmp_path, 10**6)

    def fetch(path):
        fetched.append(path)
        path.write_bytes(b"1")

    paths = {cache.path(tmp_path / "a" / "b", fetch) for _ in range(3)}
    assert paths == {tmp_path / "a" / "b"}
    assert len(fetched) == 1


def test_a_fetch_that_fails_leaves_nothing(tmp_path):
    def fetch(path):
        path.write_bytes(b"half")
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        ObjectCache(tmp_path, 10**6).path(tmp_path / "x", fetch)
    assert not list(tmp_path.iterdir())


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    cache = ObjectCache(tmp_path, 20_000)
    fill(cache, [f"x{number}" for number in range(10)], time=1e9)
    fill(cache, ["x0", "x1"])  # used again
    fill(cache, [f"y{number}" for number in range(10)])
    assert size_of(tmp_path) <= 20_000
    names = {path.name for path in tmp_path.iterdir()}
    assert {"x0", "x1", "y9"} <= names
    assert "x2" not in names


def test_what_killed_processes_left_is_removed(tmp_path):
    old, young = tmp_path / "x.1-1.part", tmp_path / "y.1-1.part"
    for path in (old, young):
        path.write_bytes(bytes(10_000))
    os.utime(old, (1e9, 1e9))
    fill(ObjectCache(tmp_path, 10_000), ["z"])
    assert {path.name for path in tmp_path.iterdir()} == {"y.1-1.part", "z", "lock"}


def test_processes_share_a_cache_within_its_bound(tmp_path):
    running = [subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)]) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert size_of(tmp_path) <= 101_000
    assert not list(tmp_path.rglob("*.part"))


def test_the_environment_names_folder_and_size(tmp_path, monkeypatch):
    monkeypatch.setenv("SWERVE_CACHE", str(tmp_path))
    monkeypatch.setenv("SWERVE_CACHE_SIZE", "1.5 GB")
    assert object_cache().size == 1_500_000_000
    assert object_cache().folder == tmp_path
    monkeypatch.setenv("SWERVE_CACHE_SIZE", "much")
    with pytest.raises(SwerveError, match="SWERVE_CACHE_SIZE: 'much' is no size"):
        object_cache()
