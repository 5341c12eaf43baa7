"""Random access to shards against the standard library's reader."""

import tarfile

import pytest

from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.storage.files import commit
from swerve.data.stream.shard_reader import ShardReader
from swerve.scenes import SwerveError

KEYS = ("a-1", "a-10", "b" * 120, "b" * 119, "c-2")


def contents(key):
    """Members of odd sizes, empty and whole blocks among them; one with a name of its own beyond 100 bytes."""
    return {"json": key.encode(), "npz": b"x" * 512, "front.png": b"", "rear" + "r" * 100 + ".png": b"y" * 1300}


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train" / "s.tar"
    path.parent.mkdir()
    with ShardWriter(path, "train") as writer:
        for key in KEYS:
            writer.add(Sample(key, "train", contents(key), {}))
        writer.finish()
    commit(path)
    return path


def test_every_sample_in_any_order(shard):
    reader = ShardReader(shard.parent.parent)
    for number in (3, 0, 4, 2, 1, 3):
        stored = reader.sample("train/s.tar", number, KEYS[number])
        assert {name: stored.read(name) for name in stored.members} == contents(KEYS[number])


def test_places_are_the_standard_librarys(shard):
    reader = ShardReader(shard.parent.parent)
    with tarfile.open(shard) as tar:
        known = {entry.name: (entry.offset_data, entry.size) for entry in tar}
    found = {}
    for number, key in enumerate(KEYS):
        members = reader.sample("train/s.tar", number, key).members
        found.update({f"{key}.{name}": place for name, place in members.items()})
    assert found == known


def test_another_sample_in_the_place_is_told(shard):
    reader = ShardReader(shard.parent.parent)
    with pytest.raises(SwerveError, match="should hold sample a-2 but has sample a-1 in its place"):
        reader.sample("train/s.tar", 0, "a-2")
    with pytest.raises(SwerveError, match="should hold sample z but has 5 samples"):
        reader.sample("train/s.tar", 5, "z")
    with pytest.raises(SwerveError, match=r"has no side\.png; it has front\.png, json"):
        reader.sample("train/s.tar", 0, "a-1").read("side.png")


def test_a_missing_shard_is_told(tmp_path):
    with pytest.raises(SwerveError, match=r"gone\.tar: cannot be read .*Run the job"):
        ShardReader(tmp_path).sample("gone.tar", 0, "k")


def test_a_shard_cut_short_is_told(shard):
    whole = shard.read_bytes()
    for size in (0, 100, 3000, len(whole) // 2):
        shard.write_bytes(whole[:size])
        with pytest.raises(SwerveError, match="damaged shard"):
            ShardReader(shard.parent.parent).sample("train/s.tar", 0, "a-1")


def test_a_broken_header_is_told(shard):
    content = bytearray(shard.read_bytes())
    content[20] ^= 255
    shard.write_bytes(content)
    with pytest.raises(SwerveError, match=r"damaged shard \(no header at byte 0: bad checksum"):
        ShardReader(shard.parent.parent).sample("train/s.tar", 0, "a-1")


def test_a_shard_cut_while_it_is_used_is_told(shard):
    stored = ShardReader(shard.parent.parent).sample("train/s.tar", 4, "c-2")
    with open(shard, "r+b") as file:
        file.truncate(stored.members["npz"][0] + 10)
    with pytest.raises(SwerveError, match="ends within npz of sample c-2"):
        stored.read("npz")
