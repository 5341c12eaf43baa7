"""A set at a URL streams the batches of the same set in a folder, whole or by ranges, also through a tiny cache."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest

from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.dataset.set_layout import read_records
from swerve.data.dataset.shards import read_samples
from swerve.data.jobs.log_digest import log_digest
from swerve.data.sources.registry import open_source
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.stored_folder import local_folder
from swerve.data.stream.shard_reader import ShardReader
from swerve.scenes import SwerveError
from tests.support.neutral_document import document
from tests.support.s3_server import Faults, s3_server


@pytest.fixture(scope="module")
def faults():
    return Faults(delay=0.01)


@pytest.fixture(scope="module")
def stored(small_set, faults):
    with s3_server(faults) as url:
        store = open_store(f"{url}/sets/small")
        for path in sorted(path for path in small_set.rglob("*") if path.is_file()):
            store.put(path.relative_to(small_set).as_posix(), path)
        yield store.url


@pytest.fixture
def cache(tmp_path, monkeypatch, faults):
    monkeypatch.setenv("SWERVE_CACHE", str(tmp_path / "cache"))
    faults.counts.clear()
    yield tmp_path / "cache"
    faults.share = 0.0


def contents(folder):
    """Return every sample's members, in an order that leaps between shards."""
    table = read_manifest(folder, ("key", "shard", "split", "offset")).to_pylist()
    ends = {(one["shard"], one["offset"]): -1 for one in table}
    for one, after in pairwise(table):
        if one["shard"] == after["shard"]:
            ends[one["shard"], one["offset"]] = after["offset"]
    reader = ShardReader(folder)
    found = {}
    for place in np.random.default_rng(0).permutation(len(table)):
        one = table[place]
        number = [row["key"] for row in table if row["shard"] == one["shard"]].index(one["key"])
        sample = reader.sample(one["shard"], number, one["key"], one["offset"], ends[one["shard"], one["offset"]])
        found[one["key"]] = {name: sample.read(name) for name in sample.members}
    return found


@pytest.mark.parametrize(("size", "share"), [("1 GB", 0.0), ("1 GB", 0.1), ("20 kB", 0.0), ("20 kB", 0.1)])
def test_samples_are_those_of_the_folder(small_set, stored, cache, faults, monkeypatch, size, share):
    monkeypatch.setenv("SWERVE_CACHE_SIZE", size)
    faults.share = share
    assert contents(local_folder(stored)) == contents(small_set)
    held = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file() and path.parent.name != "small")
    assert held <= {"1 GB": 10**9, "20 kB": 100_000}[size]


def test_a_warm_cache_asks_for_no_shard(small_set, stored, cache, faults):
    contents(local_folder(stored))
    cold = faults.counts["GET"]
    contents(local_folder(stored))
    assert faults.counts["GET"] - cold <= 5  # what lies there
    assert cold > 5


def test_a_reader_can_be_sent_to_a_worker(small_set, stored, cache):
    reader = pickle.loads(pickle.dumps(ShardReader(local_folder(stored))))
    row = read_manifest(small_set, ("key", "shard", "split", "offset")).to_pylist()[0]
    assert reader.sample(row["shard"], 0, row["key"], row["offset"]).read("json")


def test_other_readers_of_a_set_find_what_they_need(small_set, stored, cache):
    folder = local_folder(stored)
    keys = [[one["key"] for one in read_samples(own, "train")] for own in (folder, small_set)]
    assert keys[0] == keys[1]
    assert list(read_records(folder)) == list(read_records(small_set))


def test_what_is_not_there_is_told(stored, cache):
    with pytest.raises(SwerveError, match=f"{stored}-not: holds no file"):
        local_folder(f"{stored}-not")


def test_a_set_made_anew_is_read_anew(small_set, stored, cache):
    before, store = local_folder(stored), open_store(stored)
    content = store.read("summary.json")
    store.write("summary.json", content + b" ")
    assert local_folder(stored) != before
    store.write("summary.json", content)
    assert local_folder(stored) == before


def test_logs_are_read_from_a_store(stored, cache, tmp_path, monkeypatch):
    (tmp_path / "log.json").write_text(json.dumps(document()))
    open_store(stored).put("logs/one/log.json", tmp_path / "log.json")
    wanted = open_source(f"neutral:{tmp_path / 'log.json'}")
    for text in (f"neutral:{stored}/logs/one/log.json", f"neutral:{stored}/logs/one", f"{stored}/logs/one/log.json"):
        found = open_source(text)
        assert found.names() == wanted.names()
        assert log_digest(found.load(found.names()[0])) == log_digest(wanted.load(wanted.names()[0]))
    with pytest.raises(SwerveError, match="logs/two: no such file or folder"):
        open_source(f"neutral:{stored}/logs/two")
    monkeypatch.setenv("SWERVE_CACHE_SIZE", "1 kB")
    with pytest.raises(SwerveError, match="more than half of the cache"):
        open_source(f"neutral:{stored}/logs/one")
