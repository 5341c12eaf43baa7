"""Shards are plain, repeatable tar files; the reader gives back what went in."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swerve.data.dataset.image_encoding import encode_depth, encode_image, encode_instance
from swerve.data.dataset.sample_shape import FORMAT
from swerve.data.dataset.shards import Sample, ShardWriter, dataset_digest, read_samples
from swerve.data.storage.files import commit, file_digest, safe_name, temporary_path, write_atomically
from swerve.scenes import SwerveError

IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def sample(key="log-1-logged-0", split="train", kind="logged"):
    buffer = io.BytesIO()
    np.savez(buffer, target_2hz=np.ones((10, 3), np.float32))
    members = {
        "npz": buffer.getvalue(),
        "json": json.dumps({"kind": kind, "format": FORMAT}).encode(),
        "front.png": encode_image(IMAGE, "png"),
        "front.photo.jpg": b"untouched bytes",
        "front.depth.png": encode_depth(np.full((4, 6), 2.5, np.float32)),
        "front.instance.png": encode_instance(np.full((4, 6), 200_001, np.int32)),
    }
    return Sample(key, split, members, {})


def write(path, samples, split="train"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path, split) as writer:
        for one in samples:
            writer.add(one)
        size, digest = writer.finish()
    commit(path)
    return size, digest


def list_samples(folder, *keys, shard="train/a.tar"):
    """Write a manifest that lists these samples of a shard."""
    rows = {"key": keys, "shard": [shard] * len(keys), "split": [shard.partition("/")[0]] * len(keys)}
    pq.write_table(pa.table(rows), folder / "manifest.parquet")


def test_a_sample_comes_back(tmp_path):
    write(tmp_path / "train" / "a.tar", [sample("k-1"), sample("k-2", kind="recovery")])
    list_samples(tmp_path, "k-1", "k-2")
    first, second = read_samples(tmp_path, "train")
    assert (first["key"], second["key"]) == ("k-1", "k-2")
    assert first["json"] == {"kind": "logged", "format": FORMAT}
    np.testing.assert_array_equal(first["front.png"], IMAGE)
    np.testing.assert_array_equal(first["npz"]["target_2hz"], np.ones((10, 3)))
    np.testing.assert_array_equal(first["front.depth.png"], np.full((4, 6), 2.5))
    np.testing.assert_array_equal(first["front.instance.png"], np.full((4, 6), 200_001))
    assert first["front.photo.jpg"] == b"untouched bytes"
    assert [one["key"] for one in read_samples(tmp_path, "train", ("recovery",))] == ["k-2"]
    assert not list(read_samples(tmp_path, "val"))


def test_size_and_hash_are_the_files(tmp_path):
    path = tmp_path / "a.tar"
    size, digest = write(path, [sample()])
    assert size == path.stat().st_size
    assert digest == file_digest(path)


def test_equal_samples_make_equal_files_without_owner_or_time(tmp_path):
    assert write(tmp_path / "a.tar", [sample()]) == write(tmp_path / "b.tar", [sample()])
    with tarfile.open(tmp_path / "a.tar") as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, 0, "", 0o644)}


def test_names_longer_than_a_tar_header_survive(tmp_path):
    key = "x" * 150
    write(tmp_path / "train" / "a.tar", [sample(key)])
    list_samples(tmp_path, key)
    assert next(read_samples(tmp_path, "train"))["key"] == key


@pytest.mark.parametrize("split", ["val", "test"])
def test_x5_a_training_shard_refuses_samples_of_other_splits(tmp_path, split):
    """The original's cross-agent samples of validation logs lay in the training cache: nothing looked at the split."""
    with pytest.raises(ValueError, match="split"):
        write(tmp_path / "a.tar", [sample(split=split)])
    assert not (tmp_path / "a.tar").exists()


def test_p2_a_second_sample_of_one_key_is_refused(tmp_path):
    """The original wrote perturbed images over the unperturbed ones, under the same name."""
    with pytest.raises(ValueError, match="already"):
        write(tmp_path / "a.tar", [sample(), sample()])


def test_j5_a_shard_has_its_name_only_when_it_is_whole(tmp_path):
    """The original wrote pickles in place: a kill left a truncated one that counted as done."""
    path = tmp_path / "a.tar"
    with ShardWriter(path, "train") as writer:
        writer.add(sample())
        assert not path.exists()
        writer.finish()
    assert not path.exists()
    assert temporary_path(path).exists()
    commit(path)
    assert path.exists()
    assert not temporary_path(path).exists()


