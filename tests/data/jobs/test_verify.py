"""Every kind of damage to an output is found, and the job started again heals it."""

import json
import shutil

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs import job_config, open_job
from swerve.data.jobs.verify import job_folder, remove_damaged, verify_folder
from swerve.scenes import SwerveError
from tests.support.counting_work import LAYOUT
from tests.support.simple_source import SimpleSource

OPTIONS = AugmentOptions(scene_interval=1.0, shard_scenes=1, viewpoints=("logged",), rasters="primitives")


def make(folder):
    return augment([SimpleSource(("train-0",))], folder, OPTIONS, 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified") / "set"
    make(folder)
    return folder


@pytest.fixture
def damaged(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "set")
    return tmp_path / "set"


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place if place >= 0 else len(content) + place] ^= 1
    path.write_bytes(content)


def found(folder):
    return [(damage.path, damage.problem) for damage in verify_folder(folder).damages]


def test_a_whole_set_is_whole(finished):
    counts = []
    result = verify_folder(finished, lambda files, size: counts.append((files, size)))
    assert not result.damages
    names = [path for path in finished.rglob("*") if path.is_file() and path.parent.name != "sources"]
    checked = [path for path in names if path.suffix not in (".lock", ".yaml") and ".state." not in path.name]
    assert result.files == len(checked)
    assert result.size == sum(path.stat().st_size for path in checked)
    assert counts[-1] == (result.files, result.size)


def test_every_damage_is_found_and_healed(finished, damaged):
    """Each part is damaged in another way, then all tables."""
    shards, records = damaged / "train", damaged / "records"
    flip(shards / "train-0-00000.tar", 700)
    (shards / "train-0-00001.tar").write_bytes((shards / "train-0-00001.tar").read_bytes()[:-512])
    (shards / "train-0-00002.tar").unlink()
    (records / "train-0-00003.json").write_bytes(b"")
    (records / "train-0-00004.json").unlink()
    flip(damaged / "static" / "train-0-00000.npz", 200)
    flip(damaged / "manifest.parquet", 100)
    (damaged / "summary.json").write_text('{"samples": ')
    problems = dict(found(damaged))
    assert problems["train/train-0-00000.tar"] == "has another SHA-256 than its record says"
    assert "bytes, its record says" in problems["train/train-0-00001.tar"]
    assert problems["train/train-0-00002.tar"] == "is missing"
    assert "is damaged" in problems["records/train-0-00003.json"]
    assert problems["train/train-0-00003.tar"] == problems["train/train-0-00004.tar"] == "is in no record"
    assert {"static/train-0-00000.npz", "manifest.parquet", "summary.json"} <= problems.keys()
    assert "lacks part" in problems["records"]
    remove_damaged(damaged, verify_folder(damaged).damages)
    assert not (damaged / "manifest.parquet").exists()
    assert (records / "train-0-00005.json").exists(), "whole parts stay"
    assert make(damaged).timing["samples"] == 5
    assert dataset_digest(damaged) == dataset_digest(finished)
    assert not found(damaged)


def test_no_byte_of_a_table_can_change_unseen(finished, tmp_path):
    table, whole = tmp_path / "job" / "manifest.parquet", (finished / "manifest.parquet").read_bytes()
    shutil.copytree(finished / "runs", table.parent / "runs")
    for place in range(0, len(whole), max(len(whole) // 60, 1)):
        table.write_bytes(whole)
        flip(table, place)
        assert "manifest.parquet" in dict(found(table.parent)), place


@pytest.mark.parametrize(
    "content",
    [
        {"shard": "../outside.tar", "size": 1, "sha256": "00"},
        {"shard": "/etc/passwd", "size": 1, "sha256": "00"},
        {"sha256": {"../outside": "00"}, "files": {}},
        {"shard": 7, "size": 1, "sha256": "00"},
        {"sha256": {"a": 7}},
        {"num_parts": "x", "log": "a", "part": 0},
        [],
        7,
    ],
)
def test_an_untrusted_record_is_damage_and_names_nothing_outside(tmp_path, content):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a-00000.json").write_text(json.dumps(content))
    assert ("records/a-00000.json", "is not a record") in found(tmp_path)


def test_a_folder_in_use_is_not_repaired(tmp_path):
    assert job_folder(tmp_path) is None
    with open_job(tmp_path, job_config({}, [("simple", "a")], ()), LAYOUT):
        (tmp_path / "done.json").write_text("{")
        (damage,) = verify_folder(tmp_path).damages
        assert damage.path == "done.json"
        with pytest.raises(SwerveError, match="is writing"):
            remove_damaged(tmp_path, [damage])
    assert job_folder(tmp_path) == tmp_path
    assert remove_damaged(tmp_path, [damage]) == [tmp_path / "done.json"]