def test_j5_a_truncated_shard_is_named(tmp_path):
    """The original met a truncated file with an exception of the pickle module, or not at all."""
    path = tmp_path / "train" / "a.tar"
    write(path, [sample("k-1"), sample("k-2")])
    path.write_bytes(path.read_bytes()[:3000])
    list_samples(tmp_path, "k-1", "k-2")
    with pytest.raises(SwerveError, match=r"a\.tar: damaged"):
        list(read_samples(tmp_path, "train"))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (["k-1"], "holds sample k-2 as its number 1, which the manifest does not"),
        (["k-1", "k-2", "k-3"], "holds 2 samples, 3 are in the manifest"),
        (["k-2", "k-1"], "holds sample k-1 as its number 0"),
    ],
)
def test_a_shard_with_other_samples_than_the_manifest_is_named(tmp_path, keys, problem):
    write(tmp_path / "train" / "a.tar", [sample("k-1"), sample("k-2")])
    list_samples(tmp_path, *keys)
    with pytest.raises(SwerveError, match=rf"a\.tar: damaged shard \({problem}"):
        list(read_samples(tmp_path, "train"))


def test_a_shard_without_a_sample_is_named(tmp_path):
    write(tmp_path / "train" / "a.tar", [])
    list_samples(tmp_path, "k-1")
    with pytest.raises(SwerveError, match=r"a\.tar: damaged shard \(has no sample"):
        list(read_samples(tmp_path, "train"))


def test_a_missing_shard_is_named(tmp_path):
    list_samples(tmp_path, "k-1")
    with pytest.raises(SwerveError, match=r"a\.tar: cannot be read \(No such file"):
        list(read_samples(tmp_path, "train"))


@pytest.mark.parametrize("shard", ["train/../../a.tar", "/etc/a.tar", "../a.tar", "train/.a.tar", "other/a.tar"])
def test_a_manifest_that_leads_out_of_the_set_is_refused(tmp_path, shard):
    list_samples(tmp_path, "k-1", shard=shard)
    with pytest.raises(SwerveError, match=r"shard: .* is no tar in the folder of split"):
        list(read_samples(tmp_path, "train"))


def test_a_sample_of_a_shard_of_another_split_is_refused(tmp_path):
    """A sample of validation logs in a training shard would leak."""
    rows = {"key": ["k-1"], "shard": ["train/a.tar"], "split": ["val"]}
    pq.write_table(pa.table(rows), tmp_path / "manifest.parquet")
    with pytest.raises(SwerveError, match=r"'train/a\.tar' is no tar in the folder of split 'val'"):
        list(read_samples(tmp_path, "val"))


def hostile_header(path, size):
    """Overwrite the size in the first header, with a checksum that fits."""
    content = bytearray(path.read_bytes())
    content[124:136] = size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\xff" * 11 + b"\x00", b"\x80" + b"\x7f" * 11, b"-0000001000\0"], ids=repr
)
def test_sizes_in_a_header_are_not_believed(tmp_path, size):
    """A negative one led the reader back to the same header for ever; a great one allocates it."""
    path = tmp_path / "train" / "a.tar"
    write(path, [sample("k-1"), sample("k-2")])
    list_samples(tmp_path, "k-1", "k-2")
    hostile_header(path, size)
    with pytest.raises(SwerveError, match=r"a\.tar: damaged shard \((the member at byte 0 has|no header)"):
        list(read_samples(tmp_path, "train"))


@pytest.mark.parametrize("member", ["json", "npz", "front.png", "front.depth.png", "front.instance.png"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x89PNG\r\n\x1a\n" + bytes(60), b"PK\x03\x04" + bytes(60)])
def test_damaged_members_are_named(tmp_path, member, content):
    damaged = sample("k-1")
    damaged.members[member] = content
    write(tmp_path / "train" / "a.tar", [damaged])
    list_samples(tmp_path, "k-1")
    with pytest.raises(SwerveError, match=rf"a\.tar: k-1\.{member}"):
        list(read_samples(tmp_path, "train"))


def test_an_unfinished_set_is_not_read(tmp_path):
    with pytest.raises(SwerveError, match="not a finished set"):
        next(read_samples(tmp_path, "train"))


def test_digest_tells_names_and_contents_but_not_times(tmp_path):
    write(tmp_path / "train" / "a.tar", [sample()])
    before = dataset_digest(tmp_path)
    (tmp_path / "timing.json").write_text("1.0")
    (tmp_path / "train" / "b.tar.part").write_text("half")
    assert dataset_digest(tmp_path) == before
    (tmp_path / "train" / "a.tar").rename(tmp_path / "train" / "b.tar")
    renamed = dataset_digest(tmp_path)
    write_atomically(tmp_path / "train" / "b.tar", b"other")
    assert len({before, renamed, dataset_digest(tmp_path)}) == 3


@pytest.mark.parametrize(("name", "safe"), [("CAM_F0", "CAM_F0"), ("a.b/c d", "a_b_c_d"), ("3b35-70b4", "3b35-70b4")])
def test_names_in_keys_have_no_dots(name, safe):
    assert safe_name(name) == safe
